// Areas out to files and in from them: what a file would do is shown before anything is done.
import type { RestError } from "../rest.js";
import { send } from "../rest.js";
import { text } from "../texts.js";
import { button, make, nameOf, put, reason, size, toast } from "./dom.js";
import { type AreaKind, KINDS } from "./model.js";

const FORMATS = [["gpkg", "GeoPackage"], ["geojson", "GeoJSON"], ["kml", "KML"], ["csv", "CSV"]] as const;
const MOST_BYTES = 10 * 1024 * 1024;

interface Imported {
  readonly feature: number;
  readonly slug: string;
  readonly outcome: "created" | "changed" | "restored" | "unchanged";
  readonly kind: AreaKind;
  readonly name_ja: string;
  readonly name_en: string;
  readonly area_km2: number;
  readonly area_nm2: number;
}

interface Wrong {
  readonly feature: number;
  readonly row: number | null;
  readonly message: string;
}

export class AreaFiles {
  readonly element: HTMLElement;
  private readonly file = make("input", { type: "file", id: "area-file", accept: ".gpkg,.geojson,.json,.kml,.csv" });
  private readonly kind = make("select", { id: "area-file-kind" }, ...[...KINDS].reverse().map((kind) => make("option", { value: kind }, text(`area.kind.${kind}`))));
  private readonly note = make("p", { role: "status", hidden: true });
  private readonly lines = make("ul", { class: "area-import" });
  private readonly take = button("areas.file_take", () => void this.bringIn(false), { id: "area-file-take", class: "go", hidden: true });

  constructor(mayEdit: boolean, private readonly changed: () => void) {
    const links = FORMATS.map(([format, name]) => make("a", { href: `/api/areas/export?format=${format}`, download: true }, name));
    this.element = make(
      "details",
      { class: "area-files" },
      make("summary", {}, text(mayEdit ? "areas.files" : "areas.files_out")),
      make("p", { class: "downloads" }, make("span", {}, text("areas.file_save")), ...links),
      mayEdit
        ? make("div", {}, make("label", { for: "area-file" }, text("areas.file_choose")), this.file, make("label", { for: "area-file-kind" }, text("areas.file_kind")), this.kind, this.note, this.lines, make("div", { class: "buttons" }, this.take))
        : null,
    );
    this.file.addEventListener("change", () => void this.bringIn(true));
    this.kind.addEventListener("change", () => void this.bringIn(true));
  }

  private async bringIn(dryRun: boolean): Promise<void> {
    const file = this.file.files?.[0];
    this.take.hidden = true;
    this.lines.replaceChildren();
    put(this.note, "");
    if (file === undefined) return;
    const format = file.name.toLowerCase().replace(/\.json$/, ".geojson").split(".").at(-1) ?? "";
    if (!FORMATS.some(([known]) => known === format)) return this.wrong(text("areas.file_format"));
    if (file.size > MOST_BYTES) return this.wrong(text("areas.file_large", { mib: MOST_BYTES / 1024 ** 2 }));
    try {
      const query = new URLSearchParams({ format, kind: this.kind.value, dry_run: String(dryRun) });
      const { areas } = await send<{ readonly areas: readonly Imported[] }>("POST", `/api/areas/import?${query}`, file, { "content-type": "application/octet-stream" });
      if (dryRun) this.plan(areas);
      else this.taken(areas);
    } catch (error) {
      this.wrong(reason(error), ((error as RestError).problem?.errors ?? []) as readonly Wrong[], format === "csv");
    }
  }

  private plan(areas: readonly Imported[]): void {
    const news = areas.filter(({ outcome }) => outcome !== "unchanged").length;
    this.note.className = "";
    put(this.note, text("areas.file_plan", { n: areas.length, news }));
    this.lines.replaceChildren(
      ...areas.map((one) => make("li", {}, make("strong", {}, nameOf(one)), make("span", {}, text(`areas.outcome.${one.outcome}`)), make("small", {}, `${text(`area.kind.${one.kind}`)} ${size(one.area_km2, one.area_nm2)}`))),
    );
    this.take.hidden = news === 0;
  }

  private taken(areas: readonly Imported[]): void {
    toast(text("areas.file_taken", { n: areas.length }));
    this.file.value = "";
    (this.element as HTMLDetailsElement).open = false;
    this.changed();
  }

  private wrong(words: string, errors: readonly Wrong[] = [], lines = false): void {
    this.note.className = "error";
    put(this.note, words);
    this.lines.replaceChildren(
      ...errors.slice(0, 100).map(({ feature, row, message }) => make("li", {}, make("strong", {}, row === null ? text(lines ? "areas.file_line" : "areas.file_feature", { n: feature }) : text("areas.file_row", { n: feature, row })), make("span", { class: "wrong" }, message))),
    );
  }
}
