// The chips above the map: which groups of tracks are shown, and how many of each are in view.
import { element, put } from "./furniture.js";
import { GROUPS, type Group, type GroupCounts } from "./groups.js";
import { Flag, SubjectKind, TrackStatus } from "./protocol.js";
import { type Atlas, drawIcon, sampleIcon } from "./symbols.js";
import { text } from "./texts.js";

const ICONS: Readonly<Record<Group, readonly [number, number, number]>> = {
  vessels: [SubjectKind.VESSEL, TrackStatus.LIVE, 0],
  unknown: [SubjectKind.UNKNOWN, TrackStatus.LIVE, 0],
  aircraft: [SubjectKind.AIRCRAFT, TrackStatus.LIVE, 0],
  ours: [SubjectKind.AIR_DRONE, TrackStatus.LIVE, Flag.ASSET],
  fixed: [SubjectKind.AID_TO_NAVIGATION, TrackStatus.LIVE, 0],
  silent: [SubjectKind.VESSEL, TrackStatus.LOST, 0],
};

interface Chip {
  readonly button: HTMLButtonElement;
  readonly name: HTMLElement;
  readonly count: HTMLElement;
}

export class FilterChips {
  private readonly bar: HTMLElement;
  private readonly chips = new Map<Group, Chip>();
  private readonly all: HTMLButtonElement;
  private readonly note: HTMLElement;

  constructor(parent: HTMLElement, atlas: Atlas, toggle: (group: Group) => void, showAll: () => void) {
    this.bar = element("div", "mz-chips", parent);
    this.bar.setAttribute("role", "group");
    for (const group of GROUPS) {
      const button = element("button", "mz-panel mz-chip", this.bar);
      button.type = "button";
      button.dataset.group = group;
      button.addEventListener("click", () => toggle(group));
      this.chips.set(group, { button, name: element("span", "", button), count: element("b", "", button) });
    }
    this.drawIcons(atlas);
    this.all = element("button", "mz-panel mz-chip mz-all", this.bar);
    this.all.type = "button";
    this.all.addEventListener("click", () => {
      showAll();
      this.focus();
    });
    this.note = element("span", "mz-panel mz-kept", this.bar);
    this.note.setAttribute("role", "status");
  }

  drawIcons(atlas: Atlas): void {
    for (const [group, { button }] of this.chips) {
      button.querySelector("canvas")?.remove();
      button.prepend(drawIcon(atlas, sampleIcon(...ICONS[group]), 20));
    }
  }

  focus(): void {
    this.chips.get("vessels")?.button.focus();
  }

  show(hidden: ReadonlySet<Group>, counts: GroupCounts): void {
    this.bar.setAttribute("aria-label", text("map.filter.title"));
    for (const [group, { button, name, count }] of this.chips) {
      const shown = !hidden.has(group);
      const n = counts.of[group].toLocaleString("en");
      put(name, text(`map.filter.${group}`));
      put(count, n);
      const title = text(shown ? "map.filter.show" : "map.filter.hide", { name: text(`map.filter.${group}`), n });
      if (button.title !== title) button.title = title;
      button.setAttribute("aria-pressed", String(shown));
    }
    this.all.hidden = hidden.size === 0;
    put(this.all, text("map.filter.all"));
    this.note.hidden = counts.kept === 0;
    put(this.note, counts.kept === 0 ? "" : text("map.filter.kept", { n: counts.kept }));
  }
}
