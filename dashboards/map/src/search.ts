// The search over the map: one box for whatever has a name or a place. GET /api/search finds; Enter goes there. An
// editable combobox with a list of groups (WAI-ARIA Authoring Practices, "Editable Combobox With List Autocomplete").
import { element } from "./furniture.js";
import { type RestError, getJson } from "./rest.js";
import { text } from "./texts.js";

const LONGEST = 100;
/** A person types on: the server is asked when they pause. */
const PAUSE_MS = 180;

export type FoundKind = "position" | "track" | "incident" | "area" | "facility" | "place";

/** As command/api/search.py gives it. */
export interface Found {
  readonly kind: FoundKind;
  readonly key: string;
  readonly title: string;
  readonly detail: string;
  readonly position: { readonly lon: number; readonly lat: number } | null;
  readonly box: readonly [number, number, number, number] | null;
}

interface AnswerJson {
  readonly found: readonly Found[];
  readonly more: readonly FoundKind[];
  readonly hint: string;
}

/** The place that a person wrote, in any notation that the search reads. Throws an Error that says what to write. */
export async function readPlace(words: string): Promise<{ readonly lon: number; readonly lat: number }> {
  const { found, hint } = await getJson<AnswerJson>(`/api/search?limit=1&q=${encodeURIComponent(words)}`);
  const place = found.find(({ kind }) => kind === "position")?.position ?? null;
  if (place === null) throw new Error(hint || text("map.search.no_position", { words }));
  return place;
}

export interface SearchHost {
  /** Go to what was found, and open what there is about it. */
  show(found: Found): void;
  /** The search is over: the keys mean the map again. */
  leave(): void;
  say(words: string): void;
}

export class SearchBox {
  private readonly input: HTMLInputElement;
  private readonly list: HTMLElement;
  private found: readonly Found[] = [];
  private at = 0;
  private timer: number | undefined;
  private request: AbortController | null = null;

  constructor(parent: HTMLElement, private readonly host: SearchHost) {
    const box = element("div", "mz-search", parent);
    box.setAttribute("role", "search");
    this.input = element("input", "mz-panel", box);
    Object.assign(this.input, { id: "mz-search", type: "text", maxLength: LONGEST, autocomplete: "off", spellcheck: false });
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", "mz-found"], ["aria-expanded", "false"]] as const) this.input.setAttribute(name, value);
    this.list = element("div", "mz-panel mz-found", box);
    Object.assign(this.list, { id: "mz-found", hidden: true });
    this.list.setAttribute("role", "listbox");
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("focus", () => this.typed());
    box.addEventListener("focusout", () => this.close());
    // before the input loses the focus, which closes the list
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.retell();
  }

  retell(): void {
    this.input.placeholder = text("map.search.placeholder");
    for (const part of [this.input, this.list]) part.setAttribute("aria-label", text("map.search.label"));
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  private key(event: KeyboardEvent): void {
    // a conversion of Japanese is confirmed with Enter and left with Escape too
    if (event.isComposing || event.keyCode === 229) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") this.leave();
    else if (event.key === "Enter") this.choose(this.found[this.at]);
    else if (step !== undefined && this.found.length > 0) this.mark((this.at + step + this.found.length) % this.found.length, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** First the list goes, then the words, then the focus: the page's Escape has its own things to close. */
  private leave(): void {
    if (!this.list.hidden && this.input.value !== "") this.close();
    else {
      this.input.value = "";
      this.close();
      this.host.leave();
    }
  }

  private clicked(event: Event): void {
    const row = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-found]") : null;
    if (row !== null) this.choose(this.found[Number(row.dataset.found)]);
  }

  private choose(found: Found | undefined): void {
    if (found === undefined) {
      // Enter came before the answer: it is taken up when that comes
      this.ask(true);
      return;
    }
    this.close();
    if (found.position === null && found.kind !== "incident" && found.kind !== "track") this.host.say(text("map.search.no_place"));
    this.host.show(found);
  }

  private typed(): void {
    window.clearTimeout(this.timer);
    this.found = [];
    if (this.input.value.trim() === "") {
      this.request?.abort();
      this.help(text("map.search.hint"));
      return;
    }
    this.timer = window.setTimeout(() => this.ask(false), PAUSE_MS);
  }

  private ask(thenChoose: boolean): void {
    window.clearTimeout(this.timer);
    const words = this.input.value.trim();
    if (words === "") return;
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    getJson<AnswerJson>(`/api/search?q=${encodeURIComponent(words)}`, request.signal).then(
      (answer) => {
        if (document.activeElement !== this.input) return;
        this.show(words, answer);
        if (thenChoose && this.found.length > 0) this.choose(this.found[0]);
      },
      (error: RestError) => {
        if (!request.signal.aborted) this.help(text("map.search.away", { reason: error.message }));
      },
    );
  }

  private show(words: string, { found, more, hint }: AnswerJson): void {
    this.found = found;
    if (found.length === 0) {
      this.help(text("map.search.none", { words }), hint || text("map.search.hint"));
      return;
    }
    this.open();
    for (const kind of new Set(found.map((one) => one.kind))) {
      const group = element("div", "", this.list);
      group.setAttribute("role", "group");
      const title = element("div", "mz-group", group);
      title.id = `mz-found-${kind}`;
      title.textContent = text(`map.search.group.${kind}`);
      group.setAttribute("aria-labelledby", title.id);
      found.forEach((one, i) => {
        if (one.kind === kind) this.row(group, one, i);
      });
      if (more.includes(kind)) element("p", "mz-help", group).textContent = text("map.search.more");
    }
    this.mark(0, false);
    this.host.say(text("map.search.count", { n: found.length }));
  }

  private row(group: HTMLElement, { title, detail }: Found, i: number): void {
    const row = element("div", "mz-hit", group);
    row.id = `mz-hit-${i}`;
    row.dataset.found = String(i);
    row.setAttribute("role", "option");
    element("strong", "", row).textContent = title;
    if (detail !== "") element("span", "", row).textContent = detail;
  }

  private mark(at: number, say: boolean): void {
    this.at = at;
    this.list.querySelectorAll("[role=option]").forEach((row) => row.setAttribute("aria-selected", String((row as HTMLElement).dataset.found === String(at))));
    const row = document.getElementById(`mz-hit-${at}`);
    row?.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", `mz-hit-${at}`);
    const found = this.found[at];
    if (say && found !== undefined) this.host.say(text("map.search.found", { kind: text(`map.search.group.${found.kind}`), title: found.title, detail: found.detail }));
  }

  /** Sentences in place of hits. */
  private help(...sentences: string[]): void {
    this.open();
    // no options, so this is no list for a screen reader: the sentence is said instead
    for (const words of sentences) element("p", "mz-help", this.list).textContent = words;
    this.input.removeAttribute("aria-activedescendant");
    this.host.say(sentences.join(" "));
  }

  private open(): void {
    this.list.replaceChildren();
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
  }

  private close(): void {
    window.clearTimeout(this.timer);
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
