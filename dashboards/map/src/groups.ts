// The groups of tracks that an officer shows or hides, on the map and in the list alike: the same as in the server's
// command/operations/track_groups.py.
import { Flag, SubjectKind, type TrackRecord, TrackStatus } from "./protocol.js";

export const GROUPS = ["vessels", "unknown", "aircraft", "ours", "fixed", "silent"] as const;
export type Group = (typeof GROUPS)[number];

const KINDS: Readonly<Record<number, Group>> = {
  [SubjectKind.VESSEL]: "vessels",
  [SubjectKind.UNKNOWN]: "unknown",
  [SubjectKind.AIRCRAFT]: "aircraft",
  [SubjectKind.AIR_DRONE]: "aircraft",
  [SubjectKind.UNDERWATER_DRONE]: "aircraft",
  [SubjectKind.SURFACE_DRONE]: "aircraft",
  [SubjectKind.AID_TO_NAVIGATION]: "fixed",
  [SubjectKind.BASE_STATION]: "fixed",
  [SubjectKind.GROUND_STATION]: "fixed",
};

/** What a track is in: one group by what it is (a distress beacon in none), and "silent" where it is not heard. */
export function groupsOf(track: TrackRecord): readonly Group[] {
  const kind = track.flags & (Flag.ASSET | Flag.OWN_SHIP) ? "ours" : KINDS[track.kind];
  const what = kind === undefined ? [] : [kind];
  return track.status >= TrackStatus.STALE ? [...what, "silent"] : what;
}

/** In distress, or with an open alert: shown whatever is hidden. */
export function inDanger(track: TrackRecord): boolean {
  return (track.flags & (Flag.DISTRESS | Flag.OPEN_ALERT)) !== 0;
}

export interface GroupCounts {
  readonly of: Readonly<Record<Group, number>>;
  /** Not shown. */
  readonly hidden: number;
  /** Of a hidden group, and shown for their danger. */
  readonly kept: number;
}

export function countGroups(tracks: Iterable<TrackRecord>, hidden: ReadonlySet<Group>): GroupCounts {
  const counts = { of: { vessels: 0, unknown: 0, aircraft: 0, ours: 0, fixed: 0, silent: 0 }, hidden: 0, kept: 0 };
  for (const track of tracks) {
    const groups = groupsOf(track);
    for (const group of groups) counts.of[group] += 1;
    if (!groups.some((group) => hidden.has(group))) continue;
    if (inDanger(track)) counts.kept += 1;
    else counts.hidden += 1;
  }
  return counts;
}
