// Small helpers for the panel's elements: they are few, and every one has its words from the texts.
import { currentLanguage, text } from "../texts.js";

type Attributes = Readonly<Record<string, string | boolean | undefined>>;
type Child = Node | string | null;

/** An element with attributes (true: present, false and undefined: absent) and children. */
export function make<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes, ...children: readonly Child[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (typeof value === "string") made.setAttribute(name, value);
  }
  made.append(...children.filter((child): child is Node | string => child !== null));
  return made;
}

export function button(key: string, pressed: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = make("button", { type: "button", ...attributes }, text(key));
  made.addEventListener("click", pressed);
  return made;
}

/** Only what changed is written: a live region must not be spoken again. */
export function put(target: HTMLElement, words: string): void {
  if (target.textContent !== words) target.textContent = words;
  target.hidden = words === "";
}

/** "102.1 km² (29.8 海里²)"; small ones with more digits. */
export function size(km2: number, nm2: number): string {
  const digits = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: value < 1 ? 3 : value < 100 ? 1 : 0 });
  return text("areas.size", { km2: digits(km2), nm2: digits(nm2) });
}

/** An area's name in the reader's language. */
export const nameOf = (area: { readonly name_ja: string; readonly name_en: string }): string =>
  currentLanguage() === "en" && area.name_en !== "" ? area.name_en : area.name_ja;

/** Reports a failure in the words of the console. */
export const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

declare global {
  interface Window {
    mizugiwaPage?: { readonly toast: (words: string) => void; readonly side: (which: string) => void };
  }
}

export const toast = (words: string): void => window.mizugiwaPage?.toast(words);
