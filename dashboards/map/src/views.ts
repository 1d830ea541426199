// Saved views: an address of the map under a name, kept for the person and the realm in this browser.
import { element, put } from "./furniture.js";
import { keep, readKept } from "./kept.js";
import { text } from "./texts.js";

const MOST_VIEWS = 30;
const LONGEST_NAME = 40;

interface View {
  readonly name: string;
  readonly address: string;
}

export interface ViewsHost {
  /** The address of what is shown, without a selection. */
  address(): string;
  open(address: string): void;
}

export class SavedViews {
  private readonly details: HTMLDetailsElement;
  private readonly key: string;
  private views: readonly View[];
  private name: HTMLInputElement | null = null;
  private status: HTMLElement | null = null;
  private before: readonly View[] | null = null;

  constructor(parent: HTMLElement, realm: string, person: string, private readonly host: ViewsHost) {
    this.key = `mizugiwa.views.${realm}.${person}`;
    this.views = usable(readKept(this.key));
    this.details = element("details", "mz-panel mz-layers mz-views", parent);
    this.details.name = "mz-side";
    this.render();
  }

  /** Open the list with the focus in it, or close it. */
  toggle(): void {
    this.details.open = !this.details.open;
    const first = this.details.querySelector<HTMLElement>(".mz-view, input");
    (this.details.open ? first : this.details.querySelector<HTMLElement>("summary"))?.focus();
  }

  render(said = ""): void {
    this.details.replaceChildren();
    element("summary", "", this.details).textContent = text("map.views");
    const body = element("div", "", this.details);
    const list = element("ul", "", body);
    for (const view of this.views) {
      const row = element("li", "", list);
      const open = button(row, "mz-view", view.name, () => this.host.open(view.address));
      open.title = text("map.views.open", { name: view.name });
      const remove = button(row, "mz-remove", "×", () => this.remove(view.name));
      remove.title = text("map.views.remove", { name: view.name });
      remove.setAttribute("aria-label", remove.title);
    }
    if (this.views.length === 0) element("p", "mz-help", body).textContent = text("map.views.none");
    const form = element("form", "", body);
    this.name = element("input", "", form);
    Object.assign(this.name, { type: "text", maxLength: LONGEST_NAME, placeholder: text("map.views.name"), autocomplete: "off", spellcheck: false });
    this.name.setAttribute("aria-label", text("map.views.name"));
    const save = element("button", "", form);
    save.textContent = text("map.views.save");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    button(element("div", "mz-buttons", body), "", text("map.views.copy"), () => void this.copy());
    this.status = element("p", "mz-said", body);
    this.status.setAttribute("role", "status");
    put(this.status, said);
    if (this.before !== null) button(element("div", "mz-buttons", body), "mz-undo", text("map.views.undo"), () => this.undo());
  }

  private save(): void {
    const name = this.name?.value.trim() ?? "";
    const others = this.views.filter((view) => view.name !== name);
    if (name === "") return this.say(text("map.views.no_name"));
    if (others.length >= MOST_VIEWS) return this.say(text("map.views.too_many", { n: MOST_VIEWS }));
    const replaced = others.length < this.views.length;
    this.change([...others, { name, address: this.host.address() }], text(replaced ? "map.views.replaced" : "map.views.saved", { name }), replaced);
    this.name?.focus();
  }

  private remove(name: string): void {
    this.change(this.views.filter((view) => view.name !== name), text("map.views.removed", { name }), true);
    this.details.querySelector<HTMLElement>(".mz-undo")?.focus();
  }

  private undo(): void {
    if (this.before !== null) this.change(this.before, text("map.views.undone"), false);
    this.details.querySelector<HTMLElement>(".mz-view, input")?.focus();
  }

  private change(views: readonly View[], said: string, undoable: boolean): void {
    this.before = undoable ? this.views : null;
    this.views = [...views].sort((a, b) => a.name.localeCompare(b.name, "ja"));
    keep(this.key, this.views);
    this.render(said);
  }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(location.href);
      this.say(text("map.views.copied"));
    } catch {
      // A browser gives its clipboard only to pages over TLS or of this machine, and only if the person lets it.
      this.say(text("map.views.not_copied"));
    }
  }

  private say(words: string): void {
    if (this.status !== null) put(this.status, words);
  }
}

function button(parent: HTMLElement, className: string, words: string, pressed: () => void): HTMLButtonElement {
  const made = element("button", className, parent);
  made.type = "button";
  made.textContent = words;
  made.addEventListener("click", pressed);
  return made;
}

/** What was kept, as far as it is what this script keeps. */
function usable(kept: unknown): readonly View[] {
  if (!Array.isArray(kept)) return [];
  return kept.filter((view): view is View => typeof view?.name === "string" && typeof view?.address === "string");
}
