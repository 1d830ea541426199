// A file of its own in the bundle (see types.ts): draws the symbols of MIL-STD-2525 by milsymbol.
//
// Affiliation, as far as a machine may say it: what is ours is friend; who tells who they are (a vessel by AIS, an aircraft
// by ADS-B) is neutral; a contact that nobody has named, and a drone or a diving or surface vehicle of others, is unknown.
// Suspect and hostile are judgements of people, so no track is drawn as one.
import ms from "milsymbol";
import { SubjectKind, TrackStatus } from "./protocol.js";
import type { TypeColours, TypeSymbol } from "./types.js";

const UNKNOWN = "1";
const FRIEND = "3";
const NEUTRAL = "4";
const PRESENT = "0";
/** The frame is dashed (MIL-STD-2525D, table A-I: planned, anticipated, suspect). */
const NOT_CERTAIN = "1";
const SIZE = 44;

/** Symbol set, entity (MIL-STD-2525D, 2014, appendices B, E, F), and what others are. */
const TYPES: Readonly<Record<number, readonly [string, string, string]>> = {
  [SubjectKind.UNKNOWN]: ["30", "000000", UNKNOWN],
  [SubjectKind.VESSEL]: ["30", "140100", NEUTRAL],
  [SubjectKind.AIRCRAFT]: ["01", "120000", NEUTRAL],
  [SubjectKind.AIR_DRONE]: ["01", "120300", UNKNOWN],
  [SubjectKind.UNDERWATER_DRONE]: ["35", "120200", UNKNOWN],
  [SubjectKind.SURFACE_DRONE]: ["30", "120500", UNKNOWN],
};

/** Symbol identification code, 20 digits. */
export function codeOf({ kind, ours, status }: TypeSymbol): string {
  const [set, entity, others] = TYPES[kind] ?? ["30", "000000", UNKNOWN];
  const certain = status === TrackStatus.LIVE || status === TrackStatus.TENTATIVE;
  return `100${ours ? FRIEND : others}${set}${certain ? PRESENT : NOT_CERTAIN}000${entity}0000`;
}

export function drawType(symbol: TypeSymbol, colours: TypeColours): { picture: HTMLCanvasElement; x: number; y: number } {
  const live = symbol.status === TrackStatus.LIVE;
  const drawn = new ms.Symbol(codeOf(symbol), {
    size: SIZE,
    // The frames tell friend from neutral from unknown; the colours are those of the plain symbols.
    civilianColor: false,
    colorMode: {
      Civilian: colours.neutral,
      Friend: colours.friend,
      Hostile: colours.unknown,
      Neutral: colours.neutral,
      Suspect: colours.unknown,
      Unknown: colours.unknown,
    },
    fill: live,
    monoColor: live ? "" : colours.outline,
    outlineColor: colours.rim,
    outlineWidth: 5,
  });
  return { picture: drawn.asCanvas(1), ...drawn.getAnchor() };
}
