// A place on WGS 84 as people write it. One function for each way; all say the hemisphere in letters, never by a sign.
import { forward } from "mgrs";

export const NOTATIONS = ["dms", "minutes", "decimal", "mgrs"] as const;
export type Notation = (typeof NOTATIONS)[number];

/** The place in the notation that was chosen. Degrees; a longitude may run past 180, as those of a map do. */
export function written(notation: Notation, lon: number, lat: number): string {
  const wrapped = ((((lon + 180) % 360) + 360) % 360) - 180;
  return WAYS[notation](wrapped, lat);
}

/** Degrees, minutes and seconds: "34°12′05.7″N 129°21′10.3″E". A tenth of a second is 3 m. */
export function dms(lon: number, lat: number): string {
  const say = (value: number, letters: string, width: number): string => {
    const tenths = Math.round(Math.abs(value) * 36_000);
    const seconds = (tenths % 600) / 10;
    return `${degrees(tenths / 36_000, width)}${digits(Math.floor(tenths / 600) % 60)}′${seconds.toFixed(1).padStart(4, "0")}″${letter(value, letters)}`;
  };
  return `${say(lat, "NS", 2)} ${say(lon, "EW", 3)}`;
}

/** Degrees and decimal minutes, as on a chart: "34°12.095′N 129°21.172′E". A thousandth of a minute is 2 m. */
export function degreesMinutes(lon: number, lat: number): string {
  const say = (value: number, letters: string, width: number): string => {
    const thousandths = Math.round(Math.abs(value) * 60_000);
    return `${degrees(thousandths / 60_000, width)}${((thousandths % 60_000) / 1_000).toFixed(3).padStart(6, "0")}′${letter(value, letters)}`;
  };
  return `${say(lat, "NS", 2)} ${say(lon, "EW", 3)}`;
}

/** Decimal degrees: "34.20158°N 129.35286°E". The fifth place is 1 m. */
export function decimalDegrees(lon: number, lat: number): string {
  const say = (value: number, letters: string, width: number): string => `${Math.abs(value).toFixed(5).padStart(width + 6, "0")}°${letter(value, letters)}`;
  return `${say(lat, "NS", 2)} ${say(lon, "EW", 3)}`;
}

/** The metre of the Military Grid Reference System: "52S EC 31234 84512". Cut and not rounded, as a grid reference is
 * (NGA.STND.0037). Beyond 80°S and 84°N, where it goes by another projection, "–". */
export function gridReference(lon: number, lat: number): string {
  if (lat < -80 || lat > 84) return "MGRS –";
  const found = /^(\d+[A-Z])([A-Z]{2})(\d{5})(\d{5})$/.exec(forward([lon, lat]));
  return found === null ? "MGRS –" : found.slice(1).join(" ");
}

const WAYS: Readonly<Record<Notation, (lon: number, lat: number) => string>> = {
  dms,
  minutes: degreesMinutes,
  decimal: decimalDegrees,
  mgrs: gridReference,
};

function degrees(value: number, width: number): string {
  return `${String(Math.floor(value)).padStart(width, "0")}°`;
}

function digits(value: number): string {
  return String(value).padStart(2, "0");
}

function letter(value: number, letters: string): string {
  return letters.charAt(value < 0 ? 1 : 0);
}
