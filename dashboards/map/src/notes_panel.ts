// The panel of the notes: their list, and the form that writes one. Its place is set by a click on the map, by the arrow keys
// and the cross, or as written coordinates. A change names the version that the officer saw: where somebody was faster, it is
// refused with what holds now, and nothing that was typed is lost.
import type { Map as MapLibre } from "maplibre-gl";
import { dms } from "./coordinates.js";
import { Cross } from "./cross.js";
import { element, put } from "./furniture.js";
import type { Place } from "./geodesic.js";
import { type MapNote, type NoteJson, noteLines, noteOf, shortened } from "./notes.js";
import { type RestError, send } from "./rest.js";
import { readPlace } from "./search.js";
import { text } from "./texts.js";
import { clockTime } from "./units.js";

const MOST_LETTERS = 500;
const HOUR_MS = 3_600_000;
/** After how many hours a note goes by itself; 0 for never. */
const LASTS_H = [4, 12, 24, 72, 168, 0] as const;
const FIRST_LASTS_H = 24;
/** As it is. */
const KEEP = "keep";

export interface NotesHost {
  readonly mayWrite: boolean;
  standing(): readonly MapNote[];
  nowMs(): number | null;
  look(place: Place): void;
  changed(active: boolean): void;
  say(words: string): void;
}

/** What is being written: a note that there is, or a new one. */
interface Draft {
  readonly noteId: string | null;
  version: number;
  expiresAtMs: number | null;
}

export class NotesPanel {
  private running = false;
  private draft: Draft | null = null;
  private place: Place | null = null;
  private undo: { readonly noteId: string; readonly version: number } | null = null;
  private listed = "";
  private readonly cross: Cross;
  private readonly panel: HTMLElement;
  private readonly list: HTMLElement;
  private readonly form: HTMLFormElement;
  private readonly words: HTMLTextAreaElement;
  private readonly where: HTMLInputElement;
  private readonly lasts: HTMLSelectElement;
  private readonly status: HTMLElement;
  private readonly bar: HTMLElement;

  constructor(map: MapLibre, parent: HTMLElement, private readonly host: NotesHost) {
    this.cross = new Cross(map);
    this.panel = element("section", "mz-panel mz-tool mz-tall mz-notes", parent);
    this.panel.hidden = true;
    element("h3", "", this.panel);
    this.list = element("ul", "mz-picked", this.panel);
    this.form = element("form", "mz-note", this.panel);
    this.words = this.labelled(element("textarea", "", this.form));
    Object.assign(this.words, { rows: 3, maxLength: MOST_LETTERS });
    this.where = this.labelled(element("input", "", this.form));
    Object.assign(this.where, { type: "text", maxLength: 100, autocomplete: "off", spellcheck: false });
    this.lasts = this.labelled(element("select", "", this.form));
    this.status = element("p", "mz-said", this.panel);
    this.status.setAttribute("role", "status");
    this.bar = element("div", "mz-buttons", this.panel);
    element("p", "mz-help", this.panel);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.save();
    });
    this.panel.addEventListener("keydown", (event) => this.panelKey(event));
    this.retell();
  }

  private labelled<T extends HTMLElement>(field: T): T {
    const label = element("label", "", this.form);
    element("span", "", label);
    label.append(field);
    return field;
  }

  get active(): boolean {
    return this.running;
  }

  /** Clicks on the map set the place of what is being written. */
  get placing(): boolean {
    return this.running && this.draft !== null;
  }

  retell(): void {
    this.panel.setAttribute("aria-label", text("map.notes.title"));
    put(this.panel.querySelector("h3") as HTMLElement, text("map.notes.title"));
    this.form.querySelectorAll<HTMLElement>("label > span").forEach((label, i) => put(label, text(["map.notes.text", "map.notes.place", "map.notes.lasts"][i] as string)));
    this.listed = "";
    this.render();
  }

  begin(): void {
    if (!this.running) {
      this.running = true;
      this.panel.hidden = false;
      this.host.changed(true);
    }
    this.render();
    (this.bar.querySelector("button") ?? this.panel).focus();
    this.host.say(text("map.notes.count", { n: this.host.standing().length }));
  }

  end(): void {
    if (!this.running) return;
    this.running = false;
    this.leaveForm();
    this.undo = null;
    put(this.status, "");
    this.panel.hidden = true;
    this.host.changed(false);
  }

  /** Escape leaves the form first, then the panel. */
  escape(): void {
    if (this.draft === null) this.end();
    else {
      this.leaveForm();
      this.render();
      this.bar.querySelector("button")?.focus();
    }
  }

  /** Show a note that was chosen on the map, to be changed by whoever may. */
  open(note: MapNote): void {
    this.begin();
    this.edit(note);
  }

  /** The notes are other ones now, or a second has passed. */
  follow(): void {
    if (this.running) this.render();
  }

  /** True where the key was one of the tool's: an arrow, while a place is to be set. */
  key(event: KeyboardEvent): boolean {
    if (!this.placing) return false;
    const to = this.cross.moved(event, this.place ?? this.cross.middle());
    if (to === null && event.key !== "Enter") return false;
    if (to === null) this.words.focus();
    else this.setPlace(to);
    return true;
  }

  setPlace(place: Place): void {
    if (!this.placing) return;
    this.place = place;
    this.where.value = dms(place.lon, place.lat);
    this.where.removeAttribute("aria-invalid");
    this.cross.show(place);
  }

  private panelKey(event: KeyboardEvent): void {
    if (event.key === "Escape" && !event.isComposing) {
      this.escape();
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...this.list.querySelectorAll<HTMLElement>("button")];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    if (step === undefined || at < 0) return;
    rows[Math.max(0, Math.min(rows.length - 1, at + step))]?.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  private write(): void {
    this.draft = { noteId: null, version: 0, expiresAtMs: null };
    this.words.value = "";
    this.fillLasts(null);
    this.setPlace(this.cross.middle());
    put(this.status, "");
    this.render();
    this.words.focus();
  }

  private edit(note: MapNote): void {
    this.host.look(note);
    if (!this.host.mayWrite) return;
    this.draft = { noteId: note.noteId, version: note.version, expiresAtMs: note.expiresAtMs };
    this.words.value = note.text;
    this.fillLasts(note);
    this.setPlace(note);
    put(this.status, noteLines(note).join(" · "));
    this.render();
    this.words.focus();
  }

  private fillLasts(note: MapNote | null): void {
    this.lasts.replaceChildren();
    if (note !== null) {
      const now = note.expiresAtMs === null ? text("map.notes.stays") : text("map.notes.until", { time: clockTime(note.expiresAtMs) });
      this.lasts.append(new Option(text("map.notes.keep", { now }), KEEP));
    }
    this.lasts.append(...LASTS_H.map((hours) => new Option(hours === 0 ? text("map.notes.stays") : text("map.notes.hours", { n: hours }), String(hours))));
    this.lasts.value = note === null ? String(FIRST_LASTS_H) : KEEP;
  }

  private leaveForm(): void {
    this.draft = null;
    this.place = null;
    this.cross.show(null);
  }

  private expiry(draft: Draft): number | null {
    if (this.lasts.value === KEEP) return draft.expiresAtMs;
    const hours = Number(this.lasts.value);
    return hours === 0 ? null : (this.host.nowMs() ?? Date.now()) + hours * HOUR_MS;
  }

  private async save(): Promise<void> {
    const { draft } = this;
    if (draft === null) return;
    if (this.place === null || this.where.value !== dms(this.place.lon, this.place.lat)) {
      try {
        this.setPlace(await readPlace(this.where.value));
      } catch (error) {
        put(this.status, (error as Error).message);
        this.where.setAttribute("aria-invalid", "true");
        this.where.focus();
        return;
      }
    }
    const expiry = this.expiry(draft);
    const body = { text: this.words.value, position: wrapped(this.place as Place), expires_at: expiry === null ? null : new Date(expiry).toISOString() };
    try {
      if (draft.noteId === null) await send("POST", "/api/notes", body);
      else await send("PUT", `/api/notes/${draft.noteId}`, body, seen(draft.version));
      this.leaveForm();
      this.tell(text("map.notes.saved"));
      this.render();
      this.bar.querySelector("button")?.focus();
    } catch (error) {
      this.refused(draft, error as RestError);
    }
  }

  private async remove(): Promise<void> {
    const { draft } = this;
    if (draft === null || draft.noteId === null) return;
    try {
      const gone = await send<NoteJson>("DELETE", `/api/notes/${draft.noteId}`, null, seen(draft.version));
      this.undo = { noteId: draft.noteId, version: gone.properties.version };
      this.leaveForm();
      this.tell(text("map.notes.removed", { words: shortened(gone.properties.text) }));
      this.render();
      this.bar.querySelector<HTMLElement>("[data-does=undo]")?.focus();
    } catch (error) {
      this.refused(draft, error as RestError);
    }
  }

  private async bringBack(): Promise<void> {
    if (this.undo === null) return;
    const { noteId, version } = this.undo;
    try {
      await send("POST", `/api/notes/${noteId}/restore`, null, seen(version));
      this.undo = null;
      this.tell(text("map.notes.brought_back"));
      this.render();
      this.bar.querySelector("button")?.focus();
    } catch (error) {
      this.tell((error as Error).message);
    }
  }

  /** Where somebody was faster, the next attempt is upon what they made of it, which is told. */
  private refused(draft: Draft, error: RestError): void {
    const current = error.problem?.status === 412 ? (error.problem.current as NoteJson | undefined) : undefined;
    if (current !== undefined && !current.properties.removed) {
      const now = noteOf(current);
      draft.version = now.version;
      draft.expiresAtMs = now.expiresAtMs;
      this.tell(`${error.message} ${text("map.notes.says_now", { words: now.text })}`);
    } else {
      this.tell(error.message);
    }
  }

  private tell(words: string): void {
    put(this.status, words);
  }

  private render(): void {
    const notes = this.host.standing();
    const editing = this.draft !== null;
    this.form.hidden = !editing;
    this.list.hidden = editing || notes.length === 0;
    const help = editing ? "map.notes.help_place" : notes.length > 0 ? "map.notes.help" : this.host.mayWrite ? "map.notes.none" : "map.notes.none_read";
    put(this.panel.querySelector(".mz-help") as HTMLElement, text(help));
    const of = notes.map(({ noteId, version }) => `${noteId} ${version}`).join();
    if (this.listed !== of) {
      const focused = this.list.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.note : undefined;
      this.listed = of;
      this.list.replaceChildren(...notes.map((note) => this.row(note)));
      if (focused !== undefined) (this.list.querySelector<HTMLElement>(`[data-note="${focused}"]`) ?? this.bar.querySelector("button"))?.focus();
    }
    this.renderBar();
  }

  private row(note: MapNote): HTMLElement {
    const row = document.createElement("li");
    const button = element("button", "", row);
    button.type = "button";
    button.dataset.note = note.noteId;
    element("strong", "", button).textContent = shortened(note.text);
    for (const line of noteLines(note)) element("small", "", button).textContent = line;
    button.addEventListener("click", () => this.edit(note));
    return row;
  }

  private renderBar(): void {
    const acts: (readonly [string, string, () => void])[] = [];
    if (this.draft !== null) {
      acts.push(["save", "map.notes.save", () => this.form.requestSubmit()]);
      if (this.draft.noteId !== null) acts.push(["remove", "map.notes.remove", () => void this.remove()]);
      acts.push(["cancel", "map.notes.cancel", () => this.escape()]);
    } else {
      if (this.host.mayWrite) acts.push(["new", "map.notes.new", () => this.write()]);
      if (this.undo !== null) acts.push(["undo", "map.notes.undo", () => void this.bringBack()]);
      acts.push(["end", "map.notes.end", () => this.end()]);
    }
    const there = [...this.bar.querySelectorAll<HTMLElement>("button")].map((button) => button.dataset.does).join();
    // made anew where they are other ones alone, so that the focus stays
    if (there === acts.map(([act]) => act).join() && this.bar.dataset.told === document.documentElement.lang) return;
    this.bar.dataset.told = document.documentElement.lang;
    this.bar.replaceChildren();
    for (const [act, key, pressed] of acts) {
      const button = element("button", "", this.bar);
      button.type = "button";
      button.dataset.does = act;
      button.textContent = text(key);
      button.addEventListener("click", pressed);
    }
  }
}

function seen(version: number): Record<string, string> {
  return { "If-Match": `"${version}"` };
}

/** Longitudes of a map may run past 180. */
function wrapped({ lon, lat }: Place): Place {
  return { lon: ((((lon + 180) % 360) + 360) % 360) - 180, lat };
}
