// The entry: puts the map into #map whenever the page has one, and offers window.mizugiwaMap.
import { addProtocol, setWorkerUrl } from "maplibre-gl";
import { Protocol } from "pmtiles";
import "maplibre-gl/dist/maplibre-gl.css";
import "./fonts.css";
import "./palettes.css";
import "./map.css";
import "./tools.css";
import "./search.css";
import { AreaPanel } from "./areas/panel.js";
import { type Focus, MapConsole, type MapStatus, type RenderedFeature } from "./console.js";
import { FacilityPanel } from "./facilities.js";
import type { Looking } from "./feed.js";
import type { Selection } from "./layers.js";
import { getJson } from "./rest.js";
import { type Language, type Texts, setTexts, takeTextsFromPage, text } from "./texts.js";
import { restoreTheme } from "./theme.js";
import { typesAreAt } from "./types.js";

export interface MizugiwaMap {
  /** The tracks that are rendered now. */
  features(): RenderedFeature[];
  status(): MapStatus | null;
  focus(focus: Focus): void;
  /** Show all that is watched. */
  home(): void;
  /** Highlight without telling the page. */
  select(selection: Selection): void;
  /** Join an incident to what it is about; null for none. */
  openIncident(incidentId: string | null): void;
  /** What this screen has open, for the others to see. */
  look(at: Looking | null): void;
  /** Draw what an alert rests on; null, or the one that is drawn, takes it away. */
  evidence(alertId: string | null): void;
  /** Show the picture at a time of the realm; null for live. */
  asOf(ms: number | null): void;
  setTexts(texts: Texts, language: Language): void;
}

declare global {
  interface Window {
    mizugiwaMap: MizugiwaMap;
  }
}

restoreTheme();

const script = new URL((document.currentScript as HTMLScriptElement).src);
// With the version that the page gave the bundle, so that the browser may keep the worker as long as the bundle.
setWorkerUrl(new URL(`maplibre-gl-worker.mjs${script.search}`, script).href);
typesAreAt(new URL(`mizugiwa-symbols.mjs${script.search}`, script).href);
addProtocol("pmtiles", new Protocol().tile);

/** Asked before the page has a place for the map, so that the map opens where it belongs. */
const areas = getJson<GeoJSON.FeatureCollection>("/api/areas").catch(() => null);
const AREAS_WAIT_MS = 2_000;
const PAINT_WAIT_MS = 300;

const later = (ms: number): Promise<null> => new Promise((resolve) => setTimeout(() => resolve(null), ms));
/** The page has shown what it has: alerts are read while the graphics start. A hidden page paints nothing. */
const painted = (): Promise<unknown> =>
  Promise.race([new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))), later(PAINT_WAIT_MS)]);

interface Mounted {
  readonly element: HTMLElement;
  console: MapConsole | null;
}

let mounted: Mounted | null = null;
/** Kept for a map that comes later. */
let openIncident: string | null = null;
let looking: Looking | null = null;

window.mizugiwaMap = {
  features: () => mounted?.console?.features() ?? [],
  status: () => mounted?.console?.mapStatus() ?? null,
  focus: (focus) => mounted?.console?.focus(focus),
  home: () => mounted?.console?.goHome(),
  select: (selection) => mounted?.console?.select(selection),
  openIncident: (incidentId) => {
    openIncident = incidentId;
    mounted?.console?.openIncident(incidentId);
  },
  look: (at) => {
    looking = at;
    mounted?.console?.look(at);
  },
  evidence: (alertId) => mounted?.console?.showEvidence(alertId),
  asOf: (ms) => mounted?.console?.asOf(ms),
  setTexts: (texts, language) => {
    setTexts(texts, language);
    mounted?.console?.retell();
  },
};

function mount(): void {
  const element = document.getElementById("map");
  if (element === mounted?.element) return;
  mounted?.console?.remove();
  mounted = null;
  if (element === null) return;
  takeTextsFromPage();
  if (document.createElement("canvas").getContext("webgl2") === null) {
    if (element.textContent === "") element.textContent = text("map.no_webgl");
    return;
  }
  const mounting: Mounted = { element, console: null };
  mounted = mounting;
  void Promise.all([Promise.race([areas, later(AREAS_WAIT_MS)]), painted()]).then(([known]) => {
    if (mounted !== mounting) return;
    mounting.console = new MapConsole(element, known, (what) => (what === "areas" ? panel : facilities)?.changed());
    if (openIncident !== null) mounting.console.openIncident(openIncident);
    mounting.console.look(looking);
    panel?.mapReady();
  });
}

let panel: AreaPanel | null = null;
let facilities: FacilityPanel | null = null;

/** The panels work without the map too: a table and a list need no graphics. */
function mountPanels(): void {
  mountPanel("areas-panel", (element) => (panel = new AreaPanel(element, () => mounted?.console ?? null)));
  mountPanel("facilities-panel", (element) => {
    facilities = new FacilityPanel(element, (lon, lat) => mounted?.console?.focus({ lon, lat }));
  });
}

function mountPanel(id: string, make: (element: HTMLElement) => void): void {
  const element = document.getElementById(id);
  if (element === null || element.dataset.mounted === "true") return;
  element.dataset.mounted = "true";
  takeTextsFromPage();
  make(element);
}

// The page draws its layout when it likes, and again when a person goes elsewhere and comes back.
new MutationObserver(() => {
  mountPanels();
  mount();
}).observe(document.documentElement, { childList: true, subtree: true });
mountPanels();
mount();
