// What the screen knows: the tracks in view under their handles, or the counts of a low zoom.
import { type Group, type GroupCounts, countGroups, groupsOf, inDanger } from "./groups.js";
import { type Aggregate, type Frame, type TrackRecord, TrackStatus } from "./protocol.js";

export interface Name {
  readonly trackId: string;
  readonly label: string;
}

export class Picture {
  readonly tracks = new Map<number, TrackRecord>();
  readonly names = new Map<number, Name>();
  aggregates: readonly Aggregate[] = [];
  /** What the server counted for the cells. */
  private told: GroupCounts | null = null;
  realmNowMs: number | null = null;
  /** True while what is shown is the past: the picture at `asOfMs`, which is then the "now" of every age. */
  asOf = false;
  asOfMs: number | null = null;
  /** Groups that the officer does not want to see. */
  hidden: ReadonlySet<Group> = new Set();
  /** Shown whatever is hidden. */
  selectedTrackId: string | null = null;
  private readonly handles = new Map<string, number>();

  /** A new connection: handles may mean other tracks than before. What was shown stays until the first snapshot. */
  forgetNames(): void {
    this.names.clear();
    this.handles.clear();
  }

  learnNames(rows: readonly (readonly [number, string, string])[]): void {
    for (const [handle, trackId, label] of rows) {
      this.names.set(handle, { trackId, label });
      this.handles.set(trackId, handle);
    }
  }

  apply(frame: Frame): void {
    this.realmNowMs = frame.realmNowMs;
    switch (frame.kind) {
      case "snapshot":
      case "as_of":
        this.asOf = frame.kind === "as_of";
        this.tracks.clear();
        this.aggregates = [];
        this.told = null;
        for (const track of frame.tracks) this.tracks.set(track.handle, track);
        return;
      case "delta":
        for (const track of frame.tracks) this.tracks.set(track.handle, track);
        return;
      case "aggregate":
        this.asOf = false;
        this.tracks.clear();
        this.aggregates = frame.aggregates;
        return;
      case "remove":
        for (const handle of frame.handles) this.tracks.delete(handle);
        return;
      case "tick":
        return;
    }
  }

  byTrackId(trackId: string): TrackRecord | undefined {
    const handle = this.handles.get(trackId);
    return handle === undefined ? undefined : this.tracks.get(handle);
  }

  /** The realm's clock, or the past time that is shown. */
  get nowMs(): number | null {
    return this.asOf && this.asOfMs !== null ? this.asOfMs : this.realmNowMs;
  }

  /** Seconds since the track was last heard; 0 for one that is ahead of the realm's clock. */
  ageS(track: TrackRecord): number {
    return this.nowMs === null ? 0 : Math.max(0, this.nowMs / 1_000 - track.observedAtS);
  }

  /** The tracks in view that are not hidden. What is in danger or selected never is. */
  shown(): TrackRecord[] {
    const all = [...this.tracks.values()];
    if (this.hidden.size === 0) return all;
    const selected = this.selectedTrackId === null ? undefined : this.byTrackId(this.selectedTrackId);
    return all.filter((t) => inDanger(t) || t === selected || !groupsOf(t).some((group) => this.hidden.has(group)));
  }

  /** How many tracks the screen shows, counted cells included. */
  get count(): number {
    return this.aggregates.length > 0 ? this.aggregates.reduce((n, a) => n + a.count, 0) : this.shown().length;
  }

  /** The server's counts of what the cells hold, which it sends before them. */
  takeCounts(counts: GroupCounts): void {
    this.told = counts;
  }

  /** How many tracks in view are of each group. */
  get counts(): GroupCounts {
    return this.told ?? countGroups(this.tracks.values(), this.hidden);
  }

  /** How many tracks in view are hidden; null where no group is. */
  get filtered(): number | null {
    return this.hidden.size === 0 ? null : this.counts.hidden;
  }

  /** Age in seconds of the live track heard longest ago; null where none is live. */
  oldestLiveAgeS(): number | null {
    let oldest: number | null = null;
    for (const track of this.tracks.values()) {
      if (track.status <= TrackStatus.LIVE) oldest = Math.max(oldest ?? 0, this.ageS(track));
    }
    return oldest;
  }
}
