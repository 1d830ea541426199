// Where a track may be. The tracker knows the standard deviation of each axis and no direction, so this is a circle.
import { SubjectKind, type TrackRecord } from "./protocol.js";

/** A circle of this many standard deviations holds 95 % of a normal distribution in the plane: the root of -2 ln 0.05. */
const DEVIATIONS_95 = 2.4477;

/** Metres; null where the error is not known. */
export function radius95M(track: TrackRecord): number | null {
  return track.errorM === null ? null : track.errorM * DEVIATIONS_95;
}

/** The tracks whose circle is drawn: what is selected, and every contact that nobody has named. */
export function tracksWithCircle(tracks: readonly TrackRecord[], selected: TrackRecord | undefined): TrackRecord[] {
  return tracks.filter((t) => t.errorM !== null && (t === selected || t.kind === SubjectKind.UNKNOWN));
}
