// Range and bearing: points are set by click or by keyboard, a point upon a track goes with the track. The map draws the
// legs; the panel beside it says the same in a table, for those who do not see the canvas.
import { type GeoJSONSource, type LayerSpecification, type Map as MapLibre, type MapMouseEvent } from "maplibre-gl";
import { Cross } from "./cross.js";
import { element, put } from "./furniture.js";
import { type Leg, type Place, kilometres, legBetween, nauticalMiles, trueBearing, wayBetween } from "./geodesic.js";
import * as palette from "./palette.js";
import { FONT, repaint } from "./style.js";
import { text } from "./texts.js";

const SOURCE = "measure";
const MOST_POINTS = 50;

export interface MeasuredTrack extends Place {
  readonly trackId: string;
  readonly label: string;
}

interface Point {
  place: Place;
  readonly track: MeasuredTrack | null;
}

export interface MeasureHost {
  /** The track as it is now; undefined while it is not on this screen. */
  track(trackId: string): MeasuredTrack | undefined;
  /** What a screen reader says. */
  say(words: string): void;
  changed(active: boolean): void;
}

export class Measure {
  private points: Point[] = [];
  private cursor: Point | null = null;
  private running = false;
  private readonly panel: HTMLElement;
  private readonly rows: HTMLTableSectionElement;
  private readonly summary: HTMLElement;
  private readonly cross: Cross;
  private readonly title: HTMLElement;
  private readonly heads: HTMLTableCellElement[];
  private readonly help: HTMLElement;
  private readonly buttons: readonly (readonly [HTMLButtonElement, string])[];

  constructor(
    private readonly map: MapLibre,
    parent: HTMLElement,
    private readonly host: MeasureHost,
  ) {
    this.panel = element("section", "mz-panel mz-tool mz-measure", parent);
    this.panel.hidden = true;
    this.title = element("h3", "", this.panel);
    const table = element("table", "", this.panel);
    const head = element("tr", "", element("thead", "", table));
    this.heads = ["leg", "bearing", "range", "total"].map(() => element("th", "", head));
    for (const cell of this.heads) cell.scope = "col";
    this.rows = element("tbody", "", table);
    this.summary = element("p", "mz-measure-sum", this.panel);
    this.help = element("p", "mz-help", this.panel);
    const bar = element("div", "mz-buttons", this.panel);
    this.buttons = (
      [
        ["map.measure.undo", () => this.undo()],
        ["map.measure.clear", () => this.clear()],
        ["map.measure.end", () => this.end()],
      ] as const
    ).map(([key, pressed]) => {
      const button = element("button", "", bar);
      button.type = "button";
      button.addEventListener("click", pressed);
      return [button, key];
    });
    this.cross = new Cross(map);
    this.retell();
  }

  get active(): boolean {
    return this.running;
  }

  /** The track that the cursor stands on; null where it stands upon the sea. */
  get cursorTrackId(): string | null {
    return this.cursor?.track?.trackId ?? null;
  }

  retell(): void {
    this.panel.setAttribute("aria-label", text("map.measure.title"));
    put(this.title, text("map.measure.title"));
    this.heads.forEach((cell, i) => put(cell, text(`map.measure.${["leg", "bearing", "range", "total"][i]}`)));
    put(this.help, text("map.measure.help"));
    for (const [button, key] of this.buttons) put(button, text(key));
    this.show();
  }

  /** Begin at the selected track, or with a cursor in the middle of the map. */
  begin(from: MeasuredTrack | undefined): void {
    this.running = true;
    this.points = from === undefined ? [] : [{ place: from, track: from }];
    const inView = from !== undefined && this.map.getBounds().contains([from.lon, from.lat]);
    this.cursor = inView ? { place: from, track: from } : { place: this.cross.middle(), track: null };
    this.panel.hidden = false;
    this.map.on("mousemove", this.pointed);
    this.map.doubleClickZoom.disable();
    this.host.changed(true);
    this.map.getCanvas().focus({ preventScroll: true });
    this.show();
    this.host.say(from === undefined ? text("map.measure.begun") : text("map.measure.begun_at", { name: from.label }));
  }

  end(): void {
    if (!this.running) return;
    this.running = false;
    this.points = [];
    this.cursor = null;
    this.panel.hidden = true;
    this.map.off("mousemove", this.pointed);
    this.map.doubleClickZoom.enable();
    this.host.changed(false);
    this.map.getCanvas().focus({ preventScroll: true });
    this.show();
    this.host.say(text("map.measure.ended"));
  }

  /** Set a point: upon a track, which it then goes with, or where the sea was clicked. */
  add(place: Place, track: MeasuredTrack | undefined): void {
    const last = this.points.at(-1);
    const again = last !== undefined && last.place.lon === place.lon && last.place.lat === place.lat;
    if (again || this.points.length === MOST_POINTS) return;
    this.points.push({ place: track ?? place, track: track ?? null });
    this.show();
    this.host.say(this.points.length === 1 ? text("map.measure.first") : this.lastLegWords());
  }

  /** Put the keyboard's cursor upon a track, so that Enter sets the point there. */
  cursorTo(track: MeasuredTrack): void {
    this.cursor = { place: track, track };
    this.cross.keepInView(track);
    this.show();
  }

  /** True where the key was one of the tool's: the arrows, Enter, Backspace. */
  key(event: KeyboardEvent): boolean {
    const place = this.cross.moved(event, this.cursor?.place ?? this.cross.middle());
    if (place !== null) {
      this.cursor = { place, track: null };
      this.show();
    } else if (event.key === "Enter" && this.cursor !== null) this.add(this.cursor.place, this.cursor.track ?? undefined);
    else if (event.key === "Backspace") this.undo();
    else return false;
    return true;
  }

  /** The tracks have moved: so do the points upon them. */
  follow(): void {
    if (!this.running) return;
    for (const point of [...this.points, ...(this.cursor === null ? [] : [this.cursor])]) {
      const now = point.track === null ? undefined : this.host.track(point.track.trackId);
      if (now !== undefined) point.place = now;
    }
    this.show();
  }

  addLayers(): void {
    this.map.addSource(SOURCE, { type: "geojson", data: this.drawing() });
    for (const layer of measureLayers()) this.map.addLayer(layer);
  }

  repaint(): void {
    repaint(this.map, measureLayers());
  }

  private readonly pointed = (event: MapMouseEvent): void => {
    this.cursor = { place: { lon: event.lngLat.lng, lat: event.lngLat.lat }, track: null };
    this.show();
  };

  private undo(): void {
    this.points.pop();
    this.show();
    this.host.say(text("map.measure.undone", { n: this.points.length }));
  }

  private clear(): void {
    this.points = [];
    this.show();
    this.host.say(text("map.measure.undone", { n: 0 }));
  }

  private legs(): Leg[] {
    return this.points.slice(1).map((to, i) => legBetween((this.points[i] as Point).place, to.place));
  }

  private lastLegWords(): string {
    const legs = this.legs();
    const last = legs.at(-1);
    return last === undefined ? "" : text("map.measure.said", { ...words(last), total: nauticalMiles(sum(legs)) });
  }

  private show(): void {
    this.cross.show(this.cursor?.place ?? null);
    this.map.getSource<GeoJSONSource>(SOURCE)?.setData(this.drawing());
    this.tabulate();
  }

  private tabulate(): void {
    const legs = this.legs();
    let total = 0;
    const lines = legs.map((leg, i) => {
      total += leg.distanceM;
      return [`${this.nameOf(i)} → ${this.nameOf(i + 1)}`, trueBearing(leg.bearingDeg), range(leg), nauticalMiles(total)];
    });
    const last = this.points.at(-1);
    const next = last === undefined || this.cursor === null ? null : legBetween(last.place, this.cursor.place);
    if (next !== null) {
      lines.push([`${this.nameOf(this.points.length - 1)} → ${text("map.measure.cursor")}`, trueBearing(next.bearingDeg), range(next), nauticalMiles(total + next.distanceM)]);
    }
    while (this.rows.rows.length > lines.length) this.rows.deleteRow(-1);
    lines.forEach((cells, i) => {
      const row = this.rows.rows[i] ?? this.rows.insertRow();
      row.className = i < legs.length ? "" : "mz-next";
      cells.forEach((said, j) => put(row.cells[j] ?? row.insertCell(), said));
    });
    const first = this.points[0];
    const straight = first !== undefined && last !== undefined && legs.length > 1 ? legBetween(first.place, last.place) : null;
    put(this.summary, straight === null ? "" : text("map.measure.straight", words(straight)));
  }

  /** The name of a track, else the number of the point. */
  private nameOf(i: number): string {
    return this.points[i]?.track?.label ?? String(i + 1);
  }

  private drawing(): GeoJSON.FeatureCollection {
    const features: GeoJSON.Feature[] = [];
    const add = (part: string, geometry: GeoJSON.Geometry, label?: string): void => {
      features.push({ type: "Feature", properties: { part, ...(label === undefined ? {} : { label }) }, geometry });
    };
    const line = (part: string, from: Place, to: Place): void => {
      const leg = legBetween(from, to);
      const way = wayBetween(from, to);
      add(part, { type: "LineString", coordinates: way });
      if (leg.bearingDeg === null) return;
      add("label", { type: "Point", coordinates: way[way.length >> 1] as [number, number] }, text("map.measure.label", words(leg)));
    };
    this.points.slice(1).forEach((to, i) => line("leg", (this.points[i] as Point).place, to.place));
    for (const { place } of this.points) add("point", { type: "Point", coordinates: [place.lon, place.lat] });
    const last = this.points.at(-1);
    if (last !== undefined && this.cursor !== null) line("next", last.place, this.cursor.place);
    return { type: "FeatureCollection", features };
  }
}

function measureLayers(): LayerSpecification[] {
  const colour = palette.css(palette.SELECTED);
  const halo = palette.HALO;
  const of = (part: string): ["==", ["get", string], string] => ["==", ["get", "part"], part];
  return [
    { id: "measure-rim", type: "line", source: SOURCE, filter: of("leg"), paint: { "line-color": halo, "line-width": 5, "line-opacity": 0.8 } },
    { id: "measure-leg", type: "line", source: SOURCE, filter: of("leg"), paint: { "line-color": colour, "line-width": 2 } },
    { id: "measure-next", type: "line", source: SOURCE, filter: of("next"), paint: { "line-color": colour, "line-width": 1.5, "line-dasharray": [3, 2] } },
    { id: "measure-point", type: "circle", source: SOURCE, filter: of("point"), paint: { "circle-radius": 4, "circle-color": colour, "circle-stroke-color": halo, "circle-stroke-width": 2 } },
    {
      id: "measure-label",
      type: "symbol",
      source: SOURCE,
      filter: ["has", "label"],
      layout: { "text-field": ["get", "label"], "text-font": FONT, "text-size": 13, "text-overlap": "always", "text-anchor": "bottom", "text-offset": [0, -0.5] },
      paint: { "text-color": colour, "text-halo-color": halo, "text-halo-width": 2 },
    },
  ];
}

function sum(legs: readonly Leg[]): number {
  return legs.reduce((metres, leg) => metres + leg.distanceM, 0);
}

function range(leg: Leg): string {
  return text("map.measure.lengths", words(leg));
}

function words(leg: Leg): { bearing: string; nm: string; km: string } {
  return { bearing: trueBearing(leg.bearingDeg), nm: nauticalMiles(leg.distanceM), km: kilometres(leg.distanceM) };
}
