// The facilities panel: the list that the keyboard goes through, files in and out, and the acts of the one that is open,
// whose facts the page fills in (dashboards/panels/facilities.py).
import { button, make, nameOf, put, reason, toast } from "./areas/dom.js";
import { setProps } from "./dash.js";
import { type FilesOf, type Imported, PlaceFiles } from "./files.js";
import { getJson, send } from "./rest.js";
import { text } from "./texts.js";

export const KINDS = [
  "other", "bonded_area", "port_facility", "lookout", "coast_guard", "police",
  "customs_headquarters", "customs_branch", "open_port", "customs_airport",
] as const;

/** The map says with this event that a facility was chosen on it; detail is its id. */
const CHOSEN = "mizugiwa:facility";

interface FacilityProperties {
  readonly facility_id: string;
  readonly kind: (typeof KINDS)[number];
  readonly name_ja: string;
  readonly name_en: string;
  readonly prefecture: string;
  readonly municipality: string;
  readonly origin: "shipped" | "imported";
  readonly version: number;
  readonly retired: boolean;
}

type Facility = GeoJSON.Feature<GeoJSON.Point, FacilityProperties>;

interface ImportedFacility extends Imported {
  readonly kind: string;
  readonly name_ja: string;
  readonly name_en: string;
  readonly place: string;
}

const FILES: FilesOf<ImportedFacility> = {
  name: "facilities",
  id: "facility",
  kinds: KINDS,
  told: (one: ImportedFacility) => [nameOf(one), `${text(`facility.kind.${one.kind}`)} ${one.place}`],
};

const folded = (words: string): string => words.normalize("NFKC").trim().toLowerCase();

export class FacilityPanel {
  private readonly shell = document.getElementById("shell");
  private readonly list = make("ul", { class: "facility-list", "aria-labelledby": "facilities-title" });
  private readonly note = make("p", { class: "empty", hidden: true, role: "status" });
  private readonly filter = make("input", { type: "text", id: "facility-filter", maxlength: "100", autocomplete: "off", spellcheck: "false", placeholder: text("facilities.filter"), "aria-label": text("facilities.filter") });
  private readonly retired = make("input", { type: "checkbox", id: "facility-retired" });
  private readonly overview: HTMLElement;
  /** The question stands beside what the page fills in, which is written anew whenever something near changed. */
  private readonly asking = make("div", { class: "facility-ask" });
  private readonly mayEdit: boolean;
  private facilities: readonly Facility[] = [];
  private open = false;
  private asked = 0;
  private told = 0;
  private chosen: string | null = null;

  constructor(root: HTMLElement, private readonly show: (lon: number, lat: number) => void) {
    this.mayEdit = root.dataset.mayEdit === "true";
    this.overview = make(
      "div",
      { class: "facility-overview" },
      this.filter,
      make("label", { class: "facility-retired" }, this.retired, text("facilities.show_retired")),
      this.note,
      this.list,
      new PlaceFiles(FILES, this.mayEdit, () => void this.load()).element,
      this.mayEdit ? make("p", { class: "help" }, text("facilities.shared")) : null,
    );
    root.append(this.asking, this.overview);
    this.filter.addEventListener("input", () => this.render());
    this.retired.addEventListener("change", () => void this.load());
    this.overview.addEventListener("keydown", (event) => this.walk(event));
    root.addEventListener("click", (event) => this.pressed(event));
    document.addEventListener(CHOSEN, (event) => this.choose((event as CustomEvent<string>).detail));
    if (this.shell !== null) new MutationObserver(() => this.sideChanged()).observe(this.shell, { attributes: true, attributeFilter: ["data-side"] });
  }

  /** Somebody changed a facility, here or elsewhere. */
  changed(): void {
    if (this.open) void this.load();
    if (this.chosen !== null) this.tell(this.chosen);
  }

  /** The page fills in the facts of this one; it does so again where it is told again. */
  private tell(id: string): void {
    setProps("facility-selected", { data: { id, told: (this.told += 1) } });
  }

  private sideChanged(): void {
    const open = this.shell?.dataset.side === "facilities";
    if (open === this.open) return;
    this.open = open;
    if (!open) return this.back();
    void this.load().then(() => {
      if (this.chosen === null) this.filter.focus();
    });
  }

  private async load(): Promise<void> {
    const asked = (this.asked += 1);
    try {
      const { features } = await getJson<{ readonly features: readonly Facility[] }>(`/api/facilities?retired=${this.retired.checked}`);
      if (asked !== this.asked) return;
      this.facilities = features;
      this.render();
    } catch (error) {
      if (asked === this.asked) put(this.note, text("facilities.not_read", { reason: reason(error) }));
    }
  }

  private render(): void {
    const words = folded(this.filter.value);
    const shown = this.facilities.filter(({ properties: p }) =>
      folded(`${p.name_ja} ${p.name_en} ${p.prefecture} ${p.municipality} ${text(`facility.kind.${p.kind}`)} ${p.facility_id}`).includes(words),
    );
    put(this.note, shown.length > 0 ? "" : text(this.facilities.length === 0 ? "facilities.none" : "facilities.none_found"));
    this.list.replaceChildren(...shown.map((facility) => this.line(facility)));
  }

  private line({ properties: p }: Facility): HTMLElement {
    const name = nameOf(p);
    const other = name === p.name_ja ? p.name_en : p.name_ja;
    const place = [p.prefecture, p.municipality].filter((part) => part !== "").join(" ");
    const line = make(
      "button",
      { type: "button", class: "facility-line", "data-facility": p.facility_id },
      make("strong", {}, name),
      make("span", {}, p.retired ? text("facilities.retired") : text(`facility.origin.${p.origin}`)),
      make("small", {}, [text(`facility.kind.${p.kind}`), place, other === name ? "" : other].filter((part) => part !== "").join("  ")),
    );
    return make("li", { class: p.retired ? "retired" : "" }, line);
  }

  private choose(id: string): void {
    this.chosen = id;
    this.asking.replaceChildren();
    this.overview.hidden = true;
    this.tell(id);
    window.mizugiwaPage?.side("facilities");
    document.getElementById("facility")?.focus({ preventScroll: true });
  }

  /** Chosen in the list: the map goes there. */
  private chooseInList(id: string): void {
    const found = this.facilities.find(({ properties }) => properties.facility_id === id);
    const [lon, lat] = found?.geometry.coordinates ?? [];
    if (lon !== undefined && lat !== undefined) this.show(lon, lat);
    this.choose(id);
  }

  /** From one facility to the list of all, where it was. */
  private back(): void {
    const { chosen } = this;
    this.chosen = null;
    this.asking.replaceChildren();
    this.overview.hidden = false;
    setProps("facility-selected", { data: null });
    if (chosen !== null && this.open) (this.list.querySelector<HTMLElement>(`[data-facility="${CSS.escape(chosen)}"]`) ?? this.filter).focus();
  }

  private pressed(event: MouseEvent): void {
    const on = (selector: string): HTMLElement | null => (event.target as Element).closest<HTMLElement>(selector);
    const line = on("[data-facility]");
    const alert = on("[data-near-alert]");
    const [retire, restore] = [on("#facility-retire"), on("#facility-restore")];
    const { chosen } = this;
    if (line !== null) this.chooseInList(line.dataset.facility as string);
    else if (on("#facility-back") !== null) this.back();
    else if (alert !== null) setProps("map-selected", { data: { alert_id: alert.dataset.nearAlert, track_id: alert.dataset.track || null } });
    else if (retire !== null) this.ask(retire);
    else if (restore !== null && chosen !== null) void this.act(chosen, restore.dataset);
  }

  /** Retiring can be undone, but it is so on every screen of every realm: it asks. */
  private ask(pressed: HTMLElement): void {
    const { chosen } = this;
    if (chosen === null) return;
    const no = button("facilities.retire_no", () => {
      this.asking.replaceChildren();
      document.getElementById("facility-retire")?.focus();
    }, { id: "facility-retire-no" });
    const yes = button("facilities.retire_yes", () => void this.act(chosen, pressed.dataset), { id: "facility-retire-yes", class: "danger" });
    this.asking.replaceChildren(make("div", { class: "ask" }, make("p", {}, text("facilities.retire_ask", { name: pressed.dataset.name ?? chosen })), make("div", { class: "buttons" }, yes, no)));
    no.focus();
  }

  private async act(id: string, { version, back, name }: DOMStringMap): Promise<void> {
    this.asking.replaceChildren();
    const match = { "If-Match": `"${version ?? ""}"` };
    try {
      if (back === undefined) await send("DELETE", `/api/facilities/${encodeURIComponent(id)}`, null, match);
      else await send("POST", `/api/facilities/${encodeURIComponent(id)}/restore`, { version: Number(back) }, match);
      toast(text(back === undefined ? "facilities.retired_done" : "facilities.restored", { name: name ?? id }));
    } catch (error) {
      toast(reason(error));
    }
    this.changed();
  }

  /** The arrows go through the list, from the filter on; Escape empties the filter first. */
  private walk(event: KeyboardEvent): void {
    if (event.key === "Escape" && event.target === this.filter && this.filter.value !== "") {
      this.filter.value = "";
      this.render();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (event.target instanceof HTMLSelectElement) return;
      const lines = [...this.list.querySelectorAll<HTMLElement>("[data-facility]")];
      const at = lines.indexOf(document.activeElement as HTMLElement);
      if (at === 0 && event.key === "ArrowUp") this.filter.focus();
      else lines[Math.max(0, Math.min(lines.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))]?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
