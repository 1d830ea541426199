// The map in its element: basemap, feed, layers and people's hands brought together.
import type { PickingInfo } from "@deck.gl/core";
import { MapboxOverlay } from "@deck.gl/mapbox";
import { type GeoJSONSource, Map as MapLibre, type MapLayerEventType, NavigationControl, ScaleControl } from "maplibre-gl";
import { type Address, readAddress, writeAddress } from "./address.js";
import { type AlertsJson, type MapAlert, alertsToDraw } from "./alerts.js";
import { type AreaMap } from "./areas/panel.js";
import { Sketch } from "./areas/sketch.js";
import type { Point } from "./areas/model.js";
import { BoxSelect, type BoxTrack } from "./box.js";
import { openOnPage, setProps } from "./dash.js";
import { type Connection, Feed, type FeedListener, type Looking, type Present, type Topic as Told } from "./feed.js";
import { FilterChips } from "./filters.js";
import { Announcer, AreasButton, CursorReadout, HomeButton, LegendPanel, StatusLine, Tip, ToolButton, element, trackLines } from "./furniture.js";
import { ROOM_SHARE, viewFor } from "./following.js";
import type { Group, GroupCounts } from "./groups.js";
import { type Bounds, HOME_PADDING, JAPAN, KeptView, NEAREST_HOME_ZOOM, aroundAreas, aroundPoints } from "./home.js";
import { Evidence, type EvidenceJson } from "./evidence.js";
import { ShownIncidents, incidentLines } from "./incidents.js";
import { listenForKeys, meansTheMap } from "./keys.js";
import { type Selection, buildLayers, importance, picked } from "./layers.js";
import { Measure, type MeasuredTrack } from "./measure.js";
import { ShownNotation } from "./notation.js";
import { ShownNotes, noteLines, shortened } from "./notes.js";
import { NotesPanel } from "./notes_panel.js";
import { OnlineTiles, onlineMapOf } from "./online.js";
import { type Name, Picture } from "./picture.js";
import {
  addPlaces,
  contains,
  nameLanguage,
  repaintPlaces,
  setPlaces,
  setTrackLabels,
} from "./places.js";
import type { Frame, TrackRecord } from "./protocol.js";
import { getJson } from "./rest.js";
import { type Found, SearchBox } from "./search.js";
import { FoundMark } from "./found.js";
import { ShownLayers, type Switch } from "./shown.js";
import { LABEL_LAYERS, graticule, graticuleStep, mapStyle, repaint } from "./style.js";
import { type Atlas, TYPE_SYMBOL_ZOOM, drawAtlas, iconOf } from "./symbols.js";
import { currentLanguage, text } from "./texts.js";
import { PastPanel } from "./past.js";
import { currentTheme, nextTheme } from "./theme.js";
import { SavedViews } from "./views.js";
import { ShownTrail } from "./trail.js";
import { type DrawType, loadTypes } from "./types.js";

/** The Open Database Licence asks for it wherever the map is seen. */
const ATTRIBUTION = "© OpenStreetMap contributors (ODbL)";
/** Marks a move of the camera that an officer asked for by other means than the map itself. */
const BY_HAND = { byHand: true } as const;
const EXTENT_EVERY_MS = 5_000;
const VIEW_DEBOUNCE_MS = 150;
const STATUS_EVERY_MS = 1_000;
/** At most this often the layers are built again, however many frames come. */
const REDRAW_MS = 200;

export interface RenderedFeature {
  readonly handle: number;
  readonly track_id: string | null;
  readonly label: string | null;
  readonly lon: number;
  readonly lat: number;
  readonly status: number;
  readonly age_s: number;
  readonly error_m: number | null;
  /** The symbol in the atlas; see symbols.ts. */
  readonly symbol: string;
}

export interface MapStatus {
  readonly connected: boolean;
  readonly tracks: number;
  readonly oldest_age_s: number | null;
  readonly realm_now_ms: number | null;
}

export interface Focus {
  readonly lon: number;
  readonly lat: number;
  readonly zoom?: number;
}

/** What is read by REST and drawn by MapLibre. */
type Place = "areas" | "facilities";

/** The parts of the map that can be wrong by themselves. */
type Topic = "feed" | "basemap" | "drawing" | "areas" | "facilities" | "alerts" | "incidents" | "notes" | "online" | "trail" | "evidence";

export class MapConsole implements FeedListener, AreaMap {
  /** The area that is being edited. */
  readonly sketch: Sketch;
  private readonly map: MapLibre;
  private readonly overlay: MapboxOverlay;
  private types: DrawType | null = null;
  private atlas: Atlas = drawAtlas(null);
  readonly picture = new Picture();
  private readonly feed: Feed;
  private readonly status: StatusLine;
  private readonly cursor = new CursorReadout();
  private readonly search: SearchBox;
  private readonly foundMark = new FoundMark();
  private readonly chips: FilterChips;
  private readonly legend: LegendPanel;
  private readonly tip: Tip;
  private readonly announcer: Announcer;
  private readonly box: BoxSelect;
  private readonly boxButton: ToolButton;
  private marked: readonly BoxTrack[] = [];
  private following = false;
  private readonly measure: Measure;
  private readonly evidence: Evidence;
  private readonly measureButton: ToolButton;
  private readonly past: PastPanel;
  private readonly pastButton: ToolButton;
  private readonly gone = new AbortController();
  private readonly notation: ShownNotation;
  private readonly views: SavedViews;
  private addressTimer: number | undefined;
  private readonly timers: number[] = [];
  private readonly shown: ShownLayers;
  private alerts: readonly MapAlert[] = [];
  private readonly incidents: ShownIncidents;
  private readonly trail: ShownTrail;
  private readonly notes: ShownNotes;
  private readonly online: OnlineTiles | null;
  private readonly notesPanel: NotesPanel;
  private readonly notesButton: ToolButton;
  private selection: Selection = null;
  private state: Connection = "connecting";
  private toldConnected: boolean | null = null;
  private readonly notices = new Map<Topic, string>();
  private pointer: { readonly lng: number; readonly lat: number } | null = null;
  private ready = false;
  private readonly places: Partial<Record<Place, GeoJSON.FeatureCollection>> = {};
  private readonly kept: KeptView;
  /** Nobody has moved the map: it may still go to what is watched when that becomes known. */
  private untouched: boolean;
  /** Around all tracks of the realm, asked for where nothing is watched. */
  private extent: Bounds | null = null;
  private extentAskedMs = -Infinity;
  private viewTimer: number | undefined;
  private redrawTimer: number | undefined;

  /** areas: as GET /api/areas gave them before there was a map; null where it did not. placesChanged: hears of a change. */
  constructor(private readonly root: HTMLElement, areas: GeoJSON.FeatureCollection | null, private readonly placesChanged: (what: Place) => void) {
    root.classList.add("mz-map");
    if (areas !== null) this.places.areas = areas;
    this.kept = new KeptView(root.dataset.realm ?? "");
    this.shown = new ShownLayers(root.dataset.person ?? "");
    const address = readAddress(location.hash);
    const left = address.at ?? this.kept.read();
    this.picture.hidden = new Set(address.hide);
    this.incidents = new ShownIncidents(() => this.redraw(), (reason) => this.notRead("incidents", reason));
    const online = onlineMapOf(root.dataset);
    this.online = online === null ? null : new OnlineTiles(online, (away) => this.say("online", away ? text("map.online.away") : ""));
    this.notes = new ShownNotes(() => this.redraw(), (reason) => this.notRead("notes", reason));
    this.trail = new ShownTrail(() => this.redraw(), (words) => this.say("trail", words));
    this.untouched = left === null;
    const canvasBox = document.createElement("div");
    canvasBox.className = "mz-canvas";
    root.append(canvasBox);
    this.map = new MapLibre({
      container: canvasBox,
      style: mapStyle(`${location.origin}/tiles/japan.pmtiles`, currentLanguage()),
      ...(left === null
        ? { bounds: (areas === null ? null : aroundAreas(areas)) ?? JAPAN, fitBoundsOptions: { padding: HOME_PADDING, maxZoom: NEAREST_HOME_ZOOM } }
        : { center: [left.lon, left.lat] as [number, number], zoom: left.zoom }),
      minZoom: 2,
      maxZoom: 17,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      renderWorldCopies: false,
      fadeDuration: 0,
      attributionControl: { compact: false, customAttribution: ATTRIBUTION },
      locale: {
        "Map.Title": text("map.title"),
        "NavigationControl.ZoomIn": text("map.zoom_in"),
        "NavigationControl.ZoomOut": text("map.zoom_out"),
        "ScaleControl.NauticalMiles": text("map.nautical_miles"),
      },
    });
    this.sketch = new Sketch(this.map);
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new NavigationControl({ showCompass: false }), "top-right");
    this.map.addControl(new HomeButton(() => this.goHome()), "top-right");
    this.map.addControl(new AreasButton(), "top-right");
    this.measureButton = new ToolButton("mz-measure-tool", "map.measure.tool", () => this.measureOrEnd());
    this.map.addControl(this.measureButton, "top-right");
    this.boxButton = new ToolButton("mz-box-tool", "map.box.tool", () => this.boxOrEnd());
    this.map.addControl(this.boxButton, "top-right");
    this.notesButton = new ToolButton("mz-notes-tool", "map.notes.tool", () => this.notesOrEnd());
    this.map.addControl(this.notesButton, "top-right");
    this.pastButton = new ToolButton("mz-past-tool", "map.past.tool", () => this.past.toggle());
    this.map.addControl(this.pastButton, "top-right");
    this.map.addControl(new ToolButton("mz-palette-tool", "map.palette.tool", () => this.nextPalette()), "top-right");
    this.map.addControl(new ScaleControl({ unit: "nautical", maxWidth: 140 }), "bottom-left");
    this.map.addControl(this.cursor, "bottom-left");
    this.overlay = new MapboxOverlay({
      layers: [],
      pickingRadius: 8,
      onClick: (info: PickingInfo) => this.clicked(info),
      onHover: (info: PickingInfo) => this.hovered(info),
      getCursor: ({ isHovering, isDragging }) => (this.measure.active || this.box.active || this.notesPanel.placing ? "crosshair" : isDragging ? "grabbing" : isHovering ? "pointer" : "grab"),
    });
    this.map.addControl(this.overlay);
    const top = element("div", "mz-top", root);
    const first = element("div", "mz-row", top);
    this.search = new SearchBox(first, {
      show: (found) => this.showFound(found),
      leave: () => {
        this.foundMark.remove();
        this.map.getCanvas().focus({ preventScroll: true });
      },
      say: (words) => this.announcer.say(words),
    });
    this.status = new StatusLine(root, first);
    this.chips = new FilterChips(top, this.atlas, (group) => this.toggle(group), () => this.hide(new Set()));
    const side = element("div", "mz-side", root);
    this.legend = new LegendPanel(side, () => this.atlas, this.shown, (which) => this.offered(which), () => this.showLayers(), () => this.needTypes());
    this.views = new SavedViews(side, root.dataset.realm ?? "", root.dataset.person ?? "", {
      address: () => writeAddress({ ...this.address(), selection: null }),
      open: (saved) => this.go({ ...readAddress(saved), selection: this.selection }),
    });
    this.tip = new Tip(root);
    this.announcer = new Announcer(root);
    this.notation = new ShownNotation(root.dataset.person ?? "", (words) => this.announcer.say(words), this.gone.signal);
    this.past = new PastPanel(this.map.getCanvas(), root, {
      nowMs: () => this.picture.realmNowMs,
      asOf: (ms) => this.asOf(ms),
      changed: (active) => this.pastButton.press(active),
      say: (words) => this.announcer.say(words),
    });
    this.measure = new Measure(this.map, root, {
      track: (trackId) => this.measuredTrack(trackId),
      say: (words) => this.announcer.say(words),
      changed: (active) => this.measureButton.press(active),
    });
    this.box = new BoxSelect(this.map, root, {
      hidden: () => this.picture.hidden,
      marked: (tracks) => {
        this.marked = tracks;
        this.redraw();
      },
      follow: (on) => this.follow(on),
      open: (track) => this.choose({ track_id: track.track_id }),
      incidents: () => (root.dataset.linksIncidents === "true" ? this.incidents.choices() : []),
      changed: (active) => this.boxButton.press(active),
      say: (words) => this.announcer.say(words),
    });
    this.notesPanel = new NotesPanel(this.map, root, {
      mayWrite: root.dataset.writesNotes === "true",
      standing: () => this.notes.standing(this.picture),
      nowMs: () => this.picture.realmNowMs,
      look: (place) => this.focus(place),
      changed: (active) => this.notesButton.press(active),
      say: (words) => this.announcer.say(words),
    });
    this.evidence = new Evidence(this.map, root, {
      showBox: (points, hidden) => this.showBox(points, hidden),
      write: (lon, lat) => this.notation.write(lon, lat),
      say: (words) => this.announcer.say(words),
    });
    this.feed = new Feed(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/ws/tracks`, this);
    this.listen(canvasBox);
    this.feed.open();
    if (address.hide.length > 0) setProps("map-hidden", { data: address.hide });
    if (address.selection !== null) this.choose(address.selection);
    window.addEventListener("hashchange", () => this.go(readAddress(location.hash)), { signal: this.gone.signal });
  }

  /** Close the feed and free the graphics memory: the page took the element away. */
  remove(): void {
    this.gone.abort();
    this.feed.close();
    this.trail.close();
    for (const timer of [...this.timers, this.viewTimer, this.redrawTimer, this.addressTimer]) window.clearTimeout(timer);
    this.map.remove();
    this.root.replaceChildren();
  }

  focus(focus: Focus): void {
    this.untouched = false;
    const camera = { center: [focus.lon, focus.lat] as [number, number], zoom: focus.zoom ?? Math.max(this.map.getZoom(), 10) };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.map.jumpTo(camera, BY_HAND);
    else this.map.easeTo({ ...camera, duration: 500 }, BY_HAND);
  }

  /** The officer reads this incident: it is joined to what it is about. */
  openIncident(incidentId: string | null): void {
    void this.incidents.open(incidentId);
  }

  /** Bring an area into view, above a panel that hides this many pixels at the lower edge. */
  showBox(points: readonly Point[], hidden = 0): void {
    const box = aroundPoints(points.map(([lon, lat]) => [lon, lat]));
    const padding = { ...HOME_PADDING, bottom: HOME_PADDING.bottom + hidden };
    if (box !== null) this.map.fitBounds(box, { padding, maxZoom: NEAREST_HOME_ZOOM, animate: false }, BY_HAND);
  }

  /** Show everything that is watched, and open there again the next time. */
  goHome(): void {
    this.kept.write(null);
    this.untouched = true;
    this.map.fitBounds(this.home(), { padding: HOME_PADDING, maxZoom: NEAREST_HOME_ZOOM, animate: false });
    this.tellAddress();
  }

  private home(): Bounds {
    const { areas } = this.places;
    return (areas === undefined ? null : aroundAreas(areas)) ?? this.extent ?? JAPAN;
  }

  /** Where nothing is watched the tracks are, which may be far from this view: a recording of another sea. */
  private askExtent(): void {
    const watched = this.places.areas?.features.length !== 0;
    if (watched || this.extent !== null || !this.untouched || performance.now() - this.extentAskedMs < EXTENT_EVERY_MS) return;
    this.extentAskedMs = performance.now();
    getJson<{ readonly tracks_box: readonly [number, number, number, number] | null }>("/api/realm").then(
      ({ tracks_box: box }) => {
        if (box === null) return;
        this.extent = [[box[0], box[1]], [box[2], box[3]]];
        this.homeKnown();
      },
      // The connection says by itself that the server is away; this is asked again.
      () => undefined,
    );
  }

  /** What is watched has become known, and the officer has not chosen a view. */
  private homeKnown(): void {
    if (this.untouched && !this.sketch.busy) this.goHome();
  }

  private moved(event: object): void {
    if ("originalEvent" in event || "byHand" in event) {
      this.box.unfollow();
      const { lng, lat } = this.map.getCenter();
      this.untouched = false;
      this.kept.write({ lon: lng, lat, zoom: this.map.getZoom() });
      this.tellAddress();
    }
    this.viewChanged();
  }

  /** Highlight a track or an alert, with the track's trail; null for none. */
  select(selection: Selection): void {
    this.selection = selection;
    this.picture.selectedTrackId = this.selectedTrackId();
    this.trail.follow(this.selectedTrackId(), this.picture);
    this.redraw();
    this.tellAddress();
  }

  /** What is shown, as the address of the page says it. */
  private address(): Address {
    const { lng, lat } = this.map.getCenter();
    const at = this.untouched ? null : { lon: lng, lat, zoom: this.map.getZoom() };
    return { at, hide: [...this.picture.hidden], selection: this.selection };
  }

  /** Once for all that happens together: a browser refuses an address that changes all the time. */
  private tellAddress(): void {
    window.clearTimeout(this.addressTimer);
    this.addressTimer = window.setTimeout(() => {
      history.replaceState(history.state, "", `${location.pathname}${location.search}${writeAddress(this.address())}`);
    }, VIEW_DEBOUNCE_MS);
  }

  /** Show what an address says. */
  private go({ at, hide, selection }: Address): void {
    this.hide(new Set(hide));
    if (at === null) this.goHome();
    else this.focus(at);
    this.choose(selection);
  }

  /** Draw what an alert rests on; null, or the one that is drawn, takes it away. */
  showEvidence(alertId: string | null): void {
    const again = alertId === this.evidence.alertId;
    this.measure.end();
    this.evidence.end();
    if (alertId === null || again) return;
    getJson<EvidenceJson>(`/api/alerts/${encodeURIComponent(alertId)}/evidence`).then(
      (found) => {
        this.say("evidence", "");
        this.evidence.show(found);
      },
      (error: Error) => this.say("evidence", text("map.not_read", { what: text("map.layer.evidence"), reason: error.message })),
    );
  }

  asOf(ms: number | null): void {
    this.picture.asOfMs = ms;
    this.feed.asOf(ms);
    this.trail.forget();
    this.trail.follow(this.selectedTrackId(), this.picture);
  }

  features(): RenderedFeature[] {
    if (!this.ready) return [];
    const bounds = this.map.getBounds();
    const types = this.types !== null && this.wantsTypes();
    return this.picture
      .shown()
      .filter((track) => contains(bounds, track))
      .map((track) => {
        const name = this.picture.names.get(track.handle);
        return {
          handle: track.handle,
          track_id: name?.trackId ?? null,
          label: name?.label ?? null,
          lon: track.lon,
          lat: track.lat,
          status: track.status,
          age_s: this.picture.ageS(track),
          error_m: track.errorM,
          symbol: iconOf(track, types),
        };
      });
  }

  mapStatus(): MapStatus {
    return {
      connected: this.state === "connected",
      tracks: this.picture.count,
      oldest_age_s: this.picture.oldestLiveAgeS(),
      realm_now_ms: this.picture.realmNowMs,
    };
  }

  /** The texts have changed: write every word again. */
  retell(): void {
    this.legend.render();
    this.views.render();
    this.search.retell();
    this.measure.retell();
    this.evidence.retell();
    this.measureButton.retell();
    this.notesPanel.retell();
    this.notesButton.retell();
    this.box.retell();
    this.boxButton.retell();
    this.past.retell();
    this.pastButton.retell();
    if (this.ready) {
      nameLanguage(this.map, [...LABEL_LAYERS, "area-name", "facility"], currentLanguage());
      this.redraw();
    }
    this.showStatus();
  }

  /** Day, dusk, night: the page's style sheets follow by themselves, what is drawn is drawn again. */
  private nextPalette(): void {
    nextTheme();
    this.atlas = drawAtlas(this.types);
    this.chips.drawIcons(this.atlas);
    this.legend.render();
    if (this.ready) {
      const language = currentLanguage();
      repaint(this.map, mapStyle("", language).layers);
      repaintPlaces(this.map, language);
      this.online?.repaint(this.map);
      this.shown.applyTo(this.map);
      this.measure.repaint();
      this.box.repaint();
      this.notes.repaint(this.map);
      this.incidents.repaint(this.map);
      this.evidence.repaint();
      this.redraw();
    }
    this.announcer.say(text(`map.palette.${currentTheme()}`));
  }

  // FeedListener

  opened(): void {
    this.picture.forgetNames();
    this.say("feed", "");
  }

  frame(frame: Frame): void {
    this.picture.apply(frame);
    this.trail.follow(this.selectedTrackId(), this.picture);
    this.redraw();
  }

  names(rows: readonly (readonly [number, string, string])[]): void {
    this.picture.learnNames(rows);
  }

  counts(counts: GroupCounts): void {
    this.picture.takeCounts(counts);
  }

  changed(what: Told): void {
    if (what === "alerts") this.loadAlerts();
    else if (what === "notes") void this.notes.load();
    else if (what === "incidents") void this.incidents.load();
    else this.loadPlaces(what);
  }

  present(people: readonly Present[], more: number): void {
    document.dispatchEvent(new CustomEvent("mizugiwa:presence", { detail: { people, more } }));
  }

  /** What this screen has open. */
  look(at: Looking | null): void {
    this.feed.look(at);
  }

  connection(state: Connection): void {
    this.state = state;
    this.showStatus();
  }

  refused(reason: string): void {
    this.say("feed", text("map.refused", { reason }));
  }

  // people's hands

  private listen(canvasBox: HTMLElement): void {
    const map = this.map;
    // Not "load": that waits for the basemap, and tracks must be seen where it cannot be read.
    map.on("style.load", () => {
      this.online?.addTo(map);
      addPlaces(map, currentLanguage());
      this.evidence.addLayers();
      this.measure.addLayers();
      this.box.addLayers();
      this.notes.addLayers(map);
      this.incidents.addLayers(map);
      this.shown.applyTo(map);
      this.sketch.ready();
      this.ready = true;
      for (const [place, body] of Object.entries(this.places)) setPlaces(map, place as Place, body);
      this.viewChanged();
      this.redraw();
    });
    map.on("move", () => this.showCursor());
    map.on("moveend", (event) => this.moved(event));
    map.on("mousemove", (event: MapLayerEventType["mousemove"]) => {
      this.pointer = event.lngLat;
      this.showCursor();
    });
    map.on("mouseout", () => {
      this.pointer = null;
      this.tip.hide();
      this.showCursor();
    });
    map.on("error", (event) => {
      const source = (event as { sourceId?: string }).sourceId;
      if (source === "online") this.online?.failed(map);
      else if (source === "basemap") this.say("basemap", text("map.no_basemap"));
      else this.say("drawing", text("map.refused", { reason: event.error.message }));
    });
    canvasBox.addEventListener("keydown", (event) => this.key(event));
    listenForKeys((event) => this.toolKey(event), this.gone.signal);
    this.timers.push(window.setInterval(() => this.tellPage(), STATUS_EVERY_MS));
    const resized = new ResizeObserver(() => map.resize());
    resized.observe(this.root);
    map.once("remove", () => resized.disconnect());
    this.showCursor();
  }

  private clicked(info: PickingInfo): void {
    if (this.sketch.busy) return;
    const what = picked(info);
    if (this.measure.active) {
      const [lon, lat] = info.coordinate ?? [];
      const name = what?.type === "track" ? this.picture.names.get(what.track.handle) : undefined;
      if (lon !== undefined && lat !== undefined) this.measure.add({ lon, lat }, name && this.measuredTrack(name.trackId));
      return;
    }
    if (this.box.active) {
      const [lon, lat] = info.coordinate ?? [];
      if (lon !== undefined && lat !== undefined) this.box.setCorner({ lon, lat });
      return;
    }
    if (this.notesPanel.placing) {
      const [lon, lat] = info.coordinate ?? [];
      if (lon !== undefined && lat !== undefined) this.notesPanel.setPlace({ lon, lat });
      return;
    }
    if (what?.type === "aggregate") {
      this.focus({ lon: what.aggregate.lon, lat: what.aggregate.lat, zoom: this.map.getZoom() + 2 });
      return;
    }
    if (what?.type === "note") this.endTools(this.notesPanel).open(what.note);
    else if (what?.type === "incident") openOnPage("incident", what.incident.incidentId);
    else if (what?.type === "alert") this.choose({ alert_id: what.alert.alertId });
    else if (what?.type === "track") this.chooseTrack(what.track);
    else if (!this.chooseFacility(info)) this.choose(null);
  }

  /** Facilities are MapLibre's symbols, under those of deck.gl. */
  private chooseFacility({ x, y }: PickingInfo): boolean {
    const [found] = this.ready ? this.map.queryRenderedFeatures([x, y], { layers: ["facility"] }) : [];
    if (found === undefined) return false;
    openOnPage("facility", String(found.properties.facility_id));
    return true;
  }

  private hovered(info: PickingInfo): void {
    const what = picked(info);
    if (what?.type === "track") {
      const name = this.picture.names.get(what.track.handle);
      this.tip.show(info.x, info.y, name?.label ?? text("map.unnamed"), trackLines(what.track, this.picture));
    } else if (what?.type === "alert") {
      this.tip.show(info.x, info.y, what.alert.label, [text(`map.severity.${what.alert.severity}`)]);
    } else if (what?.type === "note") {
      this.tip.show(info.x, info.y, shortened(what.note.text), noteLines(what.note));
    } else if (what?.type === "incident") {
      this.tip.show(info.x, info.y, what.incident.number, incidentLines(what.incident));
    } else if (what?.type === "aggregate") {
      this.tip.show(info.x, info.y, text("map.tracks", { n: what.aggregate.count }), [text("map.zoom_for_tracks")]);
    } else {
      this.tip.hide();
    }
  }

  /** The key of walking, N, and Shift with it go through the tracks in view, what matters most first; Escape lets go; Home shows all that is watched. */
  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") this.foundMark.remove();
    if (event.key === "Escape" && this.sketch.busy) {
      // The page would close the panel in which the area is being edited.
      event.stopPropagation();
      this.sketch.cancel();
    } else if (window.mizugiwaKeys.act(event) === "walk") this.walk(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") this.choose(null);
    else if (event.key === "Home") this.goHome();
    else return;
    event.preventDefault();
  }

  /** The keys of the tools, wherever the focus is; the keys of a tool in use, where it is upon the map or nothing. */
  private toolKey(event: KeyboardEvent): boolean {
    if (this.measure.active) {
      if (event.key === "Escape") {
        this.measure.end();
        return true;
      }
      if (meansTheMap(event.target) && this.measure.key(event)) return true;
    }
    if (this.box.active) {
      if (event.key === "Escape") {
        this.box.end();
        return true;
      }
      if (meansTheMap(event.target) && this.box.key(event)) return true;
    }
    if (this.notesPanel.active) {
      if (event.key === "Escape") {
        this.notesPanel.escape();
        return true;
      }
      if (meansTheMap(event.target) && this.notesPanel.key(event)) return true;
    }
    if (event.key === "Escape" && this.evidence.end()) return true;
    switch (window.mizugiwaKeys.act(event)) {
      case "notes":
        this.notesOrEnd();
        return true;
      case "box":
        this.boxOrEnd();
        return true;
      case "measure":
        this.measureOrEnd();
        return true;
      case "coordinates":
        this.notation.next();
        return true;
      case "symbols":
        this.nextSymbols();
        return true;
      case "find":
        this.search.focus();
        return true;
      case "kinds":
        this.chips.focus();
        return true;
      case "layers":
        this.legend.toggle();
        return true;
      case "past":
        this.past.toggle();
        return true;
      case "palette":
        this.nextPalette();
        return true;
      case "views":
        this.views.toggle();
        return true;
      default:
        return false;
    }
  }

  private toggle(group: Group): void {
    const hidden = new Set(this.picture.hidden);
    if (!hidden.delete(group)) hidden.add(group);
    this.hide(hidden);
  }

  /** Hide these groups, here and in the page's track list. */
  private hide(groups: ReadonlySet<Group>): void {
    this.picture.hidden = groups;
    setProps("map-hidden", { data: [...groups] });
    this.tellAddress();
    this.viewChanged();
    this.redraw();
    this.showStatus();
  }

  private boxOrEnd(): void {
    if (this.box.active) this.box.end();
    else if (this.picture.asOf) this.announcer.say(text("map.box.past"));
    else this.endTools(this.box).begin();
  }

  private notesOrEnd(): void {
    if (this.notesPanel.active) this.notesPanel.end();
    else this.endTools(this.notesPanel).begin();
  }

  /** One tool at a time: all end but this one. */
  private endTools<T>(next: T): T {
    for (const tool of [this.measure, this.box, this.notesPanel]) if ((tool as unknown) !== next) tool.end();
    return next;
  }

  /** Keep the marked tracks in view, at first wherever they are. */
  private follow(on: boolean): void {
    this.following = on;
    if (on) this.keepInView(this.marked.flatMap(({ position }) => position ?? []));
  }

  private keepInView(places: readonly { readonly lon: number; readonly lat: number }[]): void {
    const [[west, south], [east, north]] = this.map.getBounds().toArray();
    const to = viewFor(places, [[west, south], [east, north]]);
    if (to === null) return;
    const { clientWidth, clientHeight } = this.map.getContainer();
    const [x, y] = [clientWidth * ROOM_SHARE, clientHeight * ROOM_SHARE];
    this.map.fitBounds(to, { padding: { left: x, right: x, top: y, bottom: y }, maxZoom: this.map.getZoom(), animate: false });
  }

  private measureOrEnd(): void {
    if (this.measure.active) {
      this.measure.end();
      return;
    }
    this.endTools(this.measure);
    this.evidence.end();
    const trackId = this.selectedTrackId();
    this.measure.begin(trackId === null ? undefined : this.measuredTrack(trackId));
  }

  private measuredTrack(trackId: string): MeasuredTrack | undefined {
    const track = this.picture.byTrackId(trackId);
    if (track === undefined) return undefined;
    return { trackId, lon: track.lon, lat: track.lat, label: this.picture.names.get(track.handle)?.label ?? text("map.unnamed") };
  }

  private walk(step: 1 | -1): void {
    const bounds = this.map.getBounds();
    const order = this.picture
      .shown()
      .filter((t) => contains(bounds, t) && this.picture.names.has(t.handle))
      .sort((a, b) => importance(b) - importance(a) || a.handle - b.handle);
    if (order.length === 0) {
      this.announcer.say(text("map.tracks", { n: 0 }));
      return;
    }
    const from = this.measure.active ? this.measure.cursorTrackId : this.selectedTrackId();
    const at = order.findIndex((t) => this.picture.names.get(t.handle)?.trackId === from);
    const next = order[at < 0 ? (step > 0 ? 0 : order.length - 1) : (at + step + order.length) % order.length];
    if (next === undefined) return;
    const { trackId, label } = this.picture.names.get(next.handle) as Name;
    const measured = this.measure.active ? this.measuredTrack(trackId) : undefined;
    if (measured === undefined) this.choose({ track_id: trackId });
    else this.measure.cursorTo(measured);
    this.announcer.say([label, ...trackLines(next, this.picture)].join(" "));
  }

  /** Go to what was searched for; a mark says where it is, where nothing else does. */
  private showFound({ kind, key, title, position, box }: Found): void {
    this.foundMark.remove();
    this.map.getCanvas().focus({ preventScroll: true });
    if (box !== null) this.showBox([[box[0], box[1]], [box[2], box[3]]]);
    else if (position !== null) this.focus({ ...position, zoom: Math.max(this.map.getZoom(), kind === "place" ? 9 : 11) });
    if (kind === "track") this.choose({ track_id: key });
    else if (kind === "incident" || kind === "area" || kind === "facility") openOnPage(kind, key);
    else if (position !== null) this.foundMark.show(this.map, position, title);
    this.announcer.say(title);
  }

  private chooseTrack(track: TrackRecord): void {
    const name = this.picture.names.get(track.handle);
    if (name !== undefined) this.choose({ track_id: name.trackId });
  }

  /** A choice made on the map: the page hears of it. */
  private choose(selection: Selection): void {
    this.select(selection);
    setProps("map-selected", { data: selection });
  }

  /** Whether there is such a layer for this person in this house. */
  private offered(which: Switch): boolean {
    if (which === "online") return this.online !== null;
    return which !== "incidents" || this.root.dataset.readsIncidents === "true";
  }

  private showLayers(): void {
    if (this.ready) this.shown.applyTo(this.map);
    this.redraw();
  }

  // what is shown

  private viewChanged(): void {
    window.clearTimeout(this.viewTimer);
    this.viewTimer = window.setTimeout(() => {
      const bounds = this.map.getBounds();
      const zoom = this.map.getZoom();
      const box = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()] as const;
      this.feed.show({ bbox: box, zoom, hide: [...this.picture.hidden] });
      this.map.getSource<GeoJSONSource>("graticule")?.setData(graticule(graticuleStep(zoom), box));
      this.redraw();
    }, VIEW_DEBOUNCE_MS);
  }

  /** Whether the officer wants the symbols of MIL-STD-2525 and is close enough for them. */
  private wantsTypes(): boolean {
    return this.shown.of("types").on && this.map.getZoom() >= TYPE_SYMBOL_ZOOM;
  }

  /** Fetch what draws those symbols. Until it is there, and where it cannot be had, the plain ones stand. */
  private needTypes(): void {
    if (this.types !== null) return;
    loadTypes().then(
      (types) => {
        this.types = types;
        this.atlas = drawAtlas(types);
        this.legend.render();
        this.say("drawing", "");
        this.redraw();
      },
      (error: Error) => this.say("drawing", text("map.types.missing", { reason: error.message })),
    );
  }

  private nextSymbols(): void {
    const on = !this.shown.of("types").on;
    this.shown.change("types", { on });
    this.legend.render();
    this.showLayers();
    this.announcer.say(text(on ? "map.types.on" : "map.types.off"));
  }

  private redraw(): void {
    if (this.wantsTypes()) this.needTypes();
    if (!this.ready || this.redrawTimer !== undefined) return;
    this.redrawTimer = window.setTimeout(() => {
      this.redrawTimer = undefined;
      const zoom = this.map.getZoom();
      const marked = this.marked.map(({ track_id: id }) => id);
      if (this.following) this.keepInView(marked.flatMap((id) => this.picture.byTrackId(id) ?? []));
      this.overlay.setProps({
        layers: buildLayers(
          {
            picture: this.picture,
            alerts: this.alerts,
            incidents: this.incidents,
            notes: this.notes,
            marked,
            trail: this.trail.segments(this.picture),
            selection: this.selection,
            zoom,
            types: this.types !== null && this.wantsTypes(),
            strength: (which) => this.shown.strength(which),
          },
          this.atlas,
        ),
      });
      setTrackLabels(this.map, this.picture, zoom, this.selectedTrackId());
      this.incidents.showLabels(this.map, this);
      this.notes.showLabels(this.map, this.picture);
      this.notesPanel.follow();
      this.measure.follow();
      this.showStatus();
    }, REDRAW_MS);
  }

  private showStatus(): void {
    const { picture } = this;
    this.chips.show(picture.hidden, picture.counts);
    this.status.show(this.state, this.picture, [...this.notices.values()].join(" "));
  }

  private showCursor(): void {
    const { lng, lat } = this.pointer ?? this.map.getCenter();
    this.cursor.show(lng, lat, this.map.getZoom(), this.notation.write(lng, lat));
  }

  private tellPage(): void {
    this.askExtent();
    const connected = this.state === "connected";
    if (connected === this.toldConnected) return;
    this.toldConnected = connected;
    setProps("map-status", { data: { connected } });
  }

  /** What is wrong with a part, until it is well again: then with no words. */
  private say(topic: Topic, words: string): void {
    if (words === "") this.notices.delete(topic);
    else this.notices.set(topic, words);
    this.showStatus();
  }

  /** reason: "" where it could be read. */
  private notRead(what: Place | "alerts" | "incidents" | "notes", reason: string): void {
    this.say(what, reason && text("map.not_read", { what: text(`map.layer.${what}`), reason }));
  }

  private selectedTrackId(): string | null {
    const { selection } = this;
    if (selection === null) return null;
    if (selection.track_id) return selection.track_id;
    if (!("alert_id" in selection)) return null;
    return this.alerts.find((a) => a.alertId === selection.alert_id)?.trackId ?? null;
  }

  // what is read by REST

  private loadPlaces(source: Place): void {
    getJson<GeoJSON.FeatureCollection>(`/api/${source}`).then(
      (body) => {
        const news = JSON.stringify(body) !== JSON.stringify(this.places[source]);
        this.say(source, "");
        this.places[source] = body;
        if (this.ready) setPlaces(this.map, source, body);
        if (!news) return;
        if (source === "areas") this.homeKnown();
        this.placesChanged(source);
      },
      (error: Error) => this.notRead(source, error.message),
    );
  }

  private loadAlerts(): void {
    getJson<AlertsJson>("/api/alerts").then(
      (body) => {
        this.say("alerts", "");
        this.alerts = alertsToDraw(body);
        this.picture.selectedTrackId = this.selectedTrackId();
        this.trail.follow(this.selectedTrackId(), this.picture);
        this.redraw();
      },
      (error: Error) => this.notRead("alerts", error.message),
    );
  }
}
