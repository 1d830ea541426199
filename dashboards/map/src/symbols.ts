// Every symbol of the map drawn once into one picture (an atlas), so that ten thousand tracks are one draw call.
import { INCIDENT_STATES, drawAlert, drawHeading, drawIncident, drawNote, drawSelected } from "./marks.js";
import * as palette from "./palette.js";
import { Flag, SubjectKind, type TrackRecord, TrackStatus } from "./protocol.js";
import { type Shape, shapeOf } from "./shapes.js";
import { type DrawType, type TypeSymbol, hasType } from "./types.js";

/** From this zoom a symbol may say its type in the terms of MIL-STD-2525; below it a plain shape, which reads faster. */
export const TYPE_SYMBOL_ZOOM = 11.5;
/** How much larger than its symbol the arrow of its heading is. */
export const HEADING_SIZE = 2;

const CELL_PIXELS = 72;
const SHAPE_SCALE = 2;
const COLUMNS = 14;

export interface IconPlace {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly anchorX: number;
  readonly anchorY: number;
  readonly mask: false;
}

export interface Atlas {
  readonly image: HTMLCanvasElement;
  readonly places: Readonly<Record<string, IconPlace>>;
}

const KINDS: readonly number[] = Object.values(SubjectKind);
/** Worked out once: the accessors below run for every track at every update. */
const TURNING: ReadonlySet<number> = new Set(KINDS.filter((kind) => shapeOf(kind, true).turns));
const STATUSES: readonly number[] = Object.values(TrackStatus);

/** The icon of a track in the atlas, its name being all that decides how it looks. */
export function iconOf(track: TrackRecord, typeSymbols: boolean): string {
  const kind = track.flags & Flag.DISTRESS ? SubjectKind.DISTRESS_BEACON : KINDS.includes(track.kind) ? track.kind : SubjectKind.UNKNOWN;
  const ours = isOurs(track) ? "ours" : "other";
  const status = STATUSES.includes(track.status) ? track.status : TrackStatus.TENTATIVE;
  if (typeSymbols && hasType(kind)) return typeIcon(kind, isOurs(track), status);
  return `plain-${kind}-${bearing(track) === null ? "still" : "course"}-${ours}-${status}`;
}

function typeIcon(kind: number, ours: boolean, status: number): string {
  return `type-${kind}-${ours ? "ours" : "other"}-${status}`;
}

/** Whether a track is drawn as a type, whose frame stays upright: an arrow then says where it heads. */
export function isType(track: TrackRecord): boolean {
  return hasType(track.flags & Flag.DISTRESS ? SubjectKind.DISTRESS_BEACON : track.kind);
}

/** The same in the terms of MIL-STD-2525; null for what has none there, and while those symbols are not loaded. */
export function sampleType(atlas: Atlas, kind: number, flags: number): string | null {
  const icon = typeIcon(kind, flags !== 0, TrackStatus.LIVE);
  return icon in atlas.places ? icon : null;
}

/** The icon of a vessel, a drone and so on as a legend shows it, under way with its bow up. */
export function sampleIcon(kind: number, status: number, flags: number): string {
  return iconOf({ handle: 0, lon: 0, lat: 0, observedAtS: 0, courseDeg: 0, headingDeg: 0, speedMps: 5, kind, status, flags, errorM: null }, false);
}

/** An icon of the atlas as an element of its own, so many pixels wide. */
export function drawIcon(atlas: Atlas, icon: string, pixels: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = CELL_PIXELS;
  canvas.style.width = canvas.style.height = `${pixels}px`;
  canvas.setAttribute("aria-hidden", "true");
  const place = atlas.places[icon];
  if (place !== undefined) {
    canvas.getContext("2d")?.drawImage(atlas.image, place.x, place.y, place.width, place.height, 0, 0, CELL_PIXELS, CELL_PIXELS);
  }
  return canvas;
}

export function isOurs(track: TrackRecord): boolean {
  return (track.flags & (Flag.ASSET | Flag.OWN_SHIP)) !== 0;
}

/** Where the bow points: heading, else the course while it moves; null where neither is known. */
export function bearing(track: TrackRecord): number | null {
  if (track.headingDeg !== null) return track.headingDeg;
  return track.courseDeg !== null && (track.speedMps ?? 0) > 0.25 ? track.courseDeg : null;
}

/** Degrees counter-clockwise, as deck.gl turns icons. */
export function iconAngle(track: TrackRecord, typeSymbols: boolean): number {
  const kind = track.flags & Flag.DISTRESS ? SubjectKind.DISTRESS_BEACON : track.kind;
  if (typeSymbols && hasType(kind)) return 0;
  const course = bearing(track);
  return course !== null && TURNING.has(kind) ? -course : 0;
}

export function colourOf(kind: number, ours: boolean): palette.Rgb {
  if (kind === SubjectKind.DISTRESS_BEACON) return palette.DISTRESS;
  if (ours) return palette.ASSET;
  switch (kind) {
    case SubjectKind.VESSEL:
      return palette.VESSEL;
    case SubjectKind.AIRCRAFT:
    case SubjectKind.AIR_DRONE:
    case SubjectKind.UNDERWATER_DRONE:
    case SubjectKind.SURFACE_DRONE:
      return palette.AIRCRAFT;
    case SubjectKind.AID_TO_NAVIGATION:
    case SubjectKind.BASE_STATION:
    case SubjectKind.GROUND_STATION:
      return palette.FIXED;
    default:
      return palette.DARK_CONTACT;
  }
}

/** Draw every icon that there can be, once each: a track's symbol is a place in this picture. types: null while those of
 * MIL-STD-2525 are not loaded. */
export function drawAtlas(types: DrawType | null): Atlas {
  const drawings = new Map<string, (context: CanvasRenderingContext2D) => void>();
  for (const kind of KINDS) {
    for (const [suffix, ours] of [["other", false], ["ours", true]] as const) {
      for (const status of STATUSES) {
        for (const [bow, courseKnown] of [["course", true], ["still", false]] as const) {
          drawings.set(`plain-${kind}-${bow}-${suffix}-${status}`, (context) =>
            drawPlain(context, shapeOf(kind, courseKnown), colourOf(kind, ours), status, kind),
          );
        }
        if (types !== null && hasType(kind)) {
          drawings.set(typeIcon(kind, ours, status), (context) => drawType(context, types, { kind, ours, status }));
        }
      }
    }
  }
  for (const severity of Object.keys(palette.SEVERITY) as palette.Severity[]) {
    for (const [state, hollow] of [["open", false], ["acknowledged", true]] as const) {
      drawings.set(`alert-${severity}-${state}`, (context) => drawAlert(context, severity, hollow));
    }
    for (const state of INCIDENT_STATES) drawings.set(`incident-${severity}-${state}`, (context) => drawIncident(context, severity, state));
  }
  drawings.set("selected", drawSelected);
  drawings.set("heading", drawHeading);
  drawings.set("note", drawNote);
  return layOut(drawings);
}

function layOut(drawings: ReadonlyMap<string, (context: CanvasRenderingContext2D) => void>): Atlas {
  const image = document.createElement("canvas");
  image.width = COLUMNS * CELL_PIXELS;
  image.height = Math.ceil(drawings.size / COLUMNS) * CELL_PIXELS;
  // Read once by the graphics card: a canvas that lies in main memory is read without a detour.
  const context = image.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser draws no 2D canvas; use a current Chromium, Edge or Firefox");
  const places: Record<string, IconPlace> = {};
  let cell = 0;
  for (const [name, draw] of drawings) {
    const x = (cell % COLUMNS) * CELL_PIXELS;
    const y = Math.floor(cell / COLUMNS) * CELL_PIXELS;
    context.setTransform(SHAPE_SCALE, 0, 0, SHAPE_SCALE, x + CELL_PIXELS / 2, y + CELL_PIXELS / 2);
    draw(context);
    const middle = CELL_PIXELS / 2;
    places[name] = { x, y, width: CELL_PIXELS, height: CELL_PIXELS, anchorX: middle, anchorY: middle, mask: false };
    cell += 1;
  }
  return { image, places };
}

/** Live: filled. Tentative: hollow. Stale: hollow at half strength. Lost: fainter still, and struck through. */
function drawPlain(
  context: CanvasRenderingContext2D,
  shape: Shape,
  colour: palette.Rgb,
  status: number,
  kind: number,
): void {
  const strength = status === TrackStatus.LOST ? 0.38 : status === TrackStatus.STALE ? 0.55 : 1;
  const filled = status === TrackStatus.LIVE;
  context.save();
  context.lineJoin = "round";
  context.lineCap = "round";
  // The dark rim is what keeps a symbol readable upon another one and upon land.
  context.strokeStyle = palette.css(palette.INK, filled ? 0.9 : 0.6);
  context.lineWidth = filled ? 3 : 4.2;
  if (shape.line !== undefined) context.stroke(shape.line);
  context.stroke(shape.body);
  context.fillStyle = filled ? palette.css(colour) : palette.css(palette.INK, 0.65);
  context.fill(shape.body);
  context.strokeStyle = palette.css(colour, strength);
  context.lineWidth = filled ? 0.8 : 1.9;
  if (!filled || shape.line === undefined) context.stroke(shape.body);
  if (shape.line !== undefined) {
    context.lineWidth = 1.9;
    const inside = kind === SubjectKind.DISTRESS_BEACON || kind === SubjectKind.AID_TO_NAVIGATION;
    context.strokeStyle = inside && filled ? palette.css(palette.INK) : palette.css(colour, strength);
    context.stroke(shape.line);
  }
  if (kind === SubjectKind.UNKNOWN) {
    context.fillStyle = filled ? palette.css(palette.INK) : palette.css(colour, strength);
    context.font = "bold 12px sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText("?", 0, 0.8);
  }
  if (status === TrackStatus.LOST) drawStrike(context);
  context.restore();
}

function drawStrike(context: CanvasRenderingContext2D): void {
  for (const [colour, width] of [[palette.css(palette.INK), 4], [palette.css(palette.WHITE, 0.6), 1.7]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(-11, 11);
    context.lineTo(11, -11);
    context.stroke();
  }
}

/** Live: filled. Not live: an outline, fainter, in the dashed frame of what is not certain. Lost: struck through. */
function drawType(context: CanvasRenderingContext2D, types: DrawType, symbol: TypeSymbol): void {
  const { picture, x, y } = types(symbol, {
    friend: palette.css(palette.ASSET),
    neutral: palette.css(palette.VESSEL),
    unknown: palette.css(palette.DARK_CONTACT),
    outline: palette.css(palette.WHITE, 0.85),
    rim: palette.css(palette.INK),
  });
  context.save();
  context.globalAlpha = symbol.status === TrackStatus.LOST ? 0.5 : symbol.status === TrackStatus.STALE ? 0.75 : 1;
  context.scale(1 / SHAPE_SCALE, 1 / SHAPE_SCALE);
  context.drawImage(picture, -x, -y);
  context.restore();
  if (symbol.status === TrackStatus.LOST) drawStrike(context);
}
