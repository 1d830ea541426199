// Which layers of the map are shown, and how strongly; kept for the person in this browser. Alerts can be switched off for
// a look at what lies under them, but are neither faded nor kept off: who comes back to the map sees them.
import type { Map as MapLibre } from "maplibre-gl";
import { keep, readKept } from "./kept.js";
import { AREA_FILL_OPACITY } from "./places.js";

export const SWITCHES = ["online", "labels", "leaders", "trails", "errors", "areas", "facilities", "notes", "incidents", "alerts", "types"] as const;
/** These are drawn or not, but never faintly. */
export const NEVER_FAINT: ReadonlySet<Switch> = new Set(["alerts", "types"]);
export type Switch = (typeof SWITCHES)[number];
/** Opacity in percent; what is fainter than this is better switched off. */
export const LEAST_OPACITY = 20;

export interface Shown {
  readonly on: boolean;
  readonly opacity: number;
}

/** MapLibre's layers behind a switch, and what fades each. */
const PAINTED: Partial<Record<Switch, Readonly<Record<string, Readonly<Record<string, number>>>>>> = {
  online: { online: { "raster-opacity": 1 } },
  labels: { "track-label": { "text-opacity": 1 }, "track-label-first": { "text-opacity": 1 } },
  areas: {
    "area-fill": { "fill-opacity": AREA_FILL_OPACITY },
    "fence-line": { "line-opacity": 1 },
    "interest-line": { "line-opacity": 1 },
    "area-name": { "text-opacity": 1 },
  },
  notes: { "note-label": { "text-opacity": 1 } },
  incidents: { "incident-label": { "text-opacity": 1 } },
  facilities: { facility: { "icon-opacity": 1, "text-opacity": 1 } },
};

export class ShownLayers {
  private readonly key: string;
  private readonly layers: Record<Switch, Shown>;

  constructor(person: string) {
    this.key = `mizugiwa.layers.${person}`;
    const kept = (readKept(this.key) ?? {}) as Partial<Record<Switch, Partial<Shown>>>;
    const begin = (which: Switch): Shown => {
      const { on, opacity } = which === "alerts" ? {} : (kept[which] ?? {});
      const usable = typeof opacity === "number" && opacity >= LEAST_OPACITY && opacity <= 100;
      return { on: on !== false, opacity: usable ? opacity : 100 };
    };
    this.layers = Object.fromEntries(SWITCHES.map((which) => [which, begin(which)])) as Record<Switch, Shown>;
  }

  of(which: Switch): Shown {
    return this.layers[which];
  }

  /** 0 where it is switched off, else up to 1. */
  strength(which: Switch): number {
    const { on, opacity } = this.layers[which];
    return on ? opacity / 100 : 0;
  }

  change(which: Switch, to: Partial<Shown>): void {
    this.layers[which] = { ...this.layers[which], ...to };
    keep(this.key, this.layers);
  }

  /** Give MapLibre's layers their visibility and strength. */
  applyTo(map: MapLibre): void {
    for (const which of SWITCHES) {
      const { on } = this.layers[which];
      for (const [layer, paint] of Object.entries(PAINTED[which] ?? {})) {
        if (map.getLayer(layer) === undefined) continue;
        map.setLayoutProperty(layer, "visibility", on ? "visible" : "none");
        for (const [name, full] of Object.entries(paint)) map.setPaintProperty(layer, name as never, (full * this.layers[which].opacity) / 100 as never);
      }
    }
  }
}
