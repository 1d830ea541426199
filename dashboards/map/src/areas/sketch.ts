// The area that is being edited, on the map: its outline, its rows by number, and hands that draw and move points.
import type { GeoJSONSource, Map as MapLibre } from "maplibre-gl";
import { TerraDraw, TerraDrawPolygonMode, TerraDrawSelectMode } from "terra-draw";
import { TerraDrawMapLibreGLAdapter } from "terra-draw-maplibre-gl-adapter";
import { HOME_PADDING, NEAREST_HOME_ZOOM, aroundPoints } from "../home.js";
import { FONT } from "../style.js";
import type { Point, Shape } from "./model.js";

const DECIMALS = 9;
const COLOUR = "#ffd166";
const INK = "#06101a";
const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };
/** An outline with more points is shown, and moved by its table only. */
const MOST_HANDLES = 200;

export interface Sketched {
  /** What the table was read to be; null where it is no shape yet. */
  readonly shape: Shape | null;
  /** The rows of the ring in the table, by number; null where a row has no place yet. */
  readonly rows: readonly (Point | null)[];
}

export class Sketch {
  private draw: TerraDraw | null = null;
  private styled = false;
  private shown: Sketched | null = null;
  private moved: ((points: Point[]) => void) | null = null;
  private drawn: ((points: Point[]) => void) | null = null;
  private handle: string | number | null = null;
  private told = "";
  private settle: number | undefined;

  constructor(private readonly map: MapLibre) {}

  /** An area is being edited: clicks on the map are not for tracks. */
  get busy(): boolean {
    return this.shown !== null;
  }

  /** Somebody draws a new outline at this moment. */
  get drawing(): boolean {
    return this.drawn !== null;
  }

  /** The map's style is there. */
  ready(): void {
    const { map } = this;
    map.addSource("sketch", { type: "geojson", data: EMPTY });
    map.addSource("sketch-rows", { type: "geojson", data: EMPTY });
    map.addLayer({ id: "sketch-fill", type: "fill", source: "sketch", paint: { "fill-color": COLOUR, "fill-opacity": 0.16 } });
    map.addLayer({ id: "sketch-halo", type: "line", source: "sketch", paint: { "line-color": INK, "line-width": 5 } });
    map.addLayer({ id: "sketch-line", type: "line", source: "sketch", paint: { "line-color": COLOUR, "line-width": 2.4 } });
    map.addLayer({ id: "sketch-dot", type: "circle", source: "sketch-rows", paint: { "circle-radius": 4, "circle-color": COLOUR, "circle-stroke-color": INK, "circle-stroke-width": 1.5 } });
    map.addLayer({
      id: "sketch-number",
      type: "symbol",
      source: "sketch-rows",
      layout: { "text-field": ["get", "n"], "text-font": FONT, "text-size": 13, "text-offset": [0.9, -0.9], "text-overlap": "always" },
      paint: { "text-color": COLOUR, "text-halo-color": INK, "text-halo-width": 2 },
    });
    this.styled = true;
    if (this.shown !== null) this.show(this.shown, this.moved);
  }

  /** Show what is edited; null: nothing is. moved: hears the points of the ring in the table when hands move them. */
  show(sketched: Sketched | null, moved: ((points: Point[]) => void) | null = null): void {
    this.shown = sketched;
    this.moved = moved;
    if (!this.styled) return;
    this.map.getSource<GeoJSONSource>("sketch")?.setData(sketched?.shape ? { type: "Feature", properties: {}, geometry: sketched.shape } : EMPTY);
    this.map.getSource<GeoJSONSource>("sketch-rows")?.setData({
      type: "FeatureCollection",
      features: (sketched?.rows ?? []).flatMap((point, i) =>
        point === null ? [] : [{ type: "Feature" as const, properties: { n: String(i + 1) }, geometry: { type: "Point" as const, coordinates: [...point] } }],
      ),
    });
    if (sketched === null) this.letGo();
    else if (this.drawn === null) this.offerHandles();
  }

  /** Let the officer click a new outline; `drawn` has its points when it is closed. */
  begin(drawn: (points: Point[]) => void): boolean {
    const draw = this.started();
    if (draw === null) return false;
    this.drop();
    this.drawn = drawn;
    draw.setMode("polygon");
    this.map.getCanvas().focus();
    return true;
  }

  /** Draw no longer; the outline that was begun is forgotten. */
  cancel(): void {
    if (this.drawn === null) return;
    this.drawn = null;
    this.draw?.clear();
    this.offerHandles();
  }

  /** Bring what is edited into view. */
  fit(): void {
    const box = aroundPoints((this.shown?.rows ?? []).filter((point): point is Point => point !== null).map(([lon, lat]) => [lon, lat]));
    if (box !== null) this.map.fitBounds(box, { padding: HOME_PADDING, maxZoom: NEAREST_HOME_ZOOM + 2, animate: false });
  }

  private started(): TerraDraw | null {
    if (!this.styled) return null;
    if (this.draw !== null) return this.draw;
    const outline = { outlineColor: COLOUR, outlineWidth: 2, fillColor: COLOUR, fillOpacity: 0.1, closingPointColor: COLOUR, closingPointOutlineColor: INK } as const;
    this.draw = new TerraDraw({
      adapter: new TerraDrawMapLibreGLAdapter({ map: this.map, coordinatePrecision: DECIMALS }),
      modes: [
        new TerraDrawPolygonMode({ styles: outline }),
        new TerraDrawSelectMode({
          allowManualDeselection: false,
          allowManualSelection: false,
          keyEvents: null,
          flags: { polygon: { feature: { draggable: false, selfIntersectable: true, coordinates: { draggable: true, midpoints: true, deletable: true } } } },
          styles: {
            selectedPolygonColor: COLOUR,
            selectedPolygonFillOpacity: 0.02,
            selectedPolygonOutlineColor: COLOUR,
            selectedPolygonOutlineWidth: 1,
            selectionPointColor: COLOUR,
            selectionPointOutlineColor: INK,
            selectionPointOutlineWidth: 2,
            selectionPointWidth: 7,
            midPointColor: INK,
            midPointOutlineColor: COLOUR,
            midPointOutlineWidth: 2,
            midPointWidth: 4,
          },
        }),
      ],
    });
    this.draw.start();
    this.map.moveLayer("sketch-number");
    this.draw.on("finish", (id, { action }) => {
      if (action === "draw") this.finished(id);
    });
    this.draw.on("change", (ids, _, context) => {
      if (this.handle === null || !ids.includes(this.handle) || (context !== undefined && "origin" in context)) return;
      window.clearTimeout(this.settle);
      this.settle = window.setTimeout(() => this.tellMoved(), 60);
    });
    return this.draw;
  }

  private finished(id: string | number): void {
    const { drawn } = this;
    const points = this.pointsOf(id);
    if (drawn === null) return;
    this.drawn = null;
    // Inside its own event the drawing must not be taken apart.
    window.setTimeout(() => {
      this.draw?.clear();
      drawn(points);
    });
  }

  private tellMoved(): void {
    if (this.handle === null) return;
    const points = this.pointsOf(this.handle);
    const now = JSON.stringify(points);
    if (now === this.told) return;
    this.told = now;
    this.moved?.(points);
  }

  /** Points that hands can move, where the ring in the table is whole. */
  private offerHandles(): void {
    const rows = this.shown?.rows ?? [];
    const points = rows.filter((point): point is Point => point !== null).map(rounded);
    const whole = this.moved !== null && points.length === rows.length && points.length >= 3 && points.length <= MOST_HANDLES;
    if (!whole || points.some(([lon]) => Math.abs(lon) > 180)) {
      this.drop();
      return;
    }
    const now = JSON.stringify(points);
    if (now === this.told && this.handle !== null) return;
    const draw = this.started();
    if (draw === null) return;
    this.drop();
    const geometry = { type: "Polygon" as const, coordinates: [[...points, points[0] as [number, number]]] };
    const [added] = draw.addFeatures([{ type: "Feature", properties: { mode: "polygon" }, geometry }]);
    if (added?.valid !== true || added.id === undefined) return;
    this.handle = added.id;
    this.told = now;
    draw.setMode("select");
    draw.selectFeature(added.id);
  }

  private drop(): void {
    window.clearTimeout(this.settle);
    this.handle = null;
    this.told = "";
    if (this.draw === null) return;
    this.draw.setMode("static");
    this.draw.clear();
  }

  private letGo(): void {
    window.clearTimeout(this.settle);
    this.handle = null;
    this.drawn = null;
    this.told = "";
    this.draw?.stop();
    this.draw = null;
  }

  private pointsOf(id: string | number): Point[] {
    const geometry = this.draw?.getSnapshotFeature(id)?.geometry;
    if (geometry?.type !== "Polygon") return [];
    return (geometry.coordinates[0] ?? []).slice(0, -1).map((at) => rounded([at[0] as number, at[1] as number]));
  }
}

function rounded([lon, lat]: Point): [number, number] {
  return [Number(lon.toFixed(DECIMALS)), Number(lat.toFixed(DECIMALS))];
}
