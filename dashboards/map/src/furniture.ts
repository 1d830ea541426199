// The small things on the map: status line, cursor position, legend with layer switches, tip, spoken announcements.
import type { IControl } from "maplibre-gl";
import { radius95M } from "./errors.js";
import type { Connection } from "./feed.js";
import { incidentLegend } from "./incidents.js";
import { AIRCRAFT_LEADER_SHARE, leaderMinutes } from "./layers.js";
import * as palette from "./palette.js";
import type { Picture } from "./picture.js";
import { SubjectKind, type TrackRecord, TrackStatus } from "./protocol.js";
import { LEAST_OPACITY, NEVER_FAINT, SWITCHES, type ShownLayers, type Switch } from "./shown.js";
import { type Atlas, drawIcon, sampleIcon, sampleType } from "./symbols.js";
import { age, text } from "./texts.js";
import { KNOTS_PER_MPS, clockTime } from "./units.js";

export function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, parent: Element): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  parent.append(made);
  return made;
}

/** Connection, the realm's clock, how many tracks, the age of the oldest; then, where there is one, a notice. */
export class StatusLine {
  private readonly connection: HTMLElement;
  private readonly clock: HTMLElement;
  private readonly tracks: HTMLElement;
  private readonly oldest: HTMLElement;
  private readonly notice: HTMLElement;

  constructor(private readonly root: HTMLElement, parent: HTMLElement) {
    const line = element("div", "mz-panel mz-status", parent);
    this.connection = element("span", "mz-connection", line);
    this.connection.setAttribute("role", "status");
    this.clock = element("span", "", line);
    this.tracks = element("span", "", line);
    this.oldest = element("span", "", line);
    this.notice = element("span", "mz-notice", line);
    this.notice.setAttribute("role", "status");
  }

  show(connection: Connection, picture: Picture, notice: string): void {
    this.root.dataset.connection = connection;
    this.root.dataset.mode = picture.asOf ? "as_of" : "live";
    const marks: Record<Connection, string> = { connected: "●", connecting: "◌", lost: "▲", signed_out: "■" };
    put(this.connection, `${marks[connection]} ${text(`map.connection.${connection}`)}`);
    const now = picture.nowMs;
    put(this.clock, now === null ? "" : clockTime(now));
    const { filtered } = picture;
    const left = filtered === null ? "" : ` (${text("map.filter.hidden", { n: filtered.toLocaleString("en") })})`;
    put(this.tracks, text("map.tracks", { n: picture.count.toLocaleString("en") }) + left);
    const oldest = picture.oldestLiveAgeS();
    put(this.oldest, oldest === null ? "" : text("map.oldest", { age: age(oldest) }));
    put(this.notice, picture.asOf && now !== null ? text("map.as_of", { time: clockTime(now) }) : notice);
  }
}

/** Only what changed is written: a live region must not be spoken again every second. */
export function put(target: HTMLElement, words: string): void {
  if (target.textContent !== words) target.textContent = words;
}

/** Where the pointer is, else the middle of the map, in the chosen notation; and how far leaders run. */
export class CursorReadout implements IControl {
  private readonly box = document.createElement("div");
  private readonly place = element("button", "", this.box);
  private readonly leader = element("span", "", this.box);

  onAdd(): HTMLElement {
    this.box.className = "maplibregl-ctrl mz-panel mz-cursor";
    this.place.type = "button";
    return this.box;
  }

  onRemove(): void {
    this.box.remove();
  }

  /** Pressing the button, as any place of the page, shows the next notation (notation.ts). */
  show(lon: number, lat: number, zoom: number, words: string): void {
    this.place.dataset.placeLon = String(lon);
    this.place.dataset.placeLat = String(lat);
    this.place.title = text("map.coordinates.switch");
    put(this.place, words);
    put(this.leader, leaderWords(zoom));
  }
}

/** Back to all that is watched. */
export class HomeButton implements IControl {
  private readonly box = document.createElement("div");

  constructor(private readonly pressed: () => void) {}

  onAdd(): HTMLElement {
    this.box.className = "maplibregl-ctrl maplibregl-ctrl-group";
    const button = element("button", "mz-home", this.box);
    button.type = "button";
    button.title = text("map.home");
    button.setAttribute("aria-label", button.title);
    button.addEventListener("click", this.pressed);
    return this.box;
  }

  onRemove(): void {
    this.box.remove();
  }
}

/** Opens the areas panel: the page's script hears of `data-side`. Where the page has no such panel there is no button. */
export class AreasButton implements IControl {
  private readonly box = document.createElement("div");

  onAdd(): HTMLElement {
    if (document.getElementById("areas-panel") === null) return this.box;
    this.box.className = "maplibregl-ctrl maplibregl-ctrl-group";
    const button = element("button", "mz-areas", this.box);
    button.type = "button";
    button.dataset.side = "areas";
    button.title = text("map.areas");
    button.setAttribute("aria-label", button.title);
    return this.box;
  }

  onRemove(): void {
    this.box.remove();
  }
}

/** The button of a tool. Its class names its picture in map.css, `key` its words. */
export class ToolButton implements IControl {
  private readonly box = document.createElement("div");
  private readonly button: HTMLButtonElement;

  constructor(className: string, private readonly key: string, pressed: () => void) {
    this.box.className = "maplibregl-ctrl maplibregl-ctrl-group";
    this.button = element("button", className, this.box);
    this.button.type = "button";
    this.button.addEventListener("click", pressed);
    this.retell();
  }

  onAdd(): HTMLElement {
    return this.box;
  }

  onRemove(): void {
    this.box.remove();
  }

  retell(): void {
    this.button.title = text(this.key);
    this.button.setAttribute("aria-label", this.button.title);
  }

  press(on: boolean): void {
    this.button.setAttribute("aria-pressed", String(on));
  }
}

function leaderWords(zoom: number): string {
  const minutes = leaderMinutes(zoom);
  return text("map.leader", { n: minutes, aircraft: minutes * AIRCRAFT_LEADER_SHARE });
}

/** Legend and layer switches behind one button. */
export class LegendPanel {
  private readonly details: HTMLDetailsElement;

  constructor(
    parent: HTMLElement,
    private readonly atlas: () => Atlas,
    private readonly shown: ShownLayers,
    private readonly offered: (which: Switch) => boolean,
    private readonly changed: () => void,
    opened: () => void,
  ) {
    this.details = element("details", "mz-panel mz-layers", parent);
    this.details.name = "mz-side";
    this.details.addEventListener("toggle", () => {
      if (this.details.open) opened();
    });
    this.render();
  }

  /** It is drawn again when symbols have come: whoever is at one of its switches stays there. */
  render(): void {
    const at = [...this.details.querySelectorAll("input")].findIndex((input) => input === document.activeElement);
    this.details.replaceChildren();
    element("summary", "", this.details).textContent = text("map.legend");
    const body = element("div", "", this.details);
    element("h3", "", body).textContent = text("map.layers");
    for (const which of SWITCHES) if (this.offered(which)) this.layer(body, which);
    const atlas = this.atlas();
    this.list(
      body,
      "map.kinds",
      LEGEND_KINDS.map(([kind, flags]) => [[sampleIcon(kind, TrackStatus.LIVE, flags), sampleType(atlas, kind, flags) ?? ""], text(kindKey(kind, flags))]),
    );
    element("p", "mz-help", body).textContent = text("map.types.rule");
    this.list(body, "map.statuses", Object.values(TrackStatus).map((s) => [sampleIcon(SubjectKind.VESSEL, s, 0), text(`map.status.${s}`)]));
    this.list(body, "map.alerts", (Object.keys(palette.SEVERITY)).map((s) => [`alert-${s}-open`, text(`map.severity.${s}`)]));
    if (this.offered("incidents")) this.list(body, "map.incidents", incidentLegend());
    this.details.querySelectorAll("input")[at]?.focus();
  }

  /** Open the panel with the focus in it, or close it. */
  toggle(): void {
    this.details.open = !this.details.open;
    this.details.querySelector<HTMLElement>(this.details.open ? "input" : "summary")?.focus();
  }

  /** A layer's switch and, but for alerts, how strongly it is drawn. */
  private layer(body: Element, which: Switch): void {
    const row = element("div", "mz-layer", body);
    const label = element("label", "", row);
    const box = element("input", "", label);
    const name = text(`map.layer.${which}`);
    const { on, opacity } = this.shown.of(which);
    box.type = "checkbox";
    box.checked = on;
    element("span", "", label).textContent = name;
    box.addEventListener("change", () => {
      this.shown.change(which, { on: box.checked });
      strength.disabled = !box.checked;
      this.changed();
    });
    const strength = document.createElement("input");
    if (NEVER_FAINT.has(which)) return;
    Object.assign(strength, { type: "range", min: LEAST_OPACITY, max: 100, step: 10, value: opacity, disabled: !on });
    strength.dataset.layer = which;
    strength.title = text("map.layer.strength", { name });
    strength.setAttribute("aria-label", strength.title);
    strength.addEventListener("input", () => {
      this.shown.change(which, { opacity: strength.valueAsNumber });
      this.changed();
    });
    row.append(strength);
  }

  /** Each row: an icon, or several beside each other, and what they mean. */
  private list(body: Element, title: string, rows: readonly (readonly [string | readonly string[], string])[]): void {
    element("h3", "", body).textContent = text(title);
    const list = element("ul", "", body);
    for (const [icons, words] of rows) {
      const row = element("li", "", list);
      for (const icon of typeof icons === "string" ? [icons] : icons) row.append(drawIcon(this.atlas(), icon, 26));
      element("span", "", row).textContent = words;
    }
  }
}

const OURS = 1;
const LEGEND_KINDS: readonly (readonly [number, number])[] = [
  [SubjectKind.VESSEL, 0],
  [SubjectKind.UNKNOWN, 0],
  [SubjectKind.AIRCRAFT, 0],
  [SubjectKind.AIR_DRONE, OURS],
  [SubjectKind.UNDERWATER_DRONE, OURS],
  [SubjectKind.SURFACE_DRONE, OURS],
  [SubjectKind.DISTRESS_BEACON, 0],
  [SubjectKind.AID_TO_NAVIGATION, 0],
  [SubjectKind.BASE_STATION, 0],
  [SubjectKind.GROUND_STATION, OURS],
];

function kindKey(kind: number, flags: number): string {
  return flags & OURS ? `map.kind.${kind}.ours` : `map.kind.${kind}`;
}

/** What a track is, in a few lines, beside the pointer. */
export class Tip {
  private readonly box: HTMLElement;

  constructor(private readonly root: HTMLElement) {
    this.box = element("div", "mz-panel mz-tip", root);
    this.box.hidden = true;
  }

  hide(): void {
    this.box.hidden = true;
  }

  show(x: number, y: number, title: string, lines: readonly string[]): void {
    const strong = document.createElement("strong");
    strong.textContent = title;
    this.box.replaceChildren(strong, ...lines.flatMap((line, i) => (i === 0 ? [line] : [document.createElement("br"), line])));
    this.box.hidden = false;
    const right = x + 18 + this.box.offsetWidth > this.root.clientWidth;
    this.box.style.left = `${right ? x - 14 - this.box.offsetWidth : x + 18}px`;
    this.box.style.top = `${Math.max(4, Math.min(y - 10, this.root.clientHeight - this.box.offsetHeight - 4))}px`;
  }
}

/** Speed, course, status and age of a track, one line each. */
export function trackLines(track: TrackRecord, picture: Picture): string[] {
  const kind = text(`map.kind.${Object.values(SubjectKind).some((k) => k === track.kind) ? track.kind : 0}`);
  const speed = track.speedMps === null ? text("map.unknown") : text("map.knots", { n: (track.speedMps * KNOTS_PER_MPS).toFixed(1) });
  const radius = radius95M(track);
  const course = track.courseDeg === null ? text("map.unknown") : `${String(Math.round(track.courseDeg) % 360).padStart(3, "0")}°`;
  return [
    `${kind} · ${text(`map.status.${track.status}`)}`,
    text("map.motion", { speed, course }),
    text("map.last_heard", { age: age(picture.ageS(track)) }),
    ...(radius === null ? [] : [text("map.error", { m: Math.max(1, Math.round(radius)).toLocaleString("en") })]),
  ];
}

/** A live region: what a screen reader says when the selection moves by keyboard. */
export class Announcer {
  private readonly box: HTMLElement;

  constructor(root: HTMLElement) {
    this.box = element("div", "mz-spoken", root);
    this.box.setAttribute("aria-live", "polite");
  }

  say(words: string): void {
    this.box.textContent = words;
  }
}
