// Why an alert was raised: the observations that it rests on, numbered on the map and told in a list beside it, and the
// area concerned as it was then.
import { type GeoJSONSource, type LayerSpecification, type Map as MapLibre } from "maplibre-gl";
import { element, put } from "./furniture.js";
import * as palette from "./palette.js";
import { FONT, repaint } from "./style.js";
import { currentLanguage, text } from "./texts.js";

const SOURCE = "evidence";
const JST_MS = 9 * 3_600_000;

interface Proof {
  readonly observed_at: string;
  readonly lon: number | null;
  readonly lat: number | null;
  readonly source: string;
  readonly words: string;
}

/** GET /api/alerts/{id}/evidence */
export interface EvidenceJson {
  readonly alert_id: string;
  readonly severity: palette.Severity;
  readonly title: string;
  readonly subject: string;
  readonly because: string;
  readonly lon: number | null;
  readonly lat: number | null;
  readonly area: { readonly name: string; readonly version: number; readonly geometry: GeoJSON.Polygon | GeoJSON.MultiPolygon } | null;
  readonly observations: readonly Proof[];
  readonly missing: number;
}

export interface EvidenceHost {
  /** Bring these into view, above a panel that hides this many pixels. */
  showBox(points: readonly (readonly [number, number])[], hidden: number): void;
  /** A place in the notation that the reader chose. */
  write(lon: number, lat: number): string;
  /** What a screen reader says. */
  say(words: string): void;
}

export class Evidence {
  private shown: EvidenceJson | null = null;
  private readonly panel: HTMLElement;
  private readonly title: HTMLElement;
  private readonly because: HTMLElement;
  private readonly list: HTMLOListElement;
  private readonly notes: HTMLElement;
  private readonly close: HTMLButtonElement;

  constructor(
    private readonly map: MapLibre,
    parent: HTMLElement,
    private readonly host: EvidenceHost,
  ) {
    this.panel = element("section", "mz-panel mz-evidence", parent);
    this.panel.hidden = true;
    this.title = element("h3", "", this.panel);
    this.because = element("p", "", this.panel);
    this.list = element("ol", "", this.panel);
    this.notes = element("p", "mz-help", this.panel);
    this.close = element("button", "", element("div", "mz-buttons", this.panel));
    this.close.type = "button";
    this.close.addEventListener("click", () => this.end());
  }

  /** The alert whose evidence is drawn; null for none. */
  get alertId(): string | null {
    return this.shown?.alert_id ?? null;
  }

  show(evidence: EvidenceJson): void {
    this.shown = evidence;
    this.panel.hidden = false;
    this.draw();
    this.retell();
    const { area, lon, lat } = evidence;
    const rings = area === null ? [] : area.geometry.type === "Polygon" ? area.geometry.coordinates : area.geometry.coordinates.flat();
    const points = [...this.places(), ...rings.flat(), ...(lon === null || lat === null ? [] : [[lon, lat]])];
    this.host.showBox(points.map(([x, y]) => [x as number, y as number] as const), this.panel.offsetHeight);
    this.host.say([text("map.evidence.shown", { n: evidence.observations.length }), evidence.because].join(" "));
  }

  /** Take it away; false where nothing was shown. */
  end(): boolean {
    if (this.shown === null) return false;
    this.shown = null;
    this.panel.hidden = true;
    this.draw();
    return true;
  }

  retell(): void {
    const { shown } = this;
    if (shown === null) return;
    put(this.title, text("map.evidence.title", { title: shown.title, subject: shown.subject }));
    this.panel.setAttribute("aria-label", this.title.textContent ?? "");
    put(this.because, shown.because);
    this.list.replaceChildren(...shown.observations.map((proof) => this.line(proof)));
    const { area } = shown;
    const notes = [
      ...(area === null ? [] : [text("map.evidence.area", { name: area.name, version: area.version })]),
      ...(shown.observations.length === 0 && shown.missing === 0 ? [text("map.evidence.none")] : []),
      ...(shown.missing === 0 ? [] : [text("map.evidence.missing", { n: shown.missing })]),
    ];
    put(this.notes, notes.join(currentLanguage() === "ja" ? "" : " "));
    put(this.close, text("map.evidence.close"));
  }

  addLayers(): void {
    this.map.addSource(SOURCE, { type: "geojson", data: this.drawing() });
    for (const layer of evidenceLayers()) this.map.addLayer(layer);
  }

  repaint(): void {
    repaint(this.map, evidenceLayers());
  }

  private line(proof: Proof): HTMLLIElement {
    const line = document.createElement("li");
    const where = proof.lon === null || proof.lat === null ? text("map.evidence.no_place") : this.host.write(proof.lon, proof.lat);
    element("strong", "", line).textContent = clock(proof.observed_at);
    line.append(` ${proof.words}`);
    element("div", "mz-help", line).textContent = `${where} / ${proof.source}`;
    return line;
  }

  private places(): [number, number][] {
    return (this.shown?.observations ?? []).flatMap(({ lon, lat }) => (lon === null || lat === null ? [] : [[lon, lat] as [number, number]]));
  }

  private draw(): void {
    this.map.getSource<GeoJSONSource>(SOURCE)?.setData(this.drawing());
  }

  private drawing(): GeoJSON.FeatureCollection {
    const { shown } = this;
    const features: GeoJSON.Feature[] = [];
    if (shown === null) return { type: "FeatureCollection", features };
    const add = (part: string, geometry: GeoJSON.Geometry, label = ""): void => {
      features.push({ type: "Feature", properties: { part, label }, geometry });
    };
    if (shown.area !== null) add("area", shown.area.geometry);
    const places = this.places();
    if (places.length > 1) add("way", { type: "LineString", coordinates: places });
    // Observations of one place stand on each other: one mark with all their numbers.
    const numbers = new Map<string, { at: [number, number]; label: string[] }>();
    shown.observations.forEach(({ lon, lat, observed_at: at }, i) => {
      if (lon === null || lat === null) return;
      const mark = numbers.get(`${lon} ${lat}`) ?? { at: [lon, lat], label: [] };
      mark.label.push(`${i + 1}  ${clock(at)}`);
      numbers.set(`${lon} ${lat}`, mark);
    });
    for (const { at, label } of numbers.values()) add("point", { type: "Point", coordinates: at }, label.join("\n"));
    return { type: "FeatureCollection", features };
  }
}

/** `08:41:12`, JST. */
function clock(iso: string): string {
  return new Date(Date.parse(iso) + JST_MS).toISOString().slice(11, 19);
}

function evidenceLayers(): LayerSpecification[] {
  const colour = palette.css(palette.SELECTED);
  const halo = palette.HALO;
  const of = (part: string): ["==", ["get", string], string] => ["==", ["get", "part"], part];
  return [
    { id: "evidence-area", type: "fill", source: SOURCE, filter: of("area"), paint: { "fill-color": colour, "fill-opacity": 0.1 } },
    { id: "evidence-edge-rim", type: "line", source: SOURCE, filter: of("area"), paint: { "line-color": halo, "line-width": 6, "line-opacity": 0.8 } },
    { id: "evidence-edge", type: "line", source: SOURCE, filter: of("area"), paint: { "line-color": colour, "line-width": 3, "line-dasharray": [3, 1.5] } },
    { id: "evidence-way", type: "line", source: SOURCE, filter: of("way"), paint: { "line-color": colour, "line-width": 2, "line-dasharray": [1, 1.5] } },
    { id: "evidence-point", type: "circle", source: SOURCE, filter: of("point"), paint: { "circle-radius": 7, "circle-color": colour, "circle-stroke-color": halo, "circle-stroke-width": 3 } },
    {
      id: "evidence-label",
      type: "symbol",
      source: SOURCE,
      filter: of("point"),
      layout: { "text-field": ["get", "label"], "text-font": FONT, "text-size": 14, "text-overlap": "always", "text-anchor": "left", "text-offset": [0.9, -0.9], "text-justify": "left" },
      paint: { "text-color": colour, "text-halo-color": halo, "text-halo-width": 2.5 },
    },
  ];
}
