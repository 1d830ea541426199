// What deck.gl draws over the basemap: tracks or counts, leaders, the trail, alert marks, the selection.
import type { Layer, PickingInfo } from "@deck.gl/core";
import { IconLayer, LineLayer, ScatterplotLayer, TextLayer } from "@deck.gl/layers";
import type { MapAlert } from "./alerts.js";
import { radius95M, tracksWithCircle } from "./errors.js";
import type { MapIncident, ShownIncidents } from "./incidents.js";
import type { MapNote, ShownNotes } from "./notes.js";
import * as palette from "./palette.js";
import type { Picture } from "./picture.js";
import { type Aggregate, Flag, SubjectKind, type TrackRecord, TrackStatus } from "./protocol.js";
import type { Switch } from "./shown.js";
import { type Atlas, HEADING_SIZE, bearing, colourOf, iconAngle, iconOf, isOurs, isType } from "./symbols.js";
import type { TrailSegment } from "./trail.js";
import { destination } from "./units.js";

export type Selection = { readonly track_id: string } | { readonly alert_id: string; readonly track_id?: string } | null;

export interface Scene {
  readonly picture: Picture;
  readonly alerts: readonly MapAlert[];
  readonly incidents: ShownIncidents;
  readonly notes: ShownNotes;
  /** Tracks that the officer has chosen by a box. */
  readonly marked: readonly string[];
  readonly trail: readonly TrailSegment[];
  readonly selection: Selection;
  readonly zoom: number;
  /** Tracks are drawn in the terms of MIL-STD-2525. */
  readonly types: boolean;
  /** How strongly a layer is drawn: 0 for not at all, up to 1. */
  readonly strength: (which: Switch) => number;
}

export type Picked =
  | { readonly type: "track"; readonly track: TrackRecord }
  | { readonly type: "aggregate"; readonly aggregate: Aggregate }
  | { readonly type: "alert"; readonly alert: MapAlert }
  | { readonly type: "incident"; readonly incident: MapIncident }
  | { readonly type: "note"; readonly note: MapNote };

/** How many minutes a leader runs ahead: the nearer the view the fewer, so that its length stays readable. */
export function leaderMinutes(zoom: number): number {
  if (zoom < 9) return 12;
  if (zoom < 11) return 6;
  return 3;
}

/** An aircraft covers in a minute what a vessel covers in ten: its leader runs for a sixth of the time. */
export const AIRCRAFT_LEADER_SHARE = 1 / 6;

/** Pixels of an atlas cell (36 units) on the screen. */
function iconPixels(zoom: number): number {
  return Math.min(38, Math.max(21, 21 + (zoom - 6) * 3.4));
}

export function picked(info: PickingInfo): Picked | null {
  if (info.layer?.id === "dots") {
    const track = (info.layer.props.data as Dots).tracks[info.index];
    return track === undefined ? null : { type: "track", track };
  }
  if (info.object === undefined || info.object === null) return null;
  switch (info.layer?.id) {
    case "tracks":
      return { type: "track", track: info.object as TrackRecord };
    case "counts":
      return { type: "aggregate", aggregate: info.object as Aggregate };
    case "alerts":
      return { type: "alert", alert: info.object as MapAlert };
    case "notes":
      return { type: "note", note: info.object as MapNote };
    case "incidents":
      return { type: "incident", incident: info.object as MapIncident };
    default:
      return null;
  }
}

export function buildLayers(scene: Scene, atlas: Atlas): Layer[] {
  const tracks = leastFirst(scene.picture.shown());
  const dense = tracks.length > DENSE_TRACKS;
  const symbols = dense ? tracks.filter((t) => importance(t) >= MATTERS) : tracks;
  return [
    ...countLayers(scene.picture.aggregates),
    errorLayer(tracks, scene),
    trailLayer(scene.trail, scene.strength("trails")),
    leaderLayer(symbols, scene.zoom, scene.strength("leaders")),
    ...(dense ? [dotLayer(tracks.filter((t) => importance(t) < MATTERS))] : []),
    // Alerts are known as they are now: upon a past picture they would say what was not known then.
    ...(scene.picture.asOf ? [] : [ringLayer(tracks, scene)]),
    ...(scene.types ? [headingLayer(symbols, scene.zoom, atlas)] : []),
    trackLayer(symbols, scene, atlas),
    ...scene.notes.layers(scene.picture, scene.strength("notes"), atlas),
    markedLayer(scene),
    ...scene.incidents.layers({ ...scene, iconPixels: iconPixels(scene.zoom), strength: scene.strength("incidents") }, atlas),
    ...(scene.strength("alerts") > 0 && !scene.picture.asOf ? [alertLayer(scene.alerts, atlas)] : []),
    selectionLayer(scene, atlas),
  ];
}

/** With more tracks than this in view there is no room for symbols: the ordinary ones become dots. */
const DENSE_TRACKS = 2_000;

/** Least importance of a track that is a symbol, and named, whatever the density. */
export const MATTERS = 10;

/** What must lie on top when symbols overlap: distress over alerts over the unknown over our own over the rest. */
export function importance(track: TrackRecord): number {
  let rank = track.status === TrackStatus.LOST ? 0 : track.status === TrackStatus.STALE ? 1 : 2;
  if (isOurs(track)) rank += 10;
  if (colourOf(track.kind, false) === palette.DARK_CONTACT) rank += 20;
  if (track.flags & Flag.OPEN_ALERT) rank += 40;
  if (track.flags & Flag.DISTRESS) rank += 80;
  return rank;
}

/** In order of importance, which has few values: a heap for each costs ten thousand tracks less than comparing them. */
function leastFirst(tracks: readonly TrackRecord[]): TrackRecord[] {
  const heaps: TrackRecord[][] = [];
  for (const track of tracks) (heaps[importance(track)] ??= []).push(track);
  return heaps.flat();
}

function trackLayer(tracks: readonly TrackRecord[], { zoom, types: typeSymbols }: Scene, atlas: Atlas): Layer {
  return new IconLayer<TrackRecord>({
    id: "tracks",
    data: tracks,
    // The types name an address or a texture only; the property takes any picture (deck.gl, "image" properties).
    iconAtlas: atlas.image as unknown as string,
    iconMapping: atlas.places as Record<string, (typeof atlas.places)[string]>,
    getIcon: (t) => iconOf(t, typeSymbols),
    getPosition: (t) => [t.lon, t.lat],
    getAngle: (t) => iconAngle(t, typeSymbols),
    getSize: (t) => iconPixels(zoom) * sizeFactor(t),
    sizeUnits: "pixels",
    pickable: true,
    alphaCutoff: 0.02,
    updateTriggers: { getIcon: typeSymbols, getAngle: typeSymbols, getSize: zoom },
  });
}

/** A frame of MIL-STD-2525 stays upright: where its track heads, an arrow says, a single picture for all. */
function headingLayer(tracks: readonly TrackRecord[], zoom: number, atlas: Atlas): Layer {
  return new IconLayer<TrackRecord>({
    id: "headings",
    data: tracks.filter((t) => isType(t) && bearing(t) !== null),
    iconAtlas: atlas.image as unknown as string,
    iconMapping: atlas.places as Record<string, (typeof atlas.places)[string]>,
    getIcon: () => "heading",
    getPosition: (t) => [t.lon, t.lat],
    getAngle: (t) => -(bearing(t) ?? 0),
    getSize: (t) => iconPixels(zoom) * sizeFactor(t) * HEADING_SIZE,
    sizeUnits: "pixels",
    alphaCutoff: 0.02,
    updateTriggers: { getSize: zoom },
  });
}

function sizeFactor(track: TrackRecord): number {
  if (track.flags & Flag.DISTRESS) return 1.2;
  if (isOurs(track) || colourOf(track.kind, false) === palette.DARK_CONTACT) return 1.12;
  return colourOf(track.kind, false) === palette.FIXED ? 0.7 : 1;
}

/** What the dots are drawn from, a number a place: asking a function for each of ten thousand would cost a frame. */
interface Dots {
  readonly length: number;
  readonly tracks: readonly TrackRecord[];
  readonly attributes: {
    readonly getPosition: { readonly value: Float64Array; readonly size: 2 };
    readonly getFillColor: { readonly value: Uint8Array; readonly size: 4 };
    readonly getLineColor: { readonly value: Uint8Array; readonly size: 4 };
  };
}

/** Ordinary tracks of a dense view: filled where live, hollow where stale or lost, as the symbols are. */
function dotLayer(tracks: readonly TrackRecord[]): Layer {
  const places = new Float64Array(tracks.length * 2);
  const [fill, line] = [new Uint8Array(tracks.length * 4), new Uint8Array(tracks.length * 4)];
  tracks.forEach(({ lon, lat, kind, status }, i) => {
    places[2 * i] = lon;
    places[2 * i + 1] = lat;
    const colour = colourOf(kind, false);
    fill.set(colour, 4 * i);
    line.set(colour, 4 * i);
    fill[4 * i + 3] = status === TrackStatus.LIVE ? 255 : 0;
    line[4 * i + 3] = status === TrackStatus.LIVE ? 255 : status === TrackStatus.LOST ? 110 : 160;
  });
  const data: Dots = {
    length: tracks.length,
    tracks,
    attributes: {
      getPosition: { value: places, size: 2 },
      getFillColor: { value: fill, size: 4 },
      getLineColor: { value: line, size: 4 },
    },
  };
  return new ScatterplotLayer({
    id: "dots",
    data,
    radiusUnits: "pixels",
    getRadius: 3,
    stroked: true,
    lineWidthUnits: "pixels",
    getLineWidth: 1,
    pickable: true,
  });
}

/** A ring around what has an open alert: seen also where the alert's own mark stands elsewhere. */
function ringLayer(tracks: readonly TrackRecord[], { alerts, picture, zoom }: Scene): Layer {
  const severities = new Map(alerts.map((alert) => [alert.trackId, alert.severity]));
  const ringColour = (track: TrackRecord): palette.Rgb => {
    if (track.flags & Flag.DISTRESS) return palette.DISTRESS;
    return palette.SEVERITY[severities.get(picture.names.get(track.handle)?.trackId ?? null) ?? "high"];
  };
  return new ScatterplotLayer<TrackRecord>({
    id: "rings",
    data: tracks.filter((t) => t.flags & (Flag.OPEN_ALERT | Flag.DISTRESS)),
    getPosition: (t) => [t.lon, t.lat],
    radiusUnits: "pixels",
    getRadius: iconPixels(zoom) * 0.52,
    getFillColor: (t) => [...ringColour(t), 36],
    getLineColor: (t) => [...ringColour(t), 235],
    stroked: true,
    lineWidthUnits: "pixels",
    getLineWidth: 2,
    updateTriggers: { getRadius: zoom, getFillColor: alerts, getLineColor: alerts },
  });
}

/** Circles that hold a track with a probability of 95 %. */
function errorLayer(tracks: readonly TrackRecord[], { picture, strength }: Scene): Layer {
  const selected = picture.selectedTrackId === null ? undefined : picture.byTrackId(picture.selectedTrackId);
  const colour = (t: TrackRecord): palette.Rgb => colourOf(t.kind, isOurs(t));
  return new ScatterplotLayer<TrackRecord>({
    id: "errors",
    visible: strength("errors") > 0,
    opacity: strength("errors"),
    data: tracksWithCircle(tracks, selected),
    getPosition: (t) => [t.lon, t.lat],
    radiusUnits: "meters",
    getRadius: (t) => radius95M(t) ?? 0,
    getFillColor: (t) => [...colour(t), 26],
    getLineColor: (t) => [...colour(t), 190],
    stroked: true,
    lineWidthUnits: "pixels",
    getLineWidth: 1.2,
  });
}

function leaderLayer(tracks: readonly TrackRecord[], zoom: number, strength: number): Layer {
  const minutes = leaderMinutes(zoom);
  return new LineLayer<TrackRecord>({
    id: "leaders",
    visible: strength > 0,
    opacity: strength,
    data: tracks.filter((t) => t.status <= TrackStatus.LIVE && (t.speedMps ?? 0) > 0.25 && t.courseDeg !== null),
    getSourcePosition: (t) => [t.lon, t.lat],
    getTargetPosition: (t) => destination(t.lon, t.lat, t.courseDeg ?? 0, (t.speedMps ?? 0) * 60 * minutes * leaderShare(t)),
    getColor: (t) => [...colourOf(t.kind, isOurs(t)), 190],
    widthUnits: "pixels",
    getWidth: 1.4,
    updateTriggers: { getTargetPosition: minutes },
  });
}

function leaderShare(track: TrackRecord): number {
  return track.kind === SubjectKind.AIRCRAFT ? AIRCRAFT_LEADER_SHARE : 1;
}

function trailLayer(trail: readonly TrailSegment[], strength: number): Layer {
  return new LineLayer<TrailSegment>({
    id: "trail",
    visible: strength > 0,
    opacity: strength,
    data: trail,
    getSourcePosition: (s) => [s.from.lon, s.from.lat],
    getTargetPosition: (s) => [s.to.lon, s.to.lat],
    getColor: (s) => [...palette.WHITE, s.gap ? 55 : 60 + 180 * s.freshness],
    widthUnits: "pixels",
    getWidth: (s) => (s.gap ? 1 : 2.2),
  });
}

/** Rings around what was chosen by a box. */
function markedLayer({ picture, marked, zoom }: Scene): Layer {
  return new ScatterplotLayer<TrackRecord>({
    id: "marked",
    data: marked.flatMap((id) => picture.byTrackId(id) ?? []),
    getPosition: (t) => [t.lon, t.lat],
    radiusUnits: "pixels",
    getRadius: iconPixels(zoom) * 0.62,
    filled: false,
    stroked: true,
    lineWidthUnits: "pixels",
    getLineWidth: 1.8,
    getLineColor: [...palette.SELECTED, 230],
    updateTriggers: { getRadius: zoom, getLineColor: palette.SELECTED },
  });
}

function alertLayer(alerts: readonly MapAlert[], atlas: Atlas): Layer {
  return new IconLayer<MapAlert>({
    id: "alerts",
    data: alerts,
    iconAtlas: atlas.image as unknown as string,
    iconMapping: atlas.places as Record<string, (typeof atlas.places)[string]>,
    getIcon: (a) => `alert-${a.severity}-${a.acknowledged ? "acknowledged" : "open"}`,
    getPosition: (a) => [a.lon, a.lat],
    getPixelOffset: [0, -24],
    getSize: (a) => (a.acknowledged ? 22 : 30),
    sizeUnits: "pixels",
    pickable: true,
    alphaCutoff: 0.02,
  });
}

function selectionLayer(scene: Scene, atlas: Atlas): Layer {
  const place = selectedPlace(scene);
  return new IconLayer<readonly [number, number]>({
    id: "selection",
    data: place === null ? [] : [place],
    iconAtlas: atlas.image as unknown as string,
    iconMapping: atlas.places as Record<string, (typeof atlas.places)[string]>,
    getIcon: () => "selected",
    getPosition: (p) => [...p],
    getSize: iconPixels(scene.zoom) * 1.35,
    sizeUnits: "pixels",
    updateTriggers: { getSize: scene.zoom },
  });
}

/** Where the selected track or alert is; null where it is not on this screen. */
export function selectedPlace(scene: Pick<Scene, "picture" | "alerts" | "selection">): [number, number] | null {
  const { selection } = scene;
  if (selection === null) return null;
  if ("track_id" in selection) {
    const track = scene.picture.byTrackId(selection.track_id);
    return track === undefined ? null : [track.lon, track.lat];
  }
  const alert = scene.alerts.find((a) => a.alertId === selection.alert_id);
  if (alert === undefined) return null;
  const track = alert.trackId === null ? undefined : scene.picture.byTrackId(alert.trackId);
  return track === undefined ? [alert.lon, alert.lat] : [track.lon, track.lat];
}

function countRadius(count: number): number {
  return Math.min(34, 9 + 3.2 * Math.log2(count + 1));
}

function countLayers(aggregates: readonly Aggregate[]): Layer[] {
  const smallLast = [...aggregates].sort((a, b) => b.count - a.count);
  return [
    new ScatterplotLayer<Aggregate>({
      id: "counts",
      data: smallLast,
      getPosition: (a) => [a.lon, a.lat],
      radiusUnits: "pixels",
      getRadius: (a) => countRadius(a.count),
      getFillColor: (a) => [...countColour(a), 70],
      getLineColor: (a) => [...countColour(a), 230],
      stroked: true,
      lineWidthUnits: "pixels",
      getLineWidth: (a) => (a.flags & (Flag.DISTRESS | Flag.OPEN_ALERT) ? 2.5 : 1.2),
      pickable: true,
    }),
    new TextLayer<Aggregate>({
      id: "count-numbers",
      data: smallLast,
      getPosition: (a) => [a.lon, a.lat],
      // A mark beside the colour: ! where an alert is open, SOS where someone is in distress.
      getText: (a) => `${a.flags & Flag.DISTRESS ? "SOS " : a.flags & Flag.OPEN_ALERT ? "! " : ""}${a.count}`,
      getSize: 13,
      getColor: [...palette.WHITE, 255],
      fontFamily: "Noto Sans JP, sans-serif",
      fontWeight: 700,
      characterSet: "0123456789!SO ",
      fontSettings: { sdf: true, fontSize: 48, buffer: 8, radius: 16 },
      outlineWidth: 3,
      outlineColor: [...palette.INK, 230],
    }),
  ];
}

function countColour(aggregate: Aggregate): palette.Rgb {
  if (aggregate.flags & Flag.DISTRESS) return palette.DISTRESS;
  if (aggregate.flags & Flag.OPEN_ALERT) return palette.SEVERITY.high;
  return palette.VESSEL;
}

