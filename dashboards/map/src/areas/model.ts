// Areas as the console gives and takes them, and the coordinate table that an officer edits.
import { getJson, send } from "../rest.js";

/** [longitude, latitude] in degrees. */
export type Point = readonly [number, number];
export type AreaKind = "geofence" | "area_of_interest";
export const KINDS: readonly AreaKind[] = ["geofence", "area_of_interest"];

export interface AreaProperties {
  readonly slug: string;
  readonly version: number;
  readonly kind: AreaKind;
  readonly name_ja: string;
  readonly name_en: string;
  readonly retired: boolean;
  readonly author: string;
  /** ISO 8601, UTC. */
  readonly valid_from: string;
  readonly area_km2: number;
  readonly area_nm2: number;
}

export type Shape = GeoJSON.Polygon | GeoJSON.MultiPolygon;
export type AreaFeature = GeoJSON.Feature<Shape, AreaProperties>;

export interface CheckedRow {
  readonly point: Point | null;
  readonly text: string | null;
  readonly problem: string | null;
}

export interface CheckedTable {
  readonly rings: readonly (readonly CheckedRow[])[];
  readonly problem: string | null;
  readonly geometry: Shape | null;
  readonly area_km2: number | null;
  readonly area_nm2: number | null;
}

/** An area with its table. */
export type StoredArea = AreaFeature & { readonly table: readonly { readonly hole: boolean; readonly rows: readonly CheckedRow[] }[] };

/** A row as the officer sees it. `exact`: what it stands for while its text is as the console wrote it. */
export interface Row {
  text: string;
  exact: Point | null;
  /** Where it was last read to be. */
  point: Point | null;
  problem: string | null;
}

export interface Ring {
  readonly hole: boolean;
  rows: Row[];
}

export const emptyRow = (): Row => ({ text: "", exact: null, point: null, problem: null });
export const isBlank = (row: Row): boolean => row.exact === null && row.text.trim() === "";
export const pointRow = (point: Point): Row => ({ text: "", exact: point, point, problem: null });

export function ringsOf(area: StoredArea): Ring[] {
  return area.table.map(({ hole, rows }) => ({
    hole,
    rows: rows.map(({ point, text }) => ({ text: text ?? "", exact: point, point, problem: null })),
  }));
}

/** Rows for the points of a drawing: those that did not move keep what was written in them. */
export function rowsOf(points: readonly Point[], known: readonly Row[]): Row[] {
  const left = [...known];
  return points.map((point) => {
    const at = left.findIndex((row) => row.point !== null && near(row.point, point));
    return at < 0 ? pointRow(point) : (left.splice(at, 1)[0] as Row);
  });
}

/** The drawing keeps nine decimals: a tenth of a millimetre. */
const near = (a: Point, b: Point): boolean => Math.abs(a[0] - b[0]) < 2e-9 && Math.abs(a[1] - b[1]) < 2e-9;

export const listAreas = (retired: boolean): Promise<readonly AreaFeature[]> =>
  getJson<{ readonly features: readonly AreaFeature[] }>(`/api/areas?retired=${retired}`).then(({ features }) => features);

export const oneArea = (slug: string): Promise<StoredArea> => getJson(`/api/areas/${slug}`);

/** A version without its shape. */
export interface AreaVersion {
  readonly properties: AreaProperties;
}

export const areaVersions = (slug: string): Promise<readonly AreaVersion[]> =>
  getJson<{ readonly features: readonly AreaVersion[] }>(`/api/areas/${slug}/versions`).then(({ features }) => features);

export const retireArea = (slug: string, version: number): Promise<AreaFeature> => send("DELETE", `/api/areas/${slug}`, null, match(version));

export const restoreArea = (slug: string, version: number, basedOn: number): Promise<AreaFeature> =>
  send("POST", `/api/areas/${slug}/restore`, { version }, match(basedOn));

export interface Said {
  readonly kind: AreaKind;
  readonly name_ja: string;
  readonly name_en: string;
}

/** basedOn: null for a new area. */
export function saveArea(said: Said, geometry: Shape, basedOn: { readonly slug: string; readonly version: number } | null): Promise<AreaFeature> {
  const body = { type: "Feature", geometry, properties: said };
  return basedOn === null
    ? send("POST", "/api/areas", body)
    : send("PUT", `/api/areas/${basedOn.slug}`, body, match(basedOn.version));
}

/** Has the console read the rows; each row then has its place or its problem. Blank rows are left out. */
export async function checkRings(rings: readonly Ring[]): Promise<CheckedTable> {
  const asked = rings.map((ring) => ring.rows.filter((row) => !isBlank(row)));
  const table = await send<CheckedTable>("POST", "/api/areas/check", {
    rings: rings.map(({ hole }, i) => ({ hole, rows: (asked[i] as Row[]).map((row) => row.exact ?? row.text) })),
  });
  asked.forEach((rows, i) =>
    rows.forEach((row, j) => {
      const read = table.rings[i]?.[j];
      if (read === undefined) return;
      row.point = read.point;
      row.problem = read.problem;
      if (row.exact !== null && row.text === "") row.text = read.text ?? "";
    }),
  );
  return table;
}

const match = (version: number): Record<string, string> => ({ "If-Match": `"${version}"` });
