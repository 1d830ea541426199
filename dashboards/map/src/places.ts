// What stands still and comes from the console by REST: watched areas and facilities; and the labels of tracks,
// which MapLibre places so that no two texts of the map overlap.
import type { GeoJSONSource, LayerSpecification, LngLatBounds, Map as MapLibre } from "maplibre-gl";
import { corners } from "./home.js";
import { MATTERS, importance } from "./layers.js";
import * as palette from "./palette.js";
import type { Picture } from "./picture.js";
import { setPoints } from "./points.js";
import { TrackStatus } from "./protocol.js";
import { FONT, repaint } from "./style.js";
import { colourOf, isOurs } from "./symbols.js";
import { type Language, age, text } from "./texts.js";

const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };

export const AREA_FILL_OPACITY = 0.045;

/** Tracks with a name on the map at once: MapLibre drops what does not fit, and this bounds its work each second. */
const MOST_LABELS = 400;
/** Symbols that texts keep off; in a denser view texts may run under the least important ones. */
const MOST_PLACES = 2_000;
/** From this zoom every track may be named; below it those that matter (layers.ts). */
const LABEL_EVERY_TRACK_ZOOM = 8;
/** From this zoom also those that are known by a number only: names tell more of a crowded sea than numbers. */
const LABEL_NUMBERS_ZOOM = 9.5;
const NUMBER = /^MMSI \d+$/;
/** An open alert or distress: named whatever else is there. */
const LABEL_ALWAYS = 40;
const SELECTED_RANK = 1_000;

export function addPlaces(map: MapLibre, language: Language): void {
  for (const kind of FACILITY_KINDS) map.addImage(`facility-${kind}`, facilityIcon(kind), { pixelRatio: 2 });
  for (const source of ["areas", "area-names", "facilities", "track-labels"]) map.addSource(source, { type: "geojson", data: EMPTY });
  const nothing = { width: 1, height: 1, data: new Uint8Array(4) };
  map.addImage("track-place", nothing, { stretchX: [[0, 1]], stretchY: [[0, 1]] });
  for (const layer of placeLayers(language)) map.addLayer(layer);
}

/** In the palette of now, what was added before. */
export function repaintPlaces(map: MapLibre, language: Language): void {
  for (const kind of FACILITY_KINDS) map.updateImage(`facility-${kind}`, facilityIcon(kind));
  repaint(map, placeLayers(language));
}

function placeLayers(language: Language): LayerSpecification[] {
  const isFence: ["==", ["get", string], string] = ["==", ["get", "kind"], "geofence"];
  const isMain = ["==", ["get", "kind"], "customs_headquarters"];
  return [
    {
      id: "area-fill",
      type: "fill",
      source: "areas",
      paint: { "fill-color": ["case", isFence, palette.GEOFENCE, palette.AREA_OF_INTEREST], "fill-opacity": AREA_FILL_OPACITY },
    },
    {
      id: "fence-line",
      type: "line",
      source: "areas",
      filter: isFence,
      paint: { "line-color": palette.GEOFENCE, "line-width": 1.6, "line-dasharray": [4, 2] },
    },
    {
      id: "interest-line",
      type: "line",
      source: "areas",
      filter: ["!", isFence],
      paint: { "line-color": palette.AREA_OF_INTEREST, "line-width": 1.4, "line-dasharray": [1, 2] },
    },
    {
      id: "area-name",
      type: "symbol",
      source: "area-names",
      minzoom: 6,
      layout: {
        "text-field": ["get", `name_${language}`],
        "text-font": FONT,
        "text-size": 12,
        "text-anchor": ["get", "anchor"],
        "text-offset": ["match", ["get", "anchor"], "bottom", ["literal", [0, -0.4]], ["literal", [0, 0.4]]],
        "text-max-width": 20,
    },
      paint: {
        "text-color": ["case", isFence, palette.GEOFENCE, palette.AREA_OF_INTEREST],
        "text-halo-color": palette.HALO,
        "text-halo-width": 1.4,
    },
    },
    {
      id: "facility",
      type: "symbol",
      source: "facilities",
      minzoom: 5,
      filter: [">=", ["zoom"], ["match", ["get", "kind"], "customs_headquarters", 5, "open_port", 8, "customs_airport", 8, 9]],
      layout: {
        "icon-image": [
          "match", ["get", "kind"],
          ["open_port", "port_facility"], "facility-port",
          "customs_airport", "facility-airport",
          ["customs_headquarters", "customs_branch"], "facility-customs",
          "facility-site",
        ],
        "icon-size": ["interpolate", ["linear"], ["zoom"], 6, 0.75, 11, 1],
        "text-field": ["get", `name_${language}`],
        "text-font": FONT,
        "text-size": 12,
        "text-variable-anchor": ["left", "right", "top", "bottom"],
        "text-radial-offset": 0.9,
        "text-optional": true,
        "symbol-sort-key": ["case", isMain, 0, 1] as never,
    },
      paint: { "text-color": palette.FACILITY_TEXT, "text-halo-color": palette.HALO, "text-halo-width": 1.3 },
    },
    ...[false, true].map(
      (first): LayerSpecification => ({
          id: first ? "track-label-first" : "track-label",
          type: "symbol",
          source: "track-labels",
          filter: [first ? "<=" : ">", ["get", "order"], -LABEL_ALWAYS],
          layout: {
            "text-field": ["get", "label"],
            "text-font": FONT,
            "text-size": first ? 13 : 12,
            "text-variable-anchor": ["left", "right", "top-left", "bottom-left", "top", "bottom"],
            "text-radial-offset": 1.25,
            "text-justify": "auto",
            "text-max-width": 16,
            "text-line-height": 1.1,
            "text-padding": 3,
            "text-overlap": first ? "always" : "never",
            "symbol-sort-key": ["get", "order"],
          },
          paint: {
            "text-color": ["get", "colour"],
            "text-halo-color": palette.HALO,
            "text-halo-width": first ? 2 : 1.5,
          },
        }),
    ),
    // The symbols themselves are deck.gl's. An empty picture where each one stands, placed before any text because its
    // layer is the topmost, keeps the texts of the map off them.
    {
      id: "track-place",
      type: "symbol",
      source: "track-labels",
      layout: { "icon-image": "track-place", "icon-size": 16, "icon-overlap": "always", "icon-padding": 0 },
    },
  ];
}

export function setPlaces(map: MapLibre, source: "areas" | "facilities", data: GeoJSON.FeatureCollection): void {
  map.getSource<GeoJSONSource>(source)?.setData(data);
  if (source === "areas") map.getSource<GeoJSONSource>("area-names")?.setData(areaNames(data));
}

/** Each area's name above its northernmost corner and below its southernmost: upright, whichever way its edges run. */
function areaNames(areas: GeoJSON.FeatureCollection): GeoJSON.FeatureCollection {
  return {
    type: "FeatureCollection",
    features: areas.features.flatMap(({ geometry, properties }) => {
      const byLatitude = corners(geometry).sort((a, b) => a[1] - b[1]);
      return ([[byLatitude.at(-1), "bottom"], [byLatitude[0], "top"]] as const).flatMap(([corner, anchor]) =>
        corner === undefined
          ? []
          : [{ type: "Feature" as const, properties: { ...properties, anchor }, geometry: { type: "Point" as const, coordinates: corner } }],
      );
    }),
  };
}

export function nameLanguage(map: MapLibre, layers: readonly string[], language: Language): void {
  for (const layer of layers) map.setLayoutProperty(layer, "text-field", ["get", `name_${language}`]);
}

/** Name the tracks that matter most, with the age of what is not live. Low zooms keep texts off these only. */
export function setTrackLabels(map: MapLibre, picture: Picture, zoom: number, selectedTrackId: string | null): void {
  const least = zoom >= LABEL_EVERY_TRACK_ZOOM ? 0 : MATTERS;
  const bounds = map.getBounds();
  const ranked = picture
    .shown()
    .flatMap((track) => {
      const name = picture.names.get(track.handle);
      if (name === undefined || !contains(bounds, track)) return [];
      const rank = name.trackId === selectedTrackId ? SELECTED_RANK : importance(track);
      return rank >= least ? [{ track, name, rank }] : [];
    })
    .sort((a, b) => b.rank - a.rank || a.track.handle - b.track.handle)
    .slice(0, MOST_PLACES);
  setPoints(
    map,
    "track-labels",
    ranked.map(({ track, name, rank }, i) => {
      const stale = track.status >= TrackStatus.STALE;
      const silent = i >= MOST_LABELS || (rank < MATTERS && zoom < LABEL_NUMBERS_ZOOM && NUMBER.test(name.label));
      const label = silent ? "" : stale ? `${name.label}\n${text("map.ago", { age: age(picture.ageS(track)) })}` : name.label;
      const colour = rank >= LABEL_ALWAYS ? palette.WHITE : colourOf(track.kind, isOurs(track));
      return {
        type: "Feature",
        properties: { label, order: -rank, colour: palette.css(colour, stale ? 0.72 : 1) },
        geometry: { type: "Point", coordinates: [track.lon, track.lat] },
      };
    }),
  );
}

/** As LngLatBounds.contains, without an object for each of ten thousand tracks. */
export function contains(bounds: LngLatBounds, { lon, lat }: { readonly lon: number; readonly lat: number }): boolean {
  return lon >= bounds.getWest() && lon <= bounds.getEast() && lat >= bounds.getSouth() && lat <= bounds.getNorth();
}

const FACILITY_KINDS = ["customs", "port", "airport", "site"] as const;

function facilityIcon(kind: (typeof FACILITY_KINDS)[number]): ImageData {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 36;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser draws no 2D canvas; use a current Chromium, Edge or Firefox");
  context.translate(18, 18);
  context.lineCap = "round";
  context.lineJoin = "round";
  const path = new Path2D(FACILITY_PATHS[kind]);
  for (const [colour, width] of [[palette.HALO, 7], [palette.FACILITY_TEXT, 2.6]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke(path);
  }
  return context.getImageData(0, 0, 36, 36);
}

/** Customs: a house with a flag. Port: an anchor. Airport: an aeroplane. Site: a house. In 36 units around the middle. */
const FACILITY_PATHS = {
  customs: "M-10 11V-1L0-8 10-1V11ZM-3 11V4H3V11M0-8V-15H7V-11H0",
  port: "M0-7V12M-10 3C-10 9-5 12 0 12C5 12 10 9 10 3M-6-3H6M0-7A3.4 3.4 0 1 1 .1-7",
  site: "M-9 10V-2L0-9 9-2V10ZM-3 10V3H3V10",
  airport: "M0-13V12M0-3L-12 4M0-3L12 4M0 9L-5 13M0 9L5 13",
} as const;
