// One area being made, changed, retired or brought back. Table and drawing edit the same rows.
import type { RestError } from "../rest.js";
import { text } from "../texts.js";
import { clockTime } from "../units.js";
import { button, make, nameOf, put, reason, size, toast } from "./dom.js";
import {
  type AreaFeature, type AreaKind, type AreaVersion, type CheckedTable, KINDS, type Point, type Ring, type StoredArea,
  areaVersions, checkRings, emptyRow, isBlank, restoreArea, retireArea, ringsOf, rowsOf, saveArea,
} from "./model.js";
import type { Sketch } from "./sketch.js";
import { CoordinateTable } from "./table.js";

const CHECK_AFTER_MS = 300;

export interface EditorHost {
  /** The map's hands; null while there is no map. */
  sketch(): Sketch | null;
  /** The officer is done: back to the list. `saved` where something changed. */
  done(saved: boolean): void;
  /** Open the newest version of an area. */
  reopen(slug: string): void;
}

export class AreaEditor {
  readonly element: HTMLFormElement;
  private readonly table: CoordinateTable;
  private readonly nameJa: HTMLInputElement;
  private readonly nameEn: HTMLInputElement;
  private readonly sizeLine = make("p", { class: "area-size", role: "status" });
  private readonly problem = make("p", { class: "error", role: "alert", hidden: true });
  private readonly ask = make("div", { class: "ask", role: "alertdialog", "aria-labelledby": "area-ask", hidden: true });
  private readonly history = make("ol", { class: "area-versions" });
  private readonly saveButton: HTMLButtonElement;
  private readonly drawButton: HTMLButtonElement;
  private readonly rings: Ring[];
  private readonly before: string;
  private readonly rowsBefore: string;
  private ring = 0;
  private kind: AreaKind;
  private based: { readonly slug: string; readonly version: number } | null;
  private checked: CheckedTable | null = null;
  private checks = 0;
  private timer: number | undefined;
  private closed = false;

  /** area: null for a new one. */
  constructor(private readonly area: StoredArea | null, private readonly host: EditorHost) {
    const said = area?.properties;
    this.based = said === undefined ? null : { slug: said.slug, version: said.version };
    this.kind = said?.kind ?? "geofence";
    this.rings = area === null ? [{ hole: false, rows: [emptyRow(), emptyRow(), emptyRow()] }] : ringsOf(area);
    this.nameJa = this.nameField("area-name-ja", said?.name_ja ?? "");
    this.nameEn = this.nameField("area-name-en", said?.name_en ?? "");
    this.table = new CoordinateTable(() => this.changed());
    this.saveButton = make("button", { type: "submit", class: "go", id: "area-save" }, text("areas.save"));
    this.drawButton = button("areas.draw", () => this.draw(), { id: "area-draw" });
    this.element = make(
      "form",
      { class: "area-editor", "aria-labelledby": "area-title", novalidate: true },
      make("h3", { id: "area-title" }, area === null ? text("areas.new_title") : text("areas.edit_title", { slug: said?.slug ?? "", version: said?.version ?? 0 })),
      make("label", { for: "area-name-ja" }, text("areas.name_ja")),
      this.nameJa,
      make("label", { for: "area-name-en" }, text("areas.name_en")),
      this.nameEn,
      this.kindField(),
      make("h4", { id: "area-rows-title" }, text("areas.rows")),
      this.ringField(),
      make("div", { class: "buttons" }, this.drawButton, button("areas.fit", () => this.host.sketch()?.fit(), { id: "area-fit" })),
      this.table.element,
      make("div", { class: "area-foot" }, this.sizeLine, this.problem, this.ask, make("div", { class: "buttons" }, this.saveButton, button("areas.cancel", () => this.leave(), { id: "area-cancel" }), area === null ? null : button("areas.retire", () => this.askRetire(), { id: "area-retire", class: "danger" }))),
      area === null ? null : this.historyField(),
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.save();
    });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.table.show(this.current);
    this.before = this.written();
    this.rowsBefore = this.rowsWritten();
    void this.check();
  }

  /** Something was typed or drawn that is not saved. */
  get dirty(): boolean {
    return !this.closed && this.written() !== this.before;
  }

  focus(): void {
    this.nameJa.focus();
  }

  /** The map is there now, or there again. */
  sketchAgain(): void {
    this.drawOnMap();
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.host.sketch()?.show(null);
  }

  private get current(): Ring {
    return this.rings[this.ring] as Ring;
  }

  private written(): string {
    return JSON.stringify([this.nameJa.value, this.nameEn.value, this.kind, this.rowsWritten()]);
  }

  private rowsWritten(): string {
    return JSON.stringify(this.rings.map((ring) => ring.rows.filter((row) => !isBlank(row)).map((row) => row.exact ?? row.text)));
  }

  private nameField(id: string, value: string): HTMLInputElement {
    const field = make("input", { id, type: "text", maxlength: "100", autocomplete: "off", spellcheck: "false" });
    field.value = value;
    return field;
  }

  private kindField(): HTMLElement {
    const options = KINDS.map((kind) => {
      const radio = make("input", { type: "radio", name: "area-kind", value: kind });
      radio.checked = kind === this.kind;
      radio.addEventListener("change", () => {
        this.kind = kind;
      });
      return make("label", { class: `kind kind-${kind}` }, radio, make("span", {}, text(`area.kind.${kind}`), make("small", {}, text(`areas.kind_help.${kind}`))));
    });
    return make("fieldset", {}, make("legend", {}, text("areas.kind")), ...options);
  }

  /** Which part or hole the table shows; nothing to choose where there is one outline. */
  private ringField(): HTMLElement | null {
    if (this.rings.length < 2) return null;
    const choice = make("select", { id: "area-ring", "aria-label": text("areas.ring") });
    let part = 0;
    this.rings.forEach((ring, i) => {
      if (!ring.hole) part += 1;
      choice.append(make("option", { value: String(i) }, text(ring.hole ? "areas.ring_hole" : "areas.ring_part", { part, n: ring.rows.length })));
    });
    choice.addEventListener("change", () => {
      this.ring = Number(choice.value);
      this.table.show(this.current);
      this.drawOnMap();
    });
    return choice;
  }

  private historyField(): HTMLElement {
    const details = make("details", { class: "area-history" }, make("summary", {}, text("areas.history")), this.history);
    details.addEventListener("toggle", () => {
      if (details.open) void this.loadHistory();
    });
    return details;
  }

  // reading what is written

  private changed(): void {
    this.host.sketch()?.cancel();
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.check(), CHECK_AFTER_MS);
  }

  private async check(): Promise<void> {
    window.clearTimeout(this.timer);
    this.timer = undefined;
    const asked = (this.checks += 1);
    if (this.area !== null && this.rowsWritten() === this.rowsBefore) {
      // The stored shape, however large it is: nobody touched it.
      const { geometry, properties } = this.area;
      this.checked = { rings: [], problem: null, geometry, area_km2: properties.area_km2, area_nm2: properties.area_nm2 };
      for (const ring of this.rings) for (const row of ring.rows) row.problem = null;
      this.tell("");
      return;
    }
    if (this.rings.every((ring) => ring.rows.every(isBlank))) {
      this.checked = null;
      this.tell("");
      return;
    }
    try {
      const checked = await checkRings(this.rings);
      if (asked !== this.checks || this.closed) return;
      this.checked = checked;
      this.tell(checked.problem ?? "");
    } catch (error) {
      if (asked === this.checks && !this.closed) this.tell(reason(error));
    }
  }

  private tell(problem: string): void {
    const { checked } = this;
    // Before there are three rows the officer has only begun.
    const begun = this.current.rows.filter((row) => !isBlank(row)).length < 3;
    put(this.problem, begun ? "" : problem);
    put(this.sizeLine, checked === null || checked.area_km2 === null || checked.area_nm2 === null ? "" : size(checked.area_km2, checked.area_nm2));
    this.table.told();
    this.drawOnMap();
  }

  // the map

  private drawOnMap(): void {
    const sketch = this.host.sketch();
    this.drawButton.disabled = sketch === null;
    if (sketch === null || this.closed) return;
    const rows = this.current.rows.filter((row) => !isBlank(row)).map((row) => row.point);
    sketch.show({ shape: this.checked?.geometry ?? null, rows }, this.table.tooMany ? null : (points) => this.movedByHand(points));
  }

  private draw(): void {
    const sketch = this.host.sketch();
    if (sketch === null) return;
    if (sketch.drawing) {
      sketch.cancel();
      put(this.problem, "");
    } else if (sketch.begin((points) => this.movedByHand(points))) {
      toast(text("areas.draw_help"));
    }
  }

  private movedByHand(points: readonly Point[]): void {
    this.current.rows = rowsOf(points, this.current.rows);
    this.table.show(this.current);
    void this.check();
  }

  // what is done

  private async save(): Promise<void> {
    this.saveButton.disabled = true;
    try {
      await this.check();
      if (this.table.focusProblem()) return;
      const geometry = this.checked?.geometry ?? null;
      if (geometry === null) {
        put(this.problem, this.checked?.problem ?? text("areas.no_rows"));
        this.table.focus(0);
        return;
      }
      const saved = await saveArea({ kind: this.kind, name_ja: this.nameJa.value, name_en: this.nameEn.value }, geometry, this.based);
      toast(text("areas.saved", { name: nameOf(saved.properties), version: saved.properties.version }));
      this.host.done(true);
    } catch (error) {
      this.failed(error);
    } finally {
      this.saveButton.disabled = false;
    }
  }

  private failed(error: unknown): void {
    put(this.problem, reason(error));
    const current = (error as RestError).problem?.current as AreaFeature | undefined;
    if (current === undefined || this.based === null) return;
    const { slug, version } = current.properties;
    this.question(text("areas.conflict"), [
      button("areas.load_theirs", () => this.host.reopen(slug)),
      button("areas.keep_mine", () => {
        this.based = { slug, version };
        this.noQuestion();
        put(this.problem, "");
        this.saveButton.focus();
      }),
    ]);
  }

  private askRetire(): void {
    const { based } = this;
    if (based === null) return;
    this.question(text("areas.retire_ask", { name: nameOf({ name_ja: this.nameJa.value, name_en: this.nameEn.value }) }), [
      button("areas.retire_yes", () => void this.act(() => retireArea(based.slug, based.version), "areas.retired_done"), { class: "danger", id: "area-retire-yes" }),
      button("areas.retire_no", () => this.noQuestion()),
    ]);
  }

  private async loadHistory(): Promise<void> {
    const { based } = this;
    if (based === null) return;
    try {
      const versions = await areaVersions(based.slug);
      this.history.replaceChildren(...versions.map((one) => this.version(one, based)));
    } catch (error) {
      this.history.replaceChildren(make("li", { class: "error" }, reason(error)));
    }
  }

  private version({ properties: one }: AreaVersion, based: { readonly slug: string; readonly version: number }): HTMLElement {
    const words = text("areas.version_line", { version: one.version, time: clockTime(Date.parse(one.valid_from)), who: one.author });
    const what = one.retired ? text("areas.retired") : `${text(`area.kind.${one.kind}`)} ${size(one.area_km2, one.area_nm2)}`;
    const restore = one.version === based.version || one.retired ? null : button("areas.restore", () => void this.act(() => restoreArea(based.slug, one.version, based.version), "areas.restored"));
    return make("li", {}, make("span", {}, words), make("small", {}, what), restore);
  }

  private async act(done: () => Promise<AreaFeature>, toldKey: string): Promise<void> {
    try {
      const { properties } = await done();
      toast(text(toldKey, { name: nameOf(properties), version: properties.version }));
      this.host.done(true);
    } catch (error) {
      this.noQuestion();
      this.failed(error);
    }
  }

  /** Back to the list; what was not saved is asked for. */
  leave(): void {
    if (!this.dirty) {
      this.host.done(false);
      return;
    }
    this.question(text("areas.discard_ask"), [
      button("areas.discard_no", () => this.noQuestion()),
      button("areas.discard_yes", () => this.host.done(false), { class: "danger", id: "area-discard" }),
    ]);
  }

  private question(words: string, answers: readonly HTMLButtonElement[]): void {
    this.ask.replaceChildren(make("p", { id: "area-ask" }, words), make("div", { class: "buttons" }, ...answers));
    this.ask.hidden = false;
    // The answer that changes nothing is the one that a hasty Enter gives.
    answers.find((answer) => !answer.classList.contains("danger"))?.focus();
  }

  private noQuestion(): void {
    this.ask.hidden = true;
    this.ask.replaceChildren();
    this.saveButton.focus();
  }

  private key(event: KeyboardEvent): void {
    // The page's own keys are for the list of alerts; here letters are names and places.
    event.stopPropagation();
    if (event.key === "Escape" && !event.isComposing) {
      const sketch = this.host.sketch();
      if (sketch?.drawing) sketch.cancel();
      else if (!this.ask.hidden) this.noQuestion();
      else this.leave();
      event.preventDefault();
    } else if (event.key === "Enter" && (event.target === this.nameJa || event.target === this.nameEn)) {
      event.preventDefault();
      if (!event.isComposing) (event.target === this.nameJa ? this.nameEn : this.saveButton).focus();
    } else if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void this.save();
    }
  }
}
