// The trail of the selected track, from GET /api/tracks/{id}/history.

export interface TrailPoint {
  readonly atMs: number;
  readonly lon: number;
  readonly lat: number;
}

/** One stretch between two reports. `gap`: nothing was heard for so long that the line is only a guess. */
export interface TrailSegment {
  readonly from: TrailPoint;
  readonly to: TrailPoint;
  readonly gap: boolean;
  /** 0 for the oldest shown, 1 for the newest. */
  readonly freshness: number;
}

export const TRAIL_SPAN_MS = 6 * 3_600_000;
const GAP_MS = 15 * 60_000;

interface HistoryJson {
  readonly points: readonly { readonly observed_at_ms: number; readonly lon: number; readonly lat: number }[];
}

export function trailPoints(body: HistoryJson): TrailPoint[] {
  return body.points
    .filter((p) => Number.isFinite(p.lon) && Number.isFinite(p.lat))
    .map((p) => ({ atMs: p.observed_at_ms, lon: p.lon, lat: p.lat }));
}

export function trailSegments(points: readonly TrailPoint[], nowMs: number): TrailSegment[] {
  return points.slice(1).map((to, i) => {
    const from = points[i] as TrailPoint;
    const freshness = Math.min(1, Math.max(0, 1 - (nowMs - to.atMs) / TRAIL_SPAN_MS));
    return { from, to, gap: to.atMs - from.atMs > GAP_MS, freshness };
  });
}
