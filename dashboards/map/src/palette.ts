// One dark palette for the watch at night. Every meaning has a shape of its own besides; the hues keep apart for
// colour-blind eyes (after Okabe and Ito, Color Universal Design, 2008), and text on the sea has a contrast above 4.5:1.

export type Rgb = readonly [number, number, number];

export const SEA = "#0a1420";
export const SEA_GLOW = "#12324a";
export const LAND = "#1d2932";
export const LAND_EDGE = "#4b6678";
export const GRATICULE = "#1c3245";
export const HALO = "#06101a";

export const INK: Rgb = [6, 16, 26];
export const WHITE: Rgb = [238, 244, 248];

export const VESSEL: Rgb = [142, 206, 240];
export const AIRCRAFT: Rgb = [214, 184, 255];
export const ASSET: Rgb = [54, 216, 164];
export const DARK_CONTACT: Rgb = [255, 221, 64];
export const DISTRESS: Rgb = [255, 92, 80];
export const FIXED: Rgb = [134, 156, 172];
export const SELECTED: Rgb = [255, 255, 255];

export type Severity = "critical" | "high" | "medium" | "low";

export const SEVERITY: Readonly<Record<Severity, Rgb>> = {
  critical: [255, 77, 77],
  high: [255, 149, 28],
  medium: [255, 221, 64],
  low: [108, 182, 255],
};

export function css(colour: Rgb, alpha = 1): string {
  return `rgba(${colour[0]}, ${colour[1]}, ${colour[2]}, ${alpha})`;
}
