// Which notation of coordinates the officer reads: one for the readout under the map and for every place that the page
// writes into an element with data-place-lon and data-place-lat. Kept for the person in this browser.
import { NOTATIONS, type Notation, written } from "./coordinates.js";
import { put } from "./furniture.js";
import { keep, readKept } from "./kept.js";
import { text } from "./texts.js";

const PLACES = "[data-place-lon]";

export class ShownNotation {
  private shown: Notation;
  private readonly key: string;
  private readonly watcher = new MutationObserver(() => this.rewrite());

  constructor(
    person: string,
    private readonly changed: (words: string) => void,
    signal: AbortSignal,
  ) {
    this.key = `mizugiwa.coordinates.${person}`;
    this.shown = NOTATIONS.find((known) => known === readKept(this.key)) ?? "dms";
    document.addEventListener("click", (event) => this.clicked(event), { signal });
    this.watcher.observe(document.body, { childList: true, subtree: true, attributeFilter: ["data-place-lon", "data-place-lat"] });
    signal.addEventListener("abort", () => this.watcher.disconnect());
    this.rewrite();
  }

  /** The next notation, for every place on the page. */
  next(): void {
    this.shown = NOTATIONS[(NOTATIONS.indexOf(this.shown) + 1) % NOTATIONS.length] ?? "dms";
    keep(this.key, this.shown);
    this.rewrite();
    this.changed(text("map.coordinates.now", { name: text(`map.coordinates.${this.shown}`) }));
  }

  write(lon: number, lat: number): string {
    return written(this.shown, lon, lat);
  }

  private clicked(event: Event): void {
    if (event.target instanceof Element && event.target.closest(PLACES) !== null) this.next();
  }

  private rewrite(): void {
    for (const place of document.querySelectorAll<HTMLElement>(PLACES)) {
      put(place, this.write(Number(place.dataset.placeLon), Number(place.dataset.placeLat)));
    }
  }
}
