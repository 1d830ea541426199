// Which palette the whole console is in. Kept in this browser for whoever works at it: how bright a room is, everybody in
// it shares. The page's style sheets take it from data-palette of the html element, the map from palette.ts.
import { keep, readKept } from "./kept.js";
import { THEMES, type Theme, use } from "./palette.js";

const KEY = "mizugiwa.palette";
const FIRST: Theme = "dusk";

let shown: Theme = FIRST;

/** At the start of the page, before anything is drawn. */
export function restoreTheme(): void {
  show(THEMES.find((theme) => theme === readKept(KEY)) ?? FIRST);
}

/** Day, dusk, night, and day again. The map must then be drawn again. */
export function nextTheme(): void {
  show(THEMES[(THEMES.indexOf(shown) + 1) % THEMES.length] ?? FIRST);
  keep(KEY, shown);
}

export function currentTheme(): Theme {
  return shown;
}

function show(theme: Theme): void {
  shown = theme;
  use(theme);
  document.documentElement.dataset.palette = theme;
}
