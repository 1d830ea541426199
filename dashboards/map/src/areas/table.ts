// The coordinate table: one position a row, typed, pasted or drawn, and everything by keyboard.
import { text } from "../texts.js";
import { button, make, put } from "./dom.js";
import { type Ring, type Row, emptyRow, isBlank } from "./model.js";

const LEAST_ROWS = 3;
/** More rows than a person edits by hand: such a shape comes from a file and goes back into one. */
export const MOST_ROWS = 400;

export class CoordinateTable {
  readonly element: HTMLElement;
  private readonly body = make("tbody", {});
  private readonly note = make("p", { class: "empty", hidden: true });
  private ring: Ring = { hole: false, rows: [] };

  constructor(private readonly changed: () => void) {
    const table = make(
      "table",
      { class: "coordinates", "aria-labelledby": "area-rows-title" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "#"), make("th", { scope: "col" }, text("areas.position")), make("th", { class: "unseen" }, text("areas.row_actions")))),
      this.body,
    );
    this.element = make(
      "div",
      {},
      table,
      this.note,
      make("div", { class: "buttons" }, button("areas.add_row", () => this.insert(this.ring.rows.length), { id: "area-add-row" })),
      make("p", { class: "help" }, text("areas.rows_help")),
    );
    table.addEventListener("keydown", (event) => this.key(event));
    table.addEventListener("paste", (event) => this.paste(event));
  }

  /** Edit the rows of this ring. */
  show(ring: Ring): void {
    this.ring = ring;
    while (ring.rows.length < LEAST_ROWS) ring.rows.push(emptyRow());
    this.render();
  }

  get tooMany(): boolean {
    return this.ring.rows.length > MOST_ROWS;
  }

  /** The rows have been read: tell each its problem, and fill in what a drawing gave. */
  told(): void {
    if (this.tooMany) return;
    this.ring.rows.forEach((row, i) => {
      const field = this.field(i);
      if (field === null) return;
      if (field.value !== row.text && row.exact !== null) field.value = row.text;
      field.setAttribute("aria-invalid", String(row.problem !== null));
      const message = this.body.querySelector<HTMLElement>(`#area-row-${i}-problem`);
      if (message !== null) put(message, row.problem ?? "");
    });
  }

  focus(at: number): void {
    this.field(Math.max(0, Math.min(at, this.ring.rows.length - 1)))?.focus();
  }

  /** Go to the first row that cannot be read; false where there is none. */
  focusProblem(): boolean {
    const at = this.ring.rows.findIndex((row) => row.problem !== null);
    if (at >= 0) this.focus(at);
    return at >= 0;
  }

  private render(): void {
    put(this.note, this.tooMany ? text("areas.too_many_rows", { n: this.ring.rows.length, most: MOST_ROWS }) : "");
    this.body.replaceChildren(...(this.tooMany ? [] : this.ring.rows.map((row, i) => this.line(row, i))));
    this.told();
  }

  private line(row: Row, i: number): HTMLElement {
    const n = String(i + 1);
    const field = make("input", {
      type: "text",
      maxlength: "120",
      autocomplete: "off",
      spellcheck: "false",
      autocapitalize: "none",
      placeholder: i === 0 ? text("areas.row_hint") : "",
      "data-row": String(i),
      "aria-label": text("areas.row", { n }),
      "aria-describedby": `area-row-${i}-problem`,
    });
    field.value = row.text;
    field.addEventListener("input", () => {
      row.text = field.value;
      row.exact = null;
      if (isBlank(row)) {
        row.point = null;
        row.problem = null;
      }
      this.changed();
    });
    const act = (sign: string, key: string, done: () => void): HTMLButtonElement => {
      const made = make("button", { type: "button", tabindex: "-1", title: text(key), "aria-label": `${text(key)} ${n}` }, sign);
      made.addEventListener("click", done);
      return made;
    };
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, n),
      make("td", {}, field, make("p", { id: `area-row-${i}-problem`, class: "error", role: "alert", hidden: true })),
      make(
        "td",
        { class: "acts" },
        act("↑", "areas.row_up", () => this.move(i, -1)),
        act("↓", "areas.row_down", () => this.move(i, 1)),
        act("×", "areas.row_remove", () => this.remove(i)),
      ),
    );
  }

  private field(at: number): HTMLInputElement | null {
    return this.body.querySelector(`[data-row="${at}"]`);
  }

  private insert(at: number): void {
    this.ring.rows.splice(at, 0, emptyRow());
    this.render();
    this.focus(at);
  }

  private remove(at: number): void {
    this.ring.rows.splice(at, 1);
    while (this.ring.rows.length < LEAST_ROWS) this.ring.rows.push(emptyRow());
    this.render();
    this.focus(at);
    this.changed();
  }

  private move(at: number, by: -1 | 1): void {
    const to = at + by;
    if (to < 0 || to >= this.ring.rows.length) return;
    this.ring.rows.splice(to, 0, ...this.ring.rows.splice(at, 1));
    this.render();
    this.focus(to);
    this.changed();
  }

  /** Enter and the arrows walk, Alt and the arrows move the row, Alt+Insert and Alt+Delete add and remove one. */
  private key(event: KeyboardEvent): void {
    const at = Number((event.target as HTMLElement).dataset.row ?? NaN);
    if (Number.isNaN(at) || event.isComposing) return;
    if (event.altKey && event.key === "ArrowUp") this.move(at, -1);
    else if (event.altKey && event.key === "ArrowDown") this.move(at, 1);
    else if (event.altKey && event.key === "Delete") this.remove(at);
    else if (event.altKey && event.key === "Insert") this.insert(at + 1);
    else if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    else if (event.key === "ArrowUp") this.focus(at - 1);
    else if (event.key === "ArrowDown") this.focus(at + 1);
    else if (event.key !== "Enter") return;
    else if (at === this.ring.rows.length - 1) this.insert(at + 1);
    else this.focus(at + 1);
    event.preventDefault();
  }

  /** Several lines become several rows, from the row that they are pasted into. */
  private paste(event: ClipboardEvent): void {
    const at = Number((event.target as HTMLElement).dataset.row ?? NaN);
    const lines = (event.clipboardData?.getData("text") ?? "").split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
    if (Number.isNaN(at) || lines.length < 2) return;
    event.preventDefault();
    const pasted = lines.slice(0, MOST_ROWS).map((line) => ({ ...emptyRow(), text: line.slice(0, 120) }));
    const free = this.ring.rows.slice(at, at + pasted.length).filter(isBlank).length;
    this.ring.rows.splice(at, free, ...pasted);
    this.render();
    this.focus(at + pasted.length - 1);
    this.changed();
  }
}
