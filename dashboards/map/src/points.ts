// Points of a GeoJSON source that follow what moves: set anew where it would be seen only, because MapLibre takes its
// tiles apart and places every text of the map again for each time.
import type { GeoJSONSource, Map as MapLibre } from "maplibre-gl";

/** A text may lag so many pixels behind its symbol. */
const LAG_PIXELS = 2;
/** Of the whole world at zoom 0. */
const TILE_PIXELS = 512;

type Properties = Readonly<Record<string, string | number>>;
export type PointFeature = GeoJSON.Feature<GeoJSON.Point, Properties>;

const shown = new WeakMap<GeoJSONSource, readonly PointFeature[]>();

export function setPoints(map: MapLibre, name: string, features: readonly PointFeature[]): void {
  const source = map.getSource<GeoJSONSource>(name);
  if (source === undefined || sameToTheEye(shown.get(source) ?? [], features, map.getZoom())) return;
  shown.set(source, features);
  source.setData({ type: "FeatureCollection", features: [...features] });
}

function sameToTheEye(before: readonly PointFeature[], now: readonly PointFeature[], zoom: number): boolean {
  const lag = (LAG_PIXELS * 360) / (TILE_PIXELS * 2 ** zoom);
  return (
    before.length === now.length &&
    now.every((feature, i) => {
      const was = before[i] as PointFeature;
      return near(was.geometry.coordinates, feature.geometry.coordinates, lag) && same(was.properties, feature.properties);
    })
  );
}

/** In degrees of longitude, which are the same pixels everywhere; a degree of latitude is more of them away from the equator. */
function near([lonBefore = 0, latBefore = 0]: GeoJSON.Position, [lon = 0, lat = 0]: GeoJSON.Position, lag: number): boolean {
  return Math.abs(lon - lonBefore) < lag && Math.abs(lat - latBefore) < lag * Math.cos((lat * Math.PI) / 180);
}

function same(before: Properties, now: Properties): boolean {
  for (const name in now) if (before[name] !== now[name]) return false;
  return true;
}
