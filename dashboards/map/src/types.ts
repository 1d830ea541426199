// The symbols of MIL-STD-2525: which kinds of tracks have one, and how their drawing is loaded. What draws them is large
// and only needed close up, so it is a file of its own (milsymbols.ts) that comes when it is first asked for.
import { SubjectKind } from "./protocol.js";

export interface TypeSymbol {
  readonly kind: number;
  readonly ours: boolean;
  readonly status: number;
}

/** CSS colours of the palette in use. */
export interface TypeColours {
  readonly friend: string;
  readonly neutral: string;
  readonly unknown: string;
  /** Of what is not live. */
  readonly outline: string;
  readonly rim: string;
}

/** The symbol as a picture, and the point in it that stands at its place. */
export type DrawType = (symbol: TypeSymbol, colours: TypeColours) => { readonly picture: CanvasImageSource; readonly x: number; readonly y: number };

const WITH_TYPE: ReadonlySet<number> = new Set([
  SubjectKind.UNKNOWN,
  SubjectKind.VESSEL,
  SubjectKind.AIRCRAFT,
  SubjectKind.AIR_DRONE,
  SubjectKind.UNDERWATER_DRONE,
  SubjectKind.SURFACE_DRONE,
]);

export function hasType(kind: number): boolean {
  return WITH_TYPE.has(kind);
}

let address = "";
let loading: Promise<DrawType> | null = null;

/** Where the file is that draws them. */
export function typesAreAt(url: string): void {
  address = url;
}

/** Loaded once; asked for again where it failed. */
export function loadTypes(): Promise<DrawType> {
  loading ??= import(address).then(
    (file: { readonly drawType: DrawType }) => file.drawType,
    (error: Error) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}
