// The binary frames of /ws/tracks (little-endian): a head of 24 bytes, then records of one size.

export const UNKNOWN_U16 = 65_535;

export const SubjectKind = {
  UNKNOWN: 0,
  VESSEL: 1,
  AIRCRAFT: 2,
  AIR_DRONE: 3,
  UNDERWATER_DRONE: 4,
  AID_TO_NAVIGATION: 5,
  BASE_STATION: 6,
  DISTRESS_BEACON: 7,
  SURFACE_DRONE: 8,
  GROUND_STATION: 9,
} as const;

export const TrackStatus = { TENTATIVE: 0, LIVE: 1, STALE: 2, LOST: 3 } as const;

export const Flag = { ASSET: 1, DISTRESS: 2, OPEN_ALERT: 4, OWN_SHIP: 8 } as const;

/** One track as the server sends it. Degrees, metres a second, unix seconds; null where the source did not say. */
export interface TrackRecord {
  readonly handle: number;
  readonly lon: number;
  readonly lat: number;
  readonly observedAtS: number;
  readonly courseDeg: number | null;
  readonly headingDeg: number | null;
  readonly speedMps: number | null;
  readonly kind: number;
  readonly status: number;
  readonly flags: number;
  /** Standard deviation of the position on each axis, metres. */
  readonly errorM: number | null;
}

/** The tracks of one cell of a low zoom: their mean place, how many, the worst status, all their flags. */
export interface Aggregate {
  readonly lon: number;
  readonly lat: number;
  readonly count: number;
  readonly worstStatus: number;
  readonly flags: number;
}

interface Head {
  readonly realmNowMs: number;
  readonly seq: bigint;
}

export type Frame = Head &
  (
    | { readonly kind: "snapshot" | "delta" | "as_of"; readonly tracks: readonly TrackRecord[] }
    | { readonly kind: "aggregate"; readonly aggregates: readonly Aggregate[] }
    | { readonly kind: "remove"; readonly handles: readonly number[] }
    | { readonly kind: "tick" }
  );

export class FrameError extends Error {}

const VERSION = 1;
const HEAD_BYTES = 24;
const TRACK_BYTES = 28;
const AGGREGATE_BYTES = 16;
const HANDLE_BYTES = 4;
const DEGREES_E7 = 1e-7;

/** The frame in these bytes. Throws FrameError for another version, an unknown kind or a length that is not its count's. */
export function decodeFrame(buffer: ArrayBuffer): Frame {
  if (buffer.byteLength < HEAD_BYTES) {
    throw new FrameError(`a frame of ${buffer.byteLength} bytes; the head alone has ${HEAD_BYTES}`);
  }
  const view = new DataView(buffer);
  const version = view.getUint8(0);
  if (version !== VERSION) {
    throw new FrameError(`frame version ${version}; this page speaks ${VERSION}: reload it`);
  }
  const kind = view.getUint8(1);
  const count = view.getUint32(4, true);
  const head = { realmNowMs: view.getFloat64(8, true), seq: view.getBigUint64(16, true) };
  switch (kind) {
    case 1:
      return { ...head, kind: "snapshot", tracks: records(view, count, TRACK_BYTES, trackAt) };
    case 2:
      return { ...head, kind: "delta", tracks: records(view, count, TRACK_BYTES, trackAt) };
    case 3:
      return { ...head, kind: "aggregate", aggregates: records(view, count, AGGREGATE_BYTES, aggregateAt) };
    case 4:
      return { ...head, kind: "remove", handles: records(view, count, HANDLE_BYTES, (v, at) => v.getUint32(at, true)) };
    case 5:
      return { ...head, kind: "tick" };
    case 6:
      return { ...head, kind: "as_of", tracks: records(view, count, TRACK_BYTES, trackAt) };
    default:
      throw new FrameError(`frame kind ${kind} is not known to this page: reload it`);
  }
}

function records<T>(view: DataView, count: number, size: number, read: (view: DataView, at: number) => T): T[] {
  if (view.byteLength !== HEAD_BYTES + count * size) {
    throw new FrameError(`${view.byteLength} bytes for ${count} records of ${size}`);
  }
  return Array.from({ length: count }, (_, i) => read(view, HEAD_BYTES + i * size));
}

function trackAt(view: DataView, at: number): TrackRecord {
  return {
    handle: view.getUint32(at, true),
    lon: view.getInt32(at + 4, true) * DEGREES_E7,
    lat: view.getInt32(at + 8, true) * DEGREES_E7,
    observedAtS: view.getUint32(at + 12, true),
    courseDeg: known(view.getUint16(at + 16, true), 0.01),
    headingDeg: known(view.getUint16(at + 18, true), 0.01),
    speedMps: known(view.getUint16(at + 20, true), 0.1),
    kind: view.getUint8(at + 22),
    status: view.getUint8(at + 23),
    flags: view.getUint8(at + 24),
    errorM: known(view.getUint16(at + 25, true), 1),
  };
}

function aggregateAt(view: DataView, at: number): Aggregate {
  return {
    lon: view.getInt32(at, true) * DEGREES_E7,
    lat: view.getInt32(at + 4, true) * DEGREES_E7,
    count: view.getUint32(at + 8, true),
    worstStatus: view.getUint8(at + 12),
    flags: view.getUint8(at + 13),
  };
}

function known(value: number, unit: number): number | null {
  return value === UNKNOWN_U16 ? null : value * unit;
}
