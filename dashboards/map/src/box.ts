// Tracks chosen by a box: dragged with the mouse, set corner by corner with the keyboard, or written as coordinates. The
// server says what is in it, at every zoom alike; the list is there to open one after the other, to take out as a file, to
// follow, and to link to an incident.
import { type GeoJSONSource, type LayerSpecification, type Map as MapLibre, type MapMouseEvent } from "maplibre-gl";
import { Cross } from "./cross.js";
import { element, put } from "./furniture.js";
import type { Place } from "./geodesic.js";
import type { Group } from "./groups.js";
import * as palette from "./palette.js";
import { getJson, send, sendForFile } from "./rest.js";
import { readPlace } from "./search.js";
import { repaint } from "./style.js";
import { text } from "./texts.js";

const SOURCE = "box";
/** What moves less than this between press and release was a click: it sets a corner. Pixels. */
const CLICK_PIXELS = 4;
const FORMATS = [["csv", "CSV"], ["geojson", "GeoJSON"], ["kml", "KML"], ["gpkg", "GeoPackage"]] as const;

export interface BoxTrack {
  readonly track_id: string;
  readonly label: string;
  readonly kind: string;
  readonly status: string;
  readonly position: Place | null;
}

interface WithinJson {
  readonly tracks: readonly BoxTrack[];
  readonly all: number;
}

export interface BoxHost {
  /** Groups that the officer does not see: they are not chosen either. */
  hidden(): ReadonlySet<Group>;
  /** These are marked on the map; none when the tool ends. */
  marked(tracks: readonly BoxTrack[]): void;
  /** Keep the marked tracks in view, or no longer. */
  follow(on: boolean): void;
  open(track: BoxTrack): void;
  /** Incidents to which tracks may be linked, with what they are called; empty where the person may link to none. */
  incidents(): readonly (readonly [string, string])[];
  changed(active: boolean): void;
  say(words: string): void;
}

export class BoxSelect {
  private running = false;
  /** Corners are still to be set: a drag draws the box and does not move the map. */
  private drawing = false;
  private first: Place | null = null;
  private second: Place | null = null;
  private cursor: Place | null = null;
  private pressed: { readonly x: number; readonly y: number } | null = null;
  private found: WithinJson | null = null;
  /** What the list shows: it is made anew for another answer alone, so that the focus stays. */
  private listed: WithinJson | null = null;
  private following = false;
  private asked = 0;
  private readonly panel: HTMLElement;
  private readonly cross: Cross;
  private readonly corners: readonly [HTMLInputElement, HTMLInputElement];
  private readonly summary: HTMLElement;
  private readonly status: HTMLElement;
  private readonly list: HTMLElement;
  private readonly acts: HTMLElement;

  constructor(private readonly map: MapLibre, parent: HTMLElement, private readonly host: BoxHost) {
    this.cross = new Cross(map);
    this.panel = element("section", "mz-panel mz-tool mz-tall mz-box", parent);
    this.panel.hidden = true;
    element("h3", "", this.panel);
    const form = element("form", "mz-corners", this.panel);
    this.corners = [this.corner(form), this.corner(form)];
    element("button", "", form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.written();
    });
    this.summary = element("p", "mz-sum", this.panel);
    this.list = element("ul", "mz-picked", this.panel);
    this.acts = element("div", "mz-acts", this.panel);
    this.status = element("p", "mz-said", this.panel);
    this.status.setAttribute("role", "status");
    element("p", "mz-help", this.panel);
    this.list.addEventListener("keydown", (event) => this.walk(event));
    this.retell();
  }

  get active(): boolean {
    return this.running;
  }

  private corner(form: HTMLElement): HTMLInputElement {
    const label = element("label", "", form);
    element("span", "", label);
    const input = element("input", "", label);
    Object.assign(input, { type: "text", maxLength: 100, autocomplete: "off", spellcheck: false, placeholder: "34°12′05″N 129°17′22″E" });
    return input;
  }

  retell(): void {
    this.panel.setAttribute("aria-label", text("map.box.title"));
    put(this.panel.querySelector("h3") as HTMLElement, text("map.box.title"));
    this.panel.querySelectorAll<HTMLElement>(".mz-corners span").forEach((label, i) => put(label, text(i === 0 ? "map.box.corner" : "map.box.opposite")));
    put(this.panel.querySelector(".mz-corners button") as HTMLElement, text("map.box.choose"));
    put(this.panel.querySelector(".mz-help") as HTMLElement, text("map.box.help"));
    this.render();
  }

  begin(): void {
    this.running = true;
    this.panel.hidden = false;
    this.map.on("mousedown", this.press);
    this.map.on("mousemove", this.drag);
    this.map.on("mouseup", this.release);
    this.map.doubleClickZoom.disable();
    this.host.changed(true);
    this.draw();
    this.host.say(text("map.box.begun"));
  }

  end(): void {
    if (!this.running) return;
    this.running = false;
    this.asked += 1;
    this.setDrawing(false);
    this.first = this.second = this.cursor = this.found = null;
    this.unfollow();
    this.panel.hidden = true;
    this.map.off("mousedown", this.press);
    this.map.off("mousemove", this.drag);
    this.map.off("mouseup", this.release);
    this.map.doubleClickZoom.enable();
    this.host.marked([]);
    this.host.changed(false);
    this.render();
    this.map.getCanvas().focus({ preventScroll: true });
    this.host.say(text("map.box.ended"));
  }

  /** The officer has moved the map away from what it follows. */
  unfollow(): void {
    if (!this.following) return;
    this.following = false;
    this.host.follow(false);
    this.render();
  }

  /** Set corners from here on, the cross in the middle of the map. */
  private draw(): void {
    this.setDrawing(true);
    this.first = this.second = null;
    this.cursor = this.cross.middle();
    this.map.getCanvas().focus({ preventScroll: true });
    this.render();
  }

  private setDrawing(on: boolean): void {
    this.drawing = on;
    if (on) this.map.dragPan.disable();
    else this.map.dragPan.enable();
  }

  /** True where the key was one of the tool's: the arrows and Enter, while corners are to be set. */
  key(event: KeyboardEvent): boolean {
    if (!this.drawing) return false;
    const place = this.cross.moved(event, this.cursor ?? this.cross.middle());
    if (place !== null) this.cursor = place;
    else if (event.key === "Enter" && this.cursor !== null) this.setCorner(this.cursor);
    else if (event.key === "Backspace") this.first = null;
    else return false;
    this.render();
    return true;
  }

  /** A click on the map sets a corner; the second one ends the box. */
  setCorner(place: Place): void {
    if (!this.drawing) return;
    if (this.first === null) {
      this.first = place;
      this.render();
      this.host.say(text("map.box.first"));
    } else {
      this.second = place;
      void this.choose();
    }
  }

  private readonly press = (event: MapMouseEvent): void => {
    if (!this.drawing || this.first !== null) return;
    this.pressed = event.point;
  };

  private readonly drag = (event: MapMouseEvent): void => {
    if (!this.drawing) return;
    const at = { lon: event.lngLat.lng, lat: event.lngLat.lat };
    const { pressed } = this;
    if (pressed !== null && this.first === null && Math.hypot(event.point.x - pressed.x, event.point.y - pressed.y) > CLICK_PIXELS) {
      const { lng, lat } = this.map.unproject([pressed.x, pressed.y]);
      this.first = { lon: lng, lat };
    }
    this.cursor = at;
    this.render();
  };

  private readonly release = (event: MapMouseEvent): void => {
    const { pressed } = this;
    this.pressed = null;
    if (!this.drawing || pressed === null || this.first === null) return;
    if (Math.hypot(event.point.x - pressed.x, event.point.y - pressed.y) <= CLICK_PIXELS) return;
    this.second = { lon: event.lngLat.lng, lat: event.lngLat.lat };
    void this.choose();
  };

  /** The corners as they are written in the two fields, in any notation that the search reads. */
  private async written(): Promise<void> {
    const places: Place[] = [];
    for (const input of this.corners) {
      try {
        places.push(await readPlace(input.value));
      } catch (error) {
        return this.wrong(input, (error as Error).message);
      }
    }
    [this.first, this.second] = [places[0] as Place, places[1] as Place];
    this.map.fitBounds([[Math.min(this.first.lon, this.second.lon), Math.min(this.first.lat, this.second.lat)], [Math.max(this.first.lon, this.second.lon), Math.max(this.first.lat, this.second.lat)]], { padding: 80, animate: false });
    await this.choose();
  }

  private wrong(input: HTMLInputElement, words: string): void {
    this.tell(words);
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }

  private bounds(): readonly [number, number, number, number] | null {
    const one = this.first;
    const other = this.second ?? (this.drawing ? this.cursor : null);
    if (one === null || other === null) return null;
    return [Math.min(one.lon, other.lon), Math.min(one.lat, other.lat), Math.max(one.lon, other.lon), Math.max(one.lat, other.lat)];
  }

  private async choose(): Promise<void> {
    const box = this.bounds();
    if (box === null) return;
    this.setDrawing(false);
    this.cursor = null;
    this.unfollow();
    for (const input of this.corners) input.removeAttribute("aria-invalid");
    const asked = (this.asked += 1);
    const query = new URLSearchParams({ bbox: box.map((degrees) => degrees.toFixed(6)).join(",") });
    for (const group of this.host.hidden()) query.append("hide", group);
    this.tell("");
    try {
      const found = await getJson<WithinJson>(`/api/tracks/within?${query}`);
      if (asked !== this.asked) return;
      this.found = found;
      this.host.marked(found.tracks);
      this.render();
      this.host.say(this.summary.textContent ?? "");
      (this.list.querySelector<HTMLElement>("button") ?? this.map.getCanvas()).focus({ preventScroll: true });
    } catch (error) {
      if (asked === this.asked) this.tell(text("map.not_read", { what: text("map.box.title"), reason: (error as Error).message }));
    }
  }

  private tell(words: string): void {
    put(this.status, words);
  }

  /** The arrows go through the list. */
  private walk(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    const rows = [...this.list.querySelectorAll<HTMLElement>("button")];
    rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(document.activeElement as HTMLElement) + step))]?.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  private render(): void {
    this.cross.show(this.drawing ? this.cursor : null);
    this.map.getSource<GeoJSONSource>(SOURCE)?.setData(this.drawn());
    const { found } = this;
    const shown = found?.tracks ?? [];
    put(this.summary, found === null ? "" : this.counted(found));
    this.list.hidden = shown.length === 0;
    if (this.listed !== found) {
      this.listed = found;
      this.list.replaceChildren(...shown.map((track) => this.row(track)));
    }
    this.renderActs(shown);
  }

  private counted({ tracks, all }: WithinJson): string {
    if (all === 0) return text("map.box.none");
    const kinds = new Map<string, number>();
    for (const { kind } of tracks) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    const parts = [...kinds].sort((a, b) => b[1] - a[1]).map(([kind, n]) => `${text(`kind.${kind}`)} ${n}`);
    const cut = tracks.length < all ? ` ${text("map.box.cut", { n: tracks.length })}` : "";
    return `${text("map.tracks", { n: all.toLocaleString("en") })}: ${parts.join(", ")}${cut}`;
  }

  private row(track: BoxTrack): HTMLElement {
    const row = document.createElement("li");
    const button = element("button", "", row);
    button.type = "button";
    button.dataset.track = track.track_id;
    element("strong", "", button).textContent = track.label;
    element("span", "", button).textContent = `${text(`kind.${track.kind}`)} · ${text(`status.${track.status}`)}`;
    button.addEventListener("click", () => this.host.open(track));
    return row;
  }

  private renderActs(tracks: readonly BoxTrack[]): void {
    const focused = this.acts.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.does : undefined;
    this.acts.replaceChildren();
    const bar = element("div", "mz-buttons", this.acts);
    if (tracks.length > 0) {
      const follow = this.button(bar, "follow", text("map.box.follow"), () => this.toggleFollow());
      follow.setAttribute("aria-pressed", String(this.following));
    }
    if (!this.drawing) this.button(bar, "again", text("map.box.again"), () => this.draw());
    this.button(bar, "end", text("map.box.end"), () => this.end());
    if (tracks.length > 0) {
      const files = element("div", "mz-buttons", this.acts);
      element("span", "", files).textContent = text("map.box.export");
      for (const [format, name] of FORMATS) this.button(files, format, name, () => void this.exported(format));
    }
    const incidents = tracks.length > 0 ? this.host.incidents() : [];
    if (incidents.length > 0) {
      const form = element("form", "mz-buttons", this.acts);
      const choice = element("select", "", form);
      choice.setAttribute("aria-label", text("map.box.incident"));
      choice.append(...incidents.map(([id, name]) => new Option(name, id)));
      const link = element("button", "", form);
      link.dataset.does = "link";
      link.textContent = text("map.box.link");
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        void this.link(choice.value, choice.selectedOptions[0]?.text ?? "");
      });
    }
    if (focused !== undefined) this.acts.querySelector<HTMLElement>(`[data-does="${focused}"]`)?.focus();
  }

  private button(parent: HTMLElement, act: string, words: string, pressed: () => void): HTMLButtonElement {
    const made = element("button", "", parent);
    made.type = "button";
    made.dataset.does = act;
    made.textContent = words;
    made.addEventListener("click", pressed);
    return made;
  }

  private toggleFollow(): void {
    this.following = !this.following;
    this.host.follow(this.following);
    this.render();
    this.host.say(text(this.following ? "map.box.following" : "map.box.not_following"));
  }

  private ids(): string[] {
    return (this.found?.tracks ?? []).map(({ track_id: id }) => id);
  }

  private async exported(format: string): Promise<void> {
    try {
      const file = await sendForFile(`/api/tracks/export?format=${format}`, { tracks: this.ids() });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = `tracks.${format}`;
      link.click();
      URL.revokeObjectURL(link.href);
      this.tell(text("map.box.exported", { n: this.ids().length }));
    } catch (error) {
      this.tell((error as Error).message);
    }
  }

  private async link(incidentId: string, name: string): Promise<void> {
    try {
      const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
      await send("POST", `/api/incidents/${incidentId}/link`, { tracks: this.ids() }, { "Idempotency-Key": key });
      this.tell(text("map.box.linked", { n: this.ids().length, name }));
    } catch (error) {
      this.tell((error as Error).message);
    }
  }

  // the box on the map

  addLayers(): void {
    this.map.addSource(SOURCE, { type: "geojson", data: this.drawn() });
    for (const layer of boxLayers()) this.map.addLayer(layer);
  }

  repaint(): void {
    repaint(this.map, boxLayers());
  }

  private drawn(): GeoJSON.FeatureCollection {
    const box = this.bounds();
    if (box === null) return { type: "FeatureCollection", features: [] };
    const [west, south, east, north] = box;
    const coordinates = [[[west, south], [east, south], [east, north], [west, north], [west, south]]];
    return { type: "FeatureCollection", features: [{ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates } }] };
  }
}

function boxLayers(): LayerSpecification[] {
  const colour = palette.css(palette.SELECTED);
  return [
    { id: "box-fill", type: "fill", source: SOURCE, paint: { "fill-color": colour, "fill-opacity": 0.07 } },
    { id: "box-rim", type: "line", source: SOURCE, paint: { "line-color": palette.HALO, "line-width": 4, "line-opacity": 0.8 } },
    { id: "box-line", type: "line", source: SOURCE, paint: { "line-color": colour, "line-width": 1.6, "line-dasharray": [4, 2] } },
  ];
}
