// The notes that people have placed on the map, from GET /api/notes. They are known as they are now: upon a past picture
// they are left out, as alerts and incidents are.
import type { Layer } from "@deck.gl/core";
import { IconLayer } from "@deck.gl/layers";
import type { LayerSpecification, Map as MapLibre } from "maplibre-gl";
import * as palette from "./palette.js";
import type { Picture } from "./picture.js";
import { type PointFeature, setPoints } from "./points.js";
import { getJson } from "./rest.js";
import { FONT, repaint } from "./style.js";
import type { Atlas } from "./symbols.js";
import { text } from "./texts.js";
import { clockTime } from "./units.js";

const SOURCE = "note-labels";
const SHEET_PIXELS = 30;
/** So much of a note stands beside its sheet; the rest in the panel. */
const MOST_LETTERS = 60;

export interface MapNote {
  readonly noteId: string;
  readonly version: number;
  readonly text: string;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly changedBy: string;
  readonly changedAtMs: number;
  readonly expiresAtMs: number | null;
  readonly lon: number;
  readonly lat: number;
}

/** As command/api/notes.py gives it. */
export interface NoteJson {
  readonly geometry: { readonly coordinates: readonly [number, number] };
  readonly properties: {
    readonly note_id: string;
    readonly version: number;
    readonly text: string;
    readonly created_by: string;
    readonly created_at: string;
    readonly changed_by: string;
    readonly changed_at: string;
    readonly expires_at: string | null;
    readonly removed: boolean;
  };
}

export function noteOf({ geometry, properties: p }: NoteJson): MapNote {
  const [lon, lat] = geometry.coordinates;
  return {
    noteId: p.note_id,
    version: p.version,
    text: p.text,
    createdBy: p.created_by,
    createdAtMs: Date.parse(p.created_at),
    changedBy: p.changed_by,
    changedAtMs: Date.parse(p.changed_at),
    expiresAtMs: p.expires_at === null ? null : Date.parse(p.expires_at),
    lon,
    lat,
  };
}

export class ShownNotes {
  private notes: readonly MapNote[] = [];
  private asked = 0;

  /** changed: what is drawn is another now. said: why notes could not be read; "" once they could. */
  constructor(private readonly changed: () => void, private readonly said: (reason: string) => void) {}

  async load(): Promise<void> {
    const asked = (this.asked += 1);
    try {
      const { features } = await getJson<{ readonly features: readonly NoteJson[] }>("/api/notes");
      if (asked !== this.asked) return;
      this.notes = features.map(noteOf);
      this.said("");
      this.changed();
    } catch (error) {
      if (asked === this.asked) this.said((error as Error).message);
    }
  }

  /** Those whose time is not over, newest first. */
  standing({ realmNowMs }: Picture): MapNote[] {
    return this.notes.filter((note) => note.expiresAtMs === null || realmNowMs === null || realmNowMs < note.expiresAtMs).reverse();
  }

  layers(picture: Picture, strength: number, atlas: Atlas): Layer[] {
    if (picture.asOf || strength === 0) return [];
    return [
      new IconLayer<MapNote>({
        id: "notes",
        data: this.standing(picture),
        opacity: strength,
        // The types name an address or a texture only; the property takes any picture (deck.gl, "image" properties).
        iconAtlas: atlas.image as unknown as string,
        iconMapping: atlas.places as Record<string, (typeof atlas.places)[string]>,
        getIcon: () => "note",
        getPosition: (n) => [n.lon, n.lat],
        getSize: SHEET_PIXELS,
        sizeUnits: "pixels",
        pickable: true,
        alphaCutoff: 0.02,
      }),
    ];
  }

  addLayers(map: MapLibre): void {
    map.addSource(SOURCE, { type: "geojson", data: { type: "FeatureCollection", features: [] } });
    for (const layer of labelLayers()) map.addLayer(layer);
  }

  repaint(map: MapLibre): void {
    repaint(map, labelLayers());
  }

  showLabels(map: MapLibre, picture: Picture): void {
    const features = (picture.asOf ? [] : this.standing(picture)).map(
      (note): PointFeature => ({
        type: "Feature",
        properties: { label: shortened(note.text) },
        geometry: { type: "Point", coordinates: [note.lon, note.lat] },
      }),
    );
    setPoints(map, SOURCE, features);
  }
}

export function shortened(words: string): string {
  return words.length <= MOST_LETTERS ? words : `${words.slice(0, MOST_LETTERS - 1)}…`;
}

/** Who wrote it and when, who changed it, until when it stands. */
export function noteLines({ createdBy, createdAtMs, changedBy, changedAtMs, version, expiresAtMs }: MapNote): string[] {
  return [
    text("map.notes.written", { who: createdBy, time: clockTime(createdAtMs) }),
    ...(version === 1 ? [] : [text("map.notes.changed", { who: changedBy, time: clockTime(changedAtMs) })]),
    expiresAtMs === null ? text("map.notes.stays") : text("map.notes.until", { time: clockTime(expiresAtMs) }),
  ];
}

function labelLayers(): LayerSpecification[] {
  return [
    {
      id: "note-label",
      type: "symbol",
      source: SOURCE,
      minzoom: 7,
      layout: {
        "text-field": ["get", "label"],
        "text-font": FONT,
        "text-size": 12,
        "text-variable-anchor": ["left", "right", "top", "bottom"],
        "text-radial-offset": 1.2,
        "text-justify": "auto",
        "text-max-width": 14,
        "text-line-height": 1.2,
      },
      paint: { "text-color": palette.css(palette.WHITE), "text-halo-color": palette.HALO, "text-halo-width": 1.8 },
    },
  ];
}
