// Where the map opens: where the officer left it, else upon the realm's watched areas, else upon its tracks, else
// upon Japan.
import { keep, readKept } from "./kept.js";

/** [west, south], [east, north] in degrees. */
export type Bounds = [[number, number], [number, number]];

export interface Camera {
  readonly lon: number;
  readonly lat: number;
  readonly zoom: number;
}

export const JAPAN: Bounds = [[124.5, 25.5], [147, 46]];
/** Nothing is so small that the map opens closer than this. */
export const NEAREST_HOME_ZOOM = 11;
/** Pixels that the furniture of the map takes from its edges. */
export const HOME_PADDING = { top: 96, bottom: 56, left: 32, right: 72 } as const;

/** The box around points; null where there are none. */
export function aroundPoints(points: Iterable<readonly [number, number]>): Bounds | null {
  const box: Bounds = [[Infinity, Infinity], [-Infinity, -Infinity]];
  for (const [lon, lat] of points) {
    if (!Number.isFinite(lon) || !Number.isFinite(lat)) continue;
    box[0] = [Math.min(box[0][0], lon), Math.min(box[0][1], lat)];
    box[1] = [Math.max(box[1][0], lon), Math.max(box[1][1], lat)];
  }
  return box[0][0] <= box[1][0] ? box : null;
}

/** The box around the watched areas; null where there are none. */
export function aroundAreas(areas: GeoJSON.FeatureCollection): Bounds | null {
  return aroundPoints(areas.features.flatMap(({ geometry }) => corners(geometry)));
}

/** Every point of a geometry. */
export function corners(geometry: GeoJSON.Geometry): [number, number][] {
  return "coordinates" in geometry ? points(geometry.coordinates) : geometry.geometries.flatMap(corners);
}

type Nested = readonly number[] | readonly Nested[];

function points(nested: Nested): [number, number][] {
  if (typeof nested[0] === "number") return [[nested[0], nested[1] as number]];
  return (nested as readonly Nested[]).flatMap(points);
}

/** Keeps the officer's view of one realm in this browser. A browser that keeps nothing opens at home each time. */
export class KeptView {
  private readonly key: string;

  constructor(realm: string) {
    this.key = `mizugiwa.view.${realm}`;
  }

  read(): Camera | null {
    const kept = readKept(this.key) as Partial<Camera> | null;
    const usable = kept !== null && [kept.lon, kept.lat, kept.zoom].every((value) => Number.isFinite(value));
    return usable && Math.abs((kept as Camera).lat) <= 85 ? (kept as Camera) : null;
  }

  write(camera: Camera | null): void {
    keep(this.key, camera);
  }
}
