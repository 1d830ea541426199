// Lengths and bearings on the WGS 84 ellipsoid, by Karney's algorithm (J. Geodesy 87, 43-55, 2013; geographiclib): right
// to 15 nanometres for any two places. A great circle upon a sphere would be wrong by up to 0.56 % and 0.2 degrees.
import { Geodesic } from "geographiclib-geodesic";
import { METRES_PER_NAUTICAL_MILE } from "./units.js";

/** A drawn line bends at least twice as often as this, metres: less than a pixel off its true course at every zoom of the map. */
const BEND_EVERY_M = 40_000;
const MOST_BENDS = 250;

/** Degrees; longitudes may run past 180, as those of a map do. */
export interface Place {
  readonly lon: number;
  readonly lat: number;
}

/** The shortest way between two places. bearingDeg: true, where it begins, 0 to 360; null where it has no length. */
export interface Leg {
  readonly distanceM: number;
  readonly bearingDeg: number | null;
}

export function legBetween(from: Place, to: Place): Leg {
  const { s12, azi1 } = Geodesic.WGS84.Inverse(from.lat, from.lon, to.lat, to.lon) as { s12: number; azi1: number };
  return { distanceM: s12, bearingDeg: s12 < 0.001 ? null : (azi1 + 360) % 360 };
}

/** The places that the shortest way runs through: both ends, an odd number, so that the one half way is the middle one.
 * [lon, lat] degrees, without a jump at 180. */
export function wayBetween(from: Place, to: Place): [number, number][] {
  const line = Geodesic.WGS84.InverseLine(from.lat, from.lon, to.lat, to.lon);
  const { distanceM } = legBetween(from, to);
  const steps = 2 * Math.min(MOST_BENDS, Math.max(1, Math.ceil(distanceM / BEND_EVERY_M)));
  let before = from.lon;
  return Array.from({ length: steps + 1 }, (_, i) => {
    const { lon2, lat2 } = line.Position((distanceM * i) / steps) as { lon2: number; lat2: number };
    before += ((((lon2 - before + 180) % 360) + 360) % 360) - 180;
    return [before, lat2];
  });
}

/** "12.34" below ten of the unit, "123.4" above. */
function length(units: number): string {
  return units.toFixed(units < 10 ? 2 : 1);
}

export function nauticalMiles(metres: number): string {
  return length(metres / METRES_PER_NAUTICAL_MILE);
}

export function kilometres(metres: number): string {
  return length(metres / 1_000);
}

/** "045.3°", three digits before the point as a bearing is spoken; "–" for none. */
export function trueBearing(bearingDeg: number | null): string {
  if (bearingDeg === null) return "–";
  return `${((Math.round(bearingDeg * 10) % 3_600) / 10).toFixed(1).padStart(5, "0")}°`;
}
