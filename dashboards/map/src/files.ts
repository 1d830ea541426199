// Things of the map out to files and in from them: what a file would do is shown before anything is done.
import { button, make, put, reason, toast } from "./areas/dom.js";
import type { RestError } from "./rest.js";
import { send } from "./rest.js";
import { text } from "./texts.js";

const FORMATS = [["gpkg", "GeoPackage"], ["geojson", "GeoJSON"], ["kml", "KML"], ["csv", "CSV"]] as const;
const MOST_BYTES = 10 * 1024 * 1024;

/** What one feature of a file would do; the rest of it is for whoever tells it. */
export interface Imported {
  readonly outcome: "created" | "changed" | "restored" | "unchanged";
}

/** What the files hold. */
export interface FilesOf<T extends Imported> {
  /** Of the address, /api/<name>, and of what the answer calls them. */
  readonly name: "areas" | "facilities";
  /** The first part of the elements' ids: area-file. */
  readonly id: "area" | "facility";
  /** The kinds that people may choose for what the file does not say, the likeliest first. */
  readonly kinds: readonly string[];
  /** A line of what would be done: the name, and what else is to be seen of it. */
  readonly told: (one: T) => readonly [string, string];
}

interface Wrong {
  readonly feature: number;
  readonly row: number | null;
  readonly message: string;
}

export class PlaceFiles<T extends Imported> {
  readonly element: HTMLElement;
  private readonly file: HTMLInputElement;
  private readonly kind: HTMLSelectElement;
  private readonly note = make("p", { role: "status", hidden: true });
  private readonly lines = make("ul", { class: "place-import" });
  private readonly take: HTMLButtonElement;

  constructor(private readonly of: FilesOf<T>, mayEdit: boolean, private readonly changed: () => void) {
    const [fileId, kindId] = [`${of.id}-file`, `${of.id}-file-kind`];
    this.file = make("input", { type: "file", id: fileId, accept: ".gpkg,.geojson,.json,.kml,.csv" });
    this.kind = make("select", { id: kindId }, ...of.kinds.map((kind) => make("option", { value: kind }, text(`${of.id}.kind.${kind}`))));
    this.take = button("files.take", () => void this.bringIn(false), { id: `${of.id}-file-take`, class: "go", hidden: true });
    const links = FORMATS.map(([format, name]) => make("a", { href: `/api/${of.name}/export?format=${format}`, download: true }, name));
    this.element = make(
      "details",
      { class: "place-files" },
      make("summary", {}, text(mayEdit ? "files.both" : "files.out")),
      make("p", { class: "downloads" }, make("span", {}, text("files.save")), ...links),
      mayEdit
        ? make("div", {}, make("label", { for: fileId }, text("files.choose")), this.file, make("label", { for: kindId }, text("files.kind")), this.kind, this.note, this.lines, make("div", { class: "buttons" }, this.take))
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
    if (!FORMATS.some(([known]) => known === format)) return this.wrong(text("files.format"));
    if (file.size > MOST_BYTES) return this.wrong(text("files.large", { mib: MOST_BYTES / 1024 ** 2 }));
    try {
      const query = new URLSearchParams({ format, kind: this.kind.value, dry_run: String(dryRun) });
      const answer = await send<Readonly<Record<string, readonly T[]>>>("POST", `/api/${this.of.name}/import?${query}`, file, { "content-type": "application/octet-stream" });
      const found = answer[this.of.name] ?? [];
      if (dryRun) this.plan(found);
      else this.taken(found);
    } catch (error) {
      this.wrong(reason(error), ((error as RestError).problem?.errors ?? []) as readonly Wrong[], format === "csv");
    }
  }

  private plan(found: readonly T[]): void {
    const news = found.filter(({ outcome }) => outcome !== "unchanged").length;
    this.note.className = "";
    put(this.note, text("files.plan", { n: found.length, news }));
    this.lines.replaceChildren(
      ...found.map((one) => {
        const [name, more] = this.of.told(one);
        return make("li", {}, make("strong", {}, name), make("span", {}, text(`files.outcome.${one.outcome}`)), make("small", {}, more));
      }),
    );
    this.take.hidden = news === 0;
  }

  private taken(found: readonly T[]): void {
    toast(text("files.taken", { n: found.length }));
    this.file.value = "";
    this.lines.replaceChildren();
    put(this.note, "");
    (this.element as HTMLDetailsElement).open = false;
    this.changed();
  }

  private wrong(words: string, errors: readonly Wrong[] = [], lines = false): void {
    this.note.className = "error";
    put(this.note, words);
    this.lines.replaceChildren(
      ...errors.slice(0, 100).map(({ feature, row, message }) => make("li", {}, make("strong", {}, row === null ? text(lines ? "files.line" : "files.feature", { n: feature }) : text("files.row", { n: feature, row })), make("span", { class: "wrong" }, message))),
    );
  }
}
