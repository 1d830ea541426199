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

const HOUR_MS = 3_600_000;
export const TRAIL_SPAN_MS = 6 * HOUR_MS;
/** The limits of the history resource. */
const MOST_HOURS = 168;
const MOST_POINTS = 5_000;
const GAP_MS = 15 * 60_000;

/** Columns, oldest first; lon and lat null where a state has no position. `cut`: there was more than the limit. */
export interface HistoryJson {
  readonly observed_at_ms: readonly number[];
  readonly lon: readonly (number | null)[];
  readonly lat: readonly (number | null)[];
  readonly cut: boolean;
}

/** The places between `fromMs` and `toMs`. */
export function trailPoints(body: HistoryJson, fromMs: number, toMs: number): TrailPoint[] {
  return body.observed_at_ms.flatMap((atMs, i) => {
    const lon = body.lon[i];
    const lat = body.lat[i];
    return atMs >= fromMs && atMs <= toMs && typeof lon === "number" && typeof lat === "number" ? [{ atMs, lon, lat }] : [];
  });
}

/** Where to read the history that reaches back over the trail's span before `shownMs`, at `realmNowMs`. */
export function historyPath(trackId: string, shownMs: number, realmNowMs: number): string {
  const hours = Math.min(MOST_HOURS, Math.max(0, realmNowMs - shownMs) / HOUR_MS + TRAIL_SPAN_MS / HOUR_MS);
  return `/api/tracks/${encodeURIComponent(trackId)}/history?hours=${hours.toFixed(3)}&limit=${MOST_POINTS}`;
}

export function trailSegments(points: readonly TrailPoint[], nowMs: number): TrailSegment[] {
  return points.slice(1).map((to, i) => {
    const from = points[i] as TrailPoint;
    const freshness = Math.min(1, Math.max(0, 1 - (nowMs - to.atMs) / TRAIL_SPAN_MS));
    return { from, to, gap: to.atMs - from.atMs > GAP_MS, freshness };
  });
}
