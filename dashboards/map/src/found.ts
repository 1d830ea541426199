// Where what was searched for is: a ring with a name, until the next search or Escape.
import { type Map as MapLibre, Marker } from "maplibre-gl";
import { element } from "./furniture.js";

export class FoundMark {
  private readonly box = document.createElement("div");
  private readonly name = element("span", "", this.box);
  private readonly marker = new Marker({ element: this.box });

  constructor() {
    this.box.className = "mz-here";
  }

  show(map: MapLibre, { lon, lat }: { readonly lon: number; readonly lat: number }, words: string): void {
    this.name.textContent = words;
    this.marker.setLngLat([lon, lat]).addTo(map);
  }

  remove(): void {
    this.marker.remove();
  }
}
