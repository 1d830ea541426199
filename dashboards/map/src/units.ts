// How numbers look to a person at sea, and the one projection of a course that leaders need.

export const METRES_PER_NAUTICAL_MILE = 1_852;
const EARTH_MEAN_RADIUS_M = 6_371_008.8;

export const KNOTS_PER_MPS = 3_600 / METRES_PER_NAUTICAL_MILE;

/** The place reached on a great circle: [lon, lat] degrees. */
export function destination(lon: number, lat: number, courseDeg: number, distanceM: number): [number, number] {
  const delta = distanceM / EARTH_MEAN_RADIUS_M;
  const theta = (courseDeg * Math.PI) / 180;
  const phi = (lat * Math.PI) / 180;
  const sinPhi2 = Math.sin(phi) * Math.cos(delta) + Math.cos(phi) * Math.sin(delta) * Math.cos(theta);
  const dLon = Math.atan2(
    Math.sin(theta) * Math.sin(delta) * Math.cos(phi),
    Math.cos(delta) - Math.sin(phi) * sinPhi2,
  );
  return [lon + (dLon * 180) / Math.PI, (Math.asin(sinPhi2) * 180) / Math.PI];
}

const JST = new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Tokyo", dateStyle: "short", timeStyle: "medium" });
const UTC_HOUR = new Intl.DateTimeFormat("sv-SE", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });

/** "2026-11-22 08:41:12 JST (23:41Z)" */
export function clockTime(ms: number): string {
  return `${JST.format(ms)} JST (${UTC_HOUR.format(ms)}Z)`;
}
