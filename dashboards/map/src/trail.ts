// The trail of the selected track, from GET /api/tracks/{id}/history.
import type { Picture } from "./picture.js";
import { getJson } from "./rest.js";
import { text } from "./texts.js";

interface TrailPoint {
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
const TRAIL_SPAN_MS = 6 * HOUR_MS;
/** The limits of the history resource. */
const MOST_HOURS = 168;
const MOST_POINTS = 5_000;
const GAP_MS = 15 * 60_000;

/** Columns, oldest first; lon and lat null where a state has no position. `cut`: there was more than the limit. */
interface HistoryJson {
  readonly observed_at_ms: readonly number[];
  readonly lon: readonly (number | null)[];
  readonly lat: readonly (number | null)[];
  readonly cut: boolean;
}

/** The places between `fromMs` and `toMs`. */
function trailPoints(body: HistoryJson, fromMs: number, toMs: number): TrailPoint[] {
  return body.observed_at_ms.flatMap((atMs, i) => {
    const lon = body.lon[i];
    const lat = body.lat[i];
    return atMs >= fromMs && atMs <= toMs && typeof lon === "number" && typeof lat === "number" ? [{ atMs, lon, lat }] : [];
  });
}

/** Where to read the history that reaches back over the trail's span before `shownMs`, at `realmNowMs`. */
function historyPath(trackId: string, shownMs: number, realmNowMs: number): string {
  const hours = Math.min(MOST_HOURS, Math.max(0, realmNowMs - shownMs) / HOUR_MS + TRAIL_SPAN_MS / HOUR_MS);
  return `/api/tracks/${encodeURIComponent(trackId)}/history?hours=${hours.toFixed(3)}&limit=${MOST_POINTS}`;
}

function trailSegments(points: readonly TrailPoint[], nowMs: number): TrailSegment[] {
  return points.slice(1).map((to, i) => {
    const from = points[i] as TrailPoint;
    const freshness = Math.min(1, Math.max(0, 1 - (nowMs - to.atMs) / TRAIL_SPAN_MS));
    return { from, to, gap: to.atMs - from.atMs > GAP_MS, freshness };
  });
}

export class ShownTrail {
  private points: readonly TrailPoint[] = [];
  private of: string | null = null;
  private request: AbortController | null = null;

  /** changed: what is drawn is another now. said: what is wrong with it, "" for nothing. */
  constructor(private readonly changed: () => void, private readonly said: (words: string) => void) {}

  /** Read again, whichever track is followed next. */
  forget(): void {
    this.of = null;
  }

  close(): void {
    this.request?.abort();
  }

  /** Show the trail of this track up to the time that the picture shows. */
  follow(trackId: string | null, { asOfMs, realmNowMs }: Picture): void {
    // A selection may come with the page's address, before the realm's clock.
    if (trackId === this.of || (trackId !== null && realmNowMs === null)) return;
    this.request?.abort();
    this.of = trackId;
    this.points = [];
    this.said("");
    if (trackId === null || realmNowMs === null) return;
    const shownMs = asOfMs ?? realmNowMs;
    const request = new AbortController();
    this.request = request;
    getJson<HistoryJson>(historyPath(trackId, shownMs, realmNowMs), request.signal).then(
      (body) => {
        this.points = trailPoints(body, shownMs - TRAIL_SPAN_MS, shownMs);
        this.said(body.cut ? text("map.trail_cut") : "");
        this.changed();
      },
      (error: Error) => {
        if (!request.signal.aborted) this.said(text("map.not_read", { what: text("map.trail"), reason: error.message }));
      },
    );
  }

  /** It grows with what the feed brings, so that it always ends at the symbol. */
  segments(picture: Picture): TrailSegment[] {
    const track = this.of === null ? undefined : picture.byTrackId(this.of);
    const last = this.points.at(-1);
    if (track !== undefined && !picture.asOf && (last === undefined || track.observedAtS * 1_000 > last.atMs + 999)) {
      this.points = [...this.points, { atMs: track.observedAtS * 1_000, lon: track.lon, lat: track.lat }];
    }
    return trailSegments(this.points, picture.nowMs ?? 0);
  }
}
