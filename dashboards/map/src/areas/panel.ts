// The areas panel beside the map: the list of what is watched, and the editor.
import { type FilesOf, type Imported, PlaceFiles } from "../files.js";
import { text } from "../texts.js";
import { clockTime } from "../units.js";
import { button, make, nameOf, put, reason, size, toast } from "./dom.js";
import { AreaEditor } from "./editor.js";
import { type AreaFeature, type AreaKind, KINDS, type Point, type StoredArea, listAreas, oneArea, restoreArea } from "./model.js";
import type { Sketch } from "./sketch.js";

const FILTER_FROM = 8;

interface ImportedArea extends Imported {
  readonly kind: AreaKind;
  readonly name_ja: string;
  readonly name_en: string;
  readonly area_km2: number;
  readonly area_nm2: number;
}

const FILES: FilesOf<ImportedArea> = {
  name: "areas",
  id: "area",
  kinds: [...KINDS].reverse(),
  told: (one: ImportedArea) => [nameOf(one), `${text(`area.kind.${one.kind}`)} ${size(one.area_km2, one.area_nm2)}`],
};

/** What the panel asks of the map; null while there is none. */
export interface AreaMap {
  readonly sketch: Sketch;
  showBox(points: readonly Point[]): void;
}

export class AreaPanel {
  private readonly shell = document.getElementById("shell");
  private readonly list = make("ul", { class: "area-list", "aria-labelledby": "areas-title" });
  private readonly note = make("p", { class: "empty", hidden: true, role: "status" });
  private readonly filter = make("input", { type: "text", id: "area-filter", maxlength: "100", autocomplete: "off", spellcheck: "false", placeholder: text("areas.filter"), "aria-label": text("areas.filter"), hidden: true });
  private readonly retired = make("input", { type: "checkbox", id: "area-retired" });
  private readonly overview: HTMLElement;
  private readonly mayEdit: boolean;
  private editor: AreaEditor | null = null;
  private areas: readonly AreaFeature[] = [];
  private open = false;
  private asked = 0;
  /** The slug of the area that somebody looks for. */
  private wanted: string | null = null;

  constructor(private readonly root: HTMLElement, private readonly map: () => AreaMap | null) {
    this.mayEdit = root.dataset.mayEdit === "true";
    this.overview = make(
      "div",
      { class: "area-overview" },
      make("div", { class: "buttons" }, this.mayEdit ? button("areas.new", () => this.edit(null), { id: "area-new", class: "go" }) : null),
      this.filter,
      make("label", { class: "area-retired" }, this.retired, text("areas.show_retired")),
      this.note,
      this.list,
      new PlaceFiles(FILES, this.mayEdit, () => void this.load()).element,
    );
    root.append(this.overview);
    this.filter.addEventListener("input", () => this.render());
    this.retired.addEventListener("change", () => void this.load());
    this.overview.addEventListener("keydown", (event) => this.walk(event));
    document.addEventListener("mizugiwa:area", (event) => void this.goTo((event as CustomEvent<string>).detail));
    if (this.shell !== null) new MutationObserver(() => this.sideChanged()).observe(this.shell, { attributes: true, attributeFilter: ["data-side"] });
    window.addEventListener("beforeunload", (event) => {
      if (this.editor?.dirty) event.preventDefault();
    });
  }

  /** Somebody changed an area, here or elsewhere. */
  changed(): void {
    if (this.open && this.editor === null) void this.load();
  }

  /** The map is there now. */
  mapReady(): void {
    this.editor?.sketchAgain();
  }

  private sideChanged(): void {
    const open = this.shell?.dataset.side === "areas";
    if (open === this.open) return;
    this.open = open;
    if (!open) {
      this.wanted = null;
      return;
    }
    if (this.editor === null) void this.load().then(() => this.focusList());
    else this.editor.focus();
  }

  private focusList(): void {
    const wanted = this.wanted === null ? null : this.list.querySelector<HTMLElement>(`[data-area="${CSS.escape(this.wanted)}"]`);
    (wanted ?? this.overview.querySelector<HTMLElement>("#area-new, [data-area]"))?.focus();
  }

  /** Somebody looks for this area: its line, from which Enter edits it. An edit that is under way is not left. */
  private async goTo(slug: string): Promise<void> {
    if (this.editor !== null) return;
    this.filter.value = "";
    this.wanted = slug;
    await this.load();
    this.focusList();
  }

  private async load(): Promise<void> {
    const asked = (this.asked += 1);
    try {
      const areas = await listAreas(this.retired.checked);
      if (asked !== this.asked) return;
      this.areas = areas;
      this.render();
    } catch (error) {
      if (asked === this.asked) put(this.note, text("areas.not_read", { reason: reason(error) }));
    }
  }

  private render(): void {
    const words = this.filter.value.normalize("NFKC").trim().toLowerCase();
    const shown = this.areas.filter(({ properties: p }) => `${p.name_ja} ${p.name_en} ${p.slug}`.normalize("NFKC").toLowerCase().includes(words));
    this.filter.hidden = this.areas.length < FILTER_FROM && words === "";
    put(this.note, this.areas.length === 0 ? text(this.mayEdit ? "areas.none" : "areas.none_watch") : shown.length === 0 ? text("areas.none_found") : "");
    this.list.replaceChildren(...shown.map((area) => this.line(area)));
  }

  private line(area: AreaFeature): HTMLElement {
    const p = area.properties;
    const first = nameOf(p);
    const second = first === p.name_ja ? p.name_en : p.name_ja;
    const facts = text("areas.version_line", { version: p.version, time: clockTime(Date.parse(p.valid_from)), who: p.author });
    const main = make(
      "button",
      { type: "button", class: "area-line", "data-area": p.slug },
      make("span", { class: `area-mark mark-${p.kind}`, "aria-hidden": "true" }),
      make("strong", {}, first),
      make("span", { class: "area-kind" }, p.retired ? text("areas.retired") : text(`area.kind.${p.kind}`)),
      first === second ? null : make("span", { class: "area-other" }, second),
      make("span", { class: "area-size" }, size(p.area_km2, p.area_nm2)),
      make("small", {}, facts),
    );
    main.addEventListener("click", () => this.chosen(area));
    const back = p.retired && this.mayEdit ? button("areas.bring_back", () => void this.bringBack(area), { class: "bring-back" }) : null;
    return make("li", { class: p.retired ? "retired" : "" }, main, back);
  }

  private chosen(area: AreaFeature): void {
    this.map()?.showBox((area.geometry.type === "Polygon" ? [area.geometry.coordinates] : area.geometry.coordinates).flat(2).map((at) => [at[0] as number, at[1] as number]));
    if (this.mayEdit && !area.properties.retired) void this.reopen(area.properties.slug);
  }

  /** The last version before it was retired holds again. */
  private async bringBack({ properties: p }: AreaFeature): Promise<void> {
    try {
      const { properties } = await restoreArea(p.slug, p.version - 1, p.version);
      toast(text("areas.restored", { name: nameOf(properties), version: properties.version }));
    } catch (error) {
      toast(reason(error));
    }
    await this.load();
    this.focusList();
  }

  private async reopen(slug: string): Promise<void> {
    try {
      const area = await oneArea(slug);
      this.edit(area);
    } catch (error) {
      put(this.note, text("areas.not_read", { reason: reason(error) }));
    }
  }

  private edit(area: StoredArea | null): void {
    this.editor?.close();
    this.editor?.element.remove();
    const editor = new AreaEditor(area, {
      sketch: () => this.map()?.sketch ?? null,
      done: (saved) => this.done(area?.properties.slug ?? null, saved),
      reopen: (slug) => void this.reopen(slug),
    });
    this.editor = editor;
    // read by presence.js: who else opens the area is told
    this.root.dataset.editing = area?.properties.slug ?? "";
    this.overview.hidden = true;
    this.root.append(editor.element);
    editor.focus();
  }

  private done(slug: string | null, saved: boolean): void {
    this.editor?.close();
    this.editor?.element.remove();
    this.editor = null;
    this.root.dataset.editing = "";
    this.overview.hidden = false;
    const back = (): void => {
      const line = slug === null ? null : this.list.querySelector<HTMLElement>(`[data-area="${slug}"]`);
      if (line === null) this.focusList();
      else line.focus();
    };
    if (saved) void this.load().then(back);
    else back();
  }

  /** The arrows go through the list. */
  private walk(event: KeyboardEvent): void {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const lines = [...this.list.querySelectorAll<HTMLElement>("[data-area]")];
    const at = lines.indexOf(document.activeElement as HTMLElement);
    lines[Math.max(0, Math.min(lines.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))]?.focus();
    event.preventDefault();
    event.stopPropagation();
  }
}
