// Keeps tracks in view while they move, until the officer moves the map.
import { type Bounds, aroundPoints } from "./home.js";
import type { Place } from "./geodesic.js";

/** Tracks that are closer to the edge of the view than this share of it are about to leave. */
const EDGE_SHARE = 0.1;
/** Of the view that is taken then, so much is left on each side of them. */
export const ROOM_SHARE = 0.25;

/** Where the map must go so that these places stay well inside `view`; null where they are. */
export function viewFor(places: readonly Place[], view: Bounds): Bounds | null {
  const around = aroundPoints(places.map(({ lon, lat }) => [lon, lat] as const));
  if (around === null) return null;
  const [[west, south], [east, north]] = view;
  const [dx, dy] = [(east - west) * EDGE_SHARE, (north - south) * EDGE_SHARE];
  const inside = around[0][0] >= west + dx && around[1][0] <= east - dx && around[0][1] >= south + dy && around[1][1] <= north - dy;
  return inside ? null : around;
}
