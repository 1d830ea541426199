// Tiles of another server over the offline map, where the settings name one. Where a tile cannot be had, the offline map shows
// through: nothing waits for the network, and the map says that it is away.
import type { Map as MapLibre, MapSourceDataEvent, RasterLayerSpecification, RasterTileSource } from "maplibre-gl";
import { currentTheme } from "./theme.js";

const SOURCE = "online";
export const ONLINE_LAYER = "online";
/** Tiles that could not be had are asked for again this often. */
const AGAIN_MS = 30_000;

export interface OnlineMap {
  readonly url: string;
  readonly attribution: string;
  readonly maxZoom: number;
  readonly tilePixels: number;
}

/** As the page gives it (dashboards/shell.py); null where the settings name none. */
export function onlineMapOf({ onlineUrl, onlineAttribution, onlineMaxZoom, onlineTilePixels }: DOMStringMap): OnlineMap | null {
  if (onlineUrl === undefined) return null;
  return { url: onlineUrl, attribution: onlineAttribution ?? "", maxZoom: Number(onlineMaxZoom), tilePixels: Number(onlineTilePixels) };
}

export class OnlineTiles {
  private timer: number | undefined;

  /** away: whether tiles cannot be had. */
  constructor(private readonly online: OnlineMap, private readonly away: (is: boolean) => void) {}

  /** Under what is added to the map from now on. */
  addTo(map: MapLibre): void {
    const { url, attribution, maxZoom, tilePixels } = this.online;
    map.addSource(SOURCE, { type: "raster", tiles: [url], tileSize: tilePixels, maxzoom: maxZoom, attribution: escaped(attribution) });
    map.addLayer(layer());
    map.on("data", (event) => {
      const { sourceId, tile } = event as MapSourceDataEvent;
      if (sourceId === SOURCE && tile !== undefined && this.timer !== undefined) this.well();
    });
    map.once("remove", () => window.clearTimeout(this.timer));
  }

  /** One of its tiles could not be had. */
  failed(map: MapLibre): void {
    this.away(true);
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      map.getSource<RasterTileSource>(SOURCE)?.setTiles([this.online.url]);
    }, AGAIN_MS);
  }

  repaint(map: MapLibre): void {
    for (const [name, value] of Object.entries(layer().paint ?? {})) map.setPaintProperty(ONLINE_LAYER, name as never, value as never);
  }

  private well(): void {
    window.clearTimeout(this.timer);
    this.timer = undefined;
    this.away(false);
  }
}

/** A map for a bright room is dimmed in a dark one. */
function layer(): RasterLayerSpecification {
  const brightest = { day: 1, dusk: 0.36, night: 0.18 }[currentTheme()];
  return {
    id: ONLINE_LAYER,
    type: "raster",
    source: SOURCE,
    paint: { "raster-brightness-max": brightest, "raster-saturation": currentTheme() === "day" ? -0.2 : -0.5, "raster-fade-duration": 0 },
  };
}

/** MapLibre shows an attribution as HTML. */
function escaped(words: string): string {
  return words.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
