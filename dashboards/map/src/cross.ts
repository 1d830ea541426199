// The cross that the arrow keys move over the map: the keyboard's pointer of the tools.
import { type Map as MapLibre, Marker } from "maplibre-gl";
import type { Place } from "./geodesic.js";

/** Pixels that an arrow key moves the cross; with Shift one. */
const STEP_PIXELS = 16;
/** Pixels from the edge where the map moves along with the cross. */
const EDGE_PIXELS = 48;

export class Cross {
  private readonly marker: Marker;

  constructor(private readonly map: MapLibre) {
    const element = document.createElement("div");
    element.className = "mz-cross";
    this.marker = new Marker({ element });
  }

  /** Where it stands; null for nowhere. */
  show(place: Place | null): void {
    if (place === null) this.marker.remove();
    else this.marker.setLngLat([place.lon, place.lat]).addTo(this.map);
  }

  /** The middle of the map, where it begins. */
  middle(): Place {
    const { lng, lat } = this.map.getCenter();
    return { lon: lng, lat };
  }

  /** Where an arrow key takes it from a place; null for another key. The map goes along where it comes to its edge. */
  moved(event: KeyboardEvent, from: Place): Place | null {
    const step = event.shiftKey ? 1 : STEP_PIXELS;
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const move = moves[event.key];
    if (move === undefined) return null;
    const { x, y } = this.map.project([from.lon, from.lat]);
    const { lng, lat } = this.map.unproject([x + move[0], y + move[1]]);
    const place = { lon: lng, lat };
    this.keepInView(place);
    return place;
  }

  keepInView({ lon, lat }: Place): void {
    const { x, y } = this.map.project([lon, lat]);
    const { clientWidth, clientHeight } = this.map.getContainer();
    const beyond = (at: number, size: number): number => Math.min(0, at - EDGE_PIXELS) + Math.max(0, at - size + EDGE_PIXELS);
    const by: [number, number] = [beyond(x, clientWidth), beyond(y, clientHeight)];
    if (by[0] !== 0 || by[1] !== 0) this.map.panBy(by, { animate: false });
  }
}
