// The colours of the map in three palettes: day for a bright room, dusk for the dimmed one that a watch is kept in, night
// for eyes that must stay used to the dark. Every meaning has a shape of its own besides. Within each palette severities,
// and kinds of tracks, differ by a CIEDE2000 of at least 9 for eyes without red or green cones too (Machado, Oliveira and
// Fernandes, IEEE TVCG 15, 2009), and stand at 4.5:1 from the sea: tests/dashboards/map/test_palette.py holds them to it.

export type Rgb = readonly [number, number, number];
export type Severity = "critical" | "high" | "medium" | "low";

export const THEMES = ["day", "dusk", "night"] as const;
export type Theme = (typeof THEMES)[number];

interface Palette {
  readonly SEA: string;
  readonly SEA_GLOW: string;
  readonly LAND: string;
  readonly LAND_EDGE: string;
  readonly GRATICULE: string;
  readonly HALO: string;
  readonly SEA_LABEL: string;
  readonly LAND_LABEL: string;
  readonly COUNTRY_LABEL: string;
  readonly GEOFENCE: string;
  readonly AREA_OF_INTEREST: string;
  readonly FACILITY_TEXT: string;
  /** The ground: rims of symbols, and what is hollow. */
  readonly INK: Rgb;
  /** The figure: texts, trails, outlines. */
  readonly WHITE: Rgb;
  readonly ON_CRITICAL: Rgb;
  readonly VESSEL: Rgb;
  readonly AIRCRAFT: Rgb;
  readonly ASSET: Rgb;
  readonly DARK_CONTACT: Rgb;
  readonly DISTRESS: Rgb;
  readonly FIXED: Rgb;
  readonly SELECTED: Rgb;
  readonly SEVERITY: Readonly<Record<Severity, Rgb>>;
}

export const PALETTES: Readonly<Record<Theme, Palette>> = {
  day: {
    SEA: "#e2edf5",
    SEA_GLOW: "#b4d2e6",
    LAND: "#eee7d6",
    LAND_EDGE: "#93845f",
    GRATICULE: "#c6d7e3",
    HALO: "#fbfdff",
    SEA_LABEL: "#2f678e",
    LAND_LABEL: "#5a5138",
    COUNTRY_LABEL: "#5f6468",
    GEOFENCE: "#9a4b00",
    AREA_OF_INTEREST: "#00647e",
    FACILITY_TEXT: "#00604a",
    INK: [255, 255, 255],
    WHITE: [16, 32, 45],
    ON_CRITICAL: [255, 255, 255],
    VESSEL: [0, 40, 108],
    AIRCRAFT: [168, 16, 172],
    ASSET: [0, 112, 78],
    DARK_CONTACT: [76, 44, 0],
    DISTRESS: [198, 5, 14],
    FIXED: [88, 102, 112],
    SELECTED: [0, 0, 0],
    SEVERITY: { critical: [170, 0, 54], high: [176, 60, 14], medium: [74, 54, 0], low: [0, 84, 168] },
  },
  dusk: {
    SEA: "#0a1420",
    SEA_GLOW: "#12324a",
    LAND: "#1d2932",
    LAND_EDGE: "#4b6678",
    GRATICULE: "#1c3245",
    HALO: "#06101a",
    SEA_LABEL: "#6f9dbb",
    LAND_LABEL: "#a9b8c2",
    COUNTRY_LABEL: "#8496a3",
    GEOFENCE: "#ffb454",
    AREA_OF_INTEREST: "#5fd0e6",
    FACILITY_TEXT: "#8fe0c0",
    INK: [6, 16, 26],
    WHITE: [238, 244, 248],
    ON_CRITICAL: [255, 255, 255],
    VESSEL: [142, 206, 240],
    AIRCRAFT: [218, 102, 255],
    ASSET: [54, 216, 164],
    DARK_CONTACT: [255, 221, 64],
    DISTRESS: [255, 92, 80],
    FIXED: [134, 156, 172],
    SELECTED: [255, 255, 255],
    SEVERITY: { critical: [255, 84, 92], high: [255, 157, 60], medium: [250, 226, 84], low: [111, 183, 255] },
  },
  night: {
    SEA: "#04080c",
    SEA_GLOW: "#0a1a26",
    LAND: "#0e1317",
    LAND_EDGE: "#2f3f4a",
    GRATICULE: "#101c26",
    HALO: "#020406",
    SEA_LABEL: "#587c94",
    LAND_LABEL: "#7f8a92",
    COUNTRY_LABEL: "#75818a",
    GEOFENCE: "#c08540",
    AREA_OF_INTEREST: "#4796a6",
    FACILITY_TEXT: "#66a08a",
    INK: [2, 5, 8],
    WHITE: [172, 178, 182],
    ON_CRITICAL: [0, 0, 0],
    VESSEL: [74, 163, 182],
    AIRCRAFT: [180, 72, 220],
    ASSET: [44, 163, 108],
    DARK_CONTACT: [201, 177, 56],
    DISTRESS: [223, 72, 48],
    FIXED: [108, 138, 135],
    SELECTED: [200, 204, 206],
    SEVERITY: { critical: [244, 62, 110], high: [210, 120, 40], medium: [204, 186, 76], low: [84, 142, 204] },
  },
};

/** The colours of the palette in use; they change with `use`. */
export let {
  SEA, SEA_GLOW, LAND, LAND_EDGE, GRATICULE, HALO, SEA_LABEL, LAND_LABEL, COUNTRY_LABEL, GEOFENCE, AREA_OF_INTEREST, FACILITY_TEXT,
  INK, WHITE, ON_CRITICAL, VESSEL, AIRCRAFT, ASSET, DARK_CONTACT, DISTRESS, FIXED, SELECTED, SEVERITY,
} = PALETTES.dusk;

/** From now on these colours. What is drawn already must be drawn again. */
export function use(theme: Theme): void {
  ({
    SEA, SEA_GLOW, LAND, LAND_EDGE, GRATICULE, HALO, SEA_LABEL, LAND_LABEL, COUNTRY_LABEL, GEOFENCE, AREA_OF_INTEREST, FACILITY_TEXT,
    INK, WHITE, ON_CRITICAL, VESSEL, AIRCRAFT, ASSET, DARK_CONTACT, DISTRESS, FIXED, SELECTED, SEVERITY,
  } = PALETTES[theme]);
}

export function css(colour: Rgb, alpha = 1): string {
  return `rgba(${colour[0]}, ${colour[1]}, ${colour[2]}, ${alpha})`;
}
