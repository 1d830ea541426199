// The basemap's style: the sea is the stage. No `glyphs`: MapLibre draws every text with the fonts of the page.
import type { LayerSpecification, Map as MapLibre, StyleSpecification } from "maplibre-gl";
import * as palette from "./palette.js";
import type { Language } from "./texts.js";

export const FONT = ["Noto Sans JP"];

type Labelled = "country" | "sea" | "strait" | "bay" | "island" | "cape" | "city";

function label(kinds: readonly Labelled[], language: Language, look: Partial<LabelLook>): LayerSpecification {
  const { size, colour, spacing } = { size: 12, colour: palette.LAND_LABEL, spacing: 0.04, ...look };
  return {
    id: `label-${kinds[0]}`,
    type: "symbol",
    source: "basemap",
    "source-layer": "label",
    filter: ["all", ["in", ["get", "kind"], ["literal", kinds]], [">=", ["zoom"], ["get", "least_zoom"]]],
    layout: {
      "text-field": ["get", `name_${language}`],
      "text-font": FONT,
      "text-size": ["interpolate", ["linear"], ["zoom"], 4, size - 1, 10, size + 2],
      "text-letter-spacing": spacing,
      "text-max-width": 9,
      "text-padding": 6,
      "symbol-sort-key": ["get", "least_zoom"],
    },
    paint: {
      "text-color": colour,
      "text-halo-color": palette.HALO,
      "text-halo-width": 1.2,
    },
  };
}

interface LabelLook {
  readonly size: number;
  readonly colour: string;
  readonly spacing: number;
}

export function mapStyle(tilesUrl: string, language: Language): StyleSpecification {
  const coastGlow = { "line-color": palette.SEA_GLOW, "line-blur": 9, "line-opacity": 0.55 };
  const notCut: ["!", ["has", string]] = ["!", ["has", "cut"]];
  const glows = ["all", notCut, ["!", ["has", "islet"]]] as ["all", ...(typeof notCut)[]];
  const edge = {
    "line-color": palette.LAND_EDGE,
    "line-width": ["interpolate", ["linear"], ["zoom"], 4, 0.4, 8, 0.7, 12, 1.2] as ["interpolate", ["linear"], ["zoom"], ...number[]],
  };
  return {
    version: 8,
    sources: {
      basemap: { type: "vector", url: `pmtiles://${tilesUrl}` },
      graticule: { type: "geojson", data: graticule(10) },
    },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": palette.SEA } },
      {
        id: "graticule",
        type: "line",
        source: "graticule",
        paint: { "line-color": palette.GRATICULE, "line-width": 0.7 },
      },
      { id: "glow", type: "line", source: "basemap", "source-layer": "land", filter: glows, minzoom: 4, paint: { ...coastGlow, "line-width": 14 } },
      { id: "glow-cut", type: "line", source: "basemap", "source-layer": "coast", minzoom: 4, paint: { ...coastGlow, "line-width": 14 } },
      { id: "land", type: "fill", source: "basemap", "source-layer": "land", paint: { "fill-color": palette.LAND, "fill-antialias": false } },
      { id: "edge", type: "line", source: "basemap", "source-layer": "land", filter: notCut, paint: edge },
      { id: "edge-cut", type: "line", source: "basemap", "source-layer": "coast", paint: edge },
      label(["cape", "island"], language, { size: 11 }),
      label(["city"], language, { size: 12 }),
      label(["bay", "strait"], language, { size: 12, colour: palette.SEA_LABEL, spacing: 0.12 }),
      label(["sea"], language, { size: 14, colour: palette.SEA_LABEL, spacing: 0.3 }),
      label(["country"], language, { size: 13, colour: palette.COUNTRY_LABEL, spacing: 0.2 }),
    ],
  };
}

export const LABEL_LAYERS = ["label-cape", "label-city", "label-bay", "label-sea", "label-country"] as const;

/** The colours of layers that are there already, in the palette of now. */
export function repaint(map: MapLibre, layers: readonly LayerSpecification[]): void {
  for (const { id, paint } of layers) {
    for (const [name, value] of Object.entries(paint ?? {})) map.setPaintProperty(id, name as never, value as never);
  }
}

/** How far apart the lines of the graticule are at a zoom, degrees. */
export function graticuleStep(zoom: number): number {
  if (zoom < 5) return 10;
  if (zoom < 7) return 2;
  if (zoom < 9) return 0.5;
  if (zoom < 11) return 1 / 6;
  return 1 / 30;
}

/** Meridians and parallels within a box, every `step` degrees. */
export function graticule(
  step: number,
  [west, south, east, north]: readonly [number, number, number, number] = [-180, -80, 180, 80],
): GeoJSON.Feature<GeoJSON.MultiLineString> {
  const coordinates: [number, number][][] = [];
  const top = Math.min(85, north);
  const bottom = Math.max(-85, south);
  for (let i = Math.ceil(west / step); i * step <= east; i += 1) coordinates.push([[i * step, bottom], [i * step, top]]);
  for (let i = Math.ceil(bottom / step); i * step <= top; i += 1) coordinates.push([[west, i * step], [east, i * step]]);
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates } };
}
