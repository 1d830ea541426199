// The texts of command/i18n, as the page gives them in window.mizugiwaTexts.

export type Language = "ja" | "en";
export type Texts = Readonly<Record<string, string>>;

declare global {
  interface Window {
    mizugiwaTexts?: Texts;
    mizugiwaKeys: { act(event: KeyboardEvent): string | null; hint(act: string): string };
  }
}

let texts: Texts = {};
let language: Language = "ja";

/** Show these texts from now on. */
export function setTexts(given: Texts, shown: Language): void {
  texts = given;
  language = shown;
}

/** Take the texts that the page carries, in the language of its html element. */
export function takeTextsFromPage(): void {
  setTexts(window.mizugiwaTexts ?? {}, document.documentElement.lang.startsWith("en") ? "en" : "ja");
}

export function currentLanguage(): Language {
  return language;
}

/** The text of a key with its {params} filled in, {key_<act>} by the key that a person set; the key itself where the page
 * gave none, so that the lack is seen. */
export function text(key: string, params: Readonly<Record<string, string | number>> = {}): string {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name: string) =>
    name.startsWith("key_") ? window.mizugiwaKeys.hint(name.slice(4)) : String(params[name] ?? whole),
  );
}

/** "12 秒", "34 分", "5 時間": how long ago, in the largest unit that says enough. */
export function age(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return text("map.age.seconds", { n: s });
  if (s < 3_600) return text("map.age.minutes", { n: Math.floor(s / 60) });
  if (s < 86_400) return text("map.age.hours", { n: Math.floor(s / 3_600) });
  return text("map.age.days", { n: Math.floor(s / 86_400) });
}
