// What the address of the page says of the map: "#at=34.45000,129.55000,8.60&hide=vessels,silent&track=...". Opening
// the address shows the same to whoever may see it. It is the part after "#", which browsers do not send to a server.
import { GROUPS, type Group } from "./groups.js";
import type { Camera } from "./home.js";
import type { Selection } from "./layers.js";

export interface Address {
  /** null: upon all that is watched. */
  readonly at: Camera | null;
  readonly hide: readonly Group[];
  readonly selection: Selection;
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NUMBER = /^-?\d+(\.\d+)?$/;

/** What cannot be read is left out: a mangled link still opens the map. */
export function readAddress(hash: string): Address {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const hide = (said.get("hide") ?? "").split(",");
  const track = known(said.get("track"));
  const alert = known(said.get("alert"));
  return {
    at: camera(said.get("at") ?? ""),
    hide: GROUPS.filter((group) => hide.includes(group)),
    selection: alert !== null ? { alert_id: alert, ...(track === null ? {} : { track_id: track }) } : track !== null ? { track_id: track } : null,
  };
}

/** The address from "#" on; empty where there is nothing to say. */
export function writeAddress({ at, hide, selection }: Address): string {
  const parts: string[] = [];
  if (at !== null) parts.push(`at=${at.lat.toFixed(5)},${at.lon.toFixed(5)},${at.zoom.toFixed(2)}`);
  if (hide.length > 0) parts.push(`hide=${hide.join(",")}`);
  for (const name of ["alert", "track"] as const) {
    const id = selection === null ? undefined : (selection as Readonly<Record<string, unknown>>)[`${name}_id`];
    if (typeof id === "string" && id !== "") parts.push(`${name}=${id}`);
  }
  return parts.length === 0 ? "" : `#${parts.join("&")}`;
}

function known(id: string | null): string | null {
  return id !== null && ID.test(id) ? id : null;
}

function camera(words: string): Camera | null {
  const parts = words.split(",");
  const [lat, lon, zoom] = parts.map(Number);
  if (parts.length !== 3 || !parts.every((part) => NUMBER.test(part)) || lat === undefined || lon === undefined || zoom === undefined) return null;
  return Math.abs(lat) <= 85 && Math.abs(lon) <= 360 && zoom >= 0 && zoom <= 24 ? { lat, lon, zoom } : null;
}
