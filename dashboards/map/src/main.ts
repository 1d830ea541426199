// The entry: puts the map into #map whenever the page has one, and offers window.mizugiwaMap.
import { addProtocol, setWorkerUrl } from "maplibre-gl";
import { Protocol } from "pmtiles";
import "maplibre-gl/dist/maplibre-gl.css";
import "./fonts.css";
import "./map.css";
import { type Focus, MapConsole, type MapStatus, type RenderedFeature } from "./console.js";
import type { Selection } from "./layers.js";
import { type Language, type Texts, setTexts, takeTextsFromPage, text } from "./texts.js";

export interface MizugiwaMap {
  /** The tracks that are rendered now. */
  features(): RenderedFeature[];
  status(): MapStatus | null;
  focus(focus: Focus): void;
  /** Highlight without telling the page. */
  select(selection: Selection): void;
  /** Show the picture at a time of the realm; null for live. */
  asOf(ms: number | null): void;
  setTexts(texts: Texts, language: Language): void;
}

declare global {
  interface Window {
    mizugiwaMap: MizugiwaMap;
  }
}

const folder = new URL(".", (document.currentScript as HTMLScriptElement).src);
setWorkerUrl(new URL("maplibre-gl-worker.mjs", folder).href);
addProtocol("pmtiles", new Protocol().tile);

let mounted: { readonly element: HTMLElement; readonly console: MapConsole } | null = null;

window.mizugiwaMap = {
  features: () => mounted?.console.features() ?? [],
  status: () => mounted?.console.mapStatus() ?? null,
  focus: (focus) => mounted?.console.focus(focus),
  select: (selection) => mounted?.console.select(selection),
  asOf: (ms) => mounted?.console.asOf(ms),
  setTexts: (texts, language) => {
    setTexts(texts, language);
    mounted?.console.retell();
  },
};

function mount(): void {
  const element = document.getElementById("map");
  if (element === mounted?.element) return;
  mounted?.console.remove();
  mounted = null;
  if (element === null) return;
  takeTextsFromPage();
  if (document.createElement("canvas").getContext("webgl2") === null) {
    if (element.textContent === "") element.textContent = text("map.no_webgl");
    return;
  }
  mounted = { element, console: new MapConsole(element) };
}

// The page draws its layout when it likes, and again when a person goes elsewhere and comes back.
new MutationObserver(mount).observe(document.documentElement, { childList: true, subtree: true });
mount();
