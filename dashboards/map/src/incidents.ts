// The open incidents on the map, from GET /api/incidents.geojson; the one that an officer reads is joined to what it is
// about. Incidents are known as they are now: upon a past picture they are left out, as alerts are.
import type { Layer } from "@deck.gl/core";
import { IconLayer, LineLayer, ScatterplotLayer } from "@deck.gl/layers";
import type { LayerSpecification, Map as MapLibre } from "maplibre-gl";
import type { MapAlert } from "./alerts.js";
import { INCIDENT_STATES, INCIDENT_TIP, type IncidentState } from "./marks.js";
import * as palette from "./palette.js";
import type { Picture } from "./picture.js";
import { type PointFeature, setPoints } from "./points.js";
import { RestError, getJson } from "./rest.js";
import { FONT, repaint } from "./style.js";
import type { Atlas } from "./symbols.js";
import { text } from "./texts.js";

const SOURCE = "incident-labels";
/** Pixels of an atlas cell (36 units) on the screen. */
const MARK_PIXELS = 36;
/** The plate hangs so far below its place that the symbol of a track there stays to be seen. */
const HANGS_PIXELS = 27;
/** From this zoom the title stands under the number. */
const TITLE_ZOOM = 9;

export interface MapIncident {
  readonly incidentId: string;
  readonly number: string;
  readonly title: string;
  readonly severity: palette.Severity;
  readonly state: IncidentState;
  readonly openTasks: number;
  /** null: nobody has said where it is. */
  readonly at: { readonly lon: number; readonly lat: number } | null;
  readonly alerts: readonly string[];
  readonly tracks: readonly string[];
}

interface IncidentJson {
  readonly incident_id: string;
  readonly number: string;
  readonly title: string;
  readonly severity: palette.Severity;
  readonly state: IncidentState;
  readonly open_tasks: number;
  readonly position: { readonly lon: number; readonly lat: number } | null;
  readonly alerts: readonly string[];
  readonly tracks: readonly string[];
}

interface PageJson {
  readonly features: readonly { readonly properties: IncidentJson }[];
  readonly next: string | null;
}

function incident(json: IncidentJson): MapIncident {
  const { incident_id: incidentId, number, title, severity, state, open_tasks: openTasks, position: at, alerts, tracks } = json;
  return { incidentId, number, title, severity, state, openTasks, at, alerts, tracks };
}

async function readOpen(): Promise<MapIncident[]> {
  const found: MapIncident[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: PageJson = await getJson<PageJson>(`/api/incidents.geojson?open=true&limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    found.push(...page.features.map(({ properties }) => incident(properties)));
    cursor = page.next;
  }
  return found;
}

/** What is known where, for joining an incident to it. */
export interface Known {
  readonly picture: Picture;
  readonly alerts: readonly MapAlert[];
  readonly iconPixels: number;
  readonly strength: number;
}

const WORST_LAST: readonly palette.Severity[] = ["low", "medium", "high", "critical"];

export class ShownIncidents {
  private incidents: readonly MapIncident[] = [];
  /** The one that is read: as the list has it, else as it was read by itself because it is over. */
  private read: MapIncident | null = null;
  private readId: string | null = null;
  private asked = 0;
  private askedOfOne = 0;

  /** changed: what is drawn is another now. said: why incidents could not be read; "" once they could. */
  constructor(private readonly changed: () => void, private readonly said: (reason: string) => void) {}

  /** Somebody changed an incident. */
  async load(): Promise<void> {
    const asked = (this.asked += 1);
    try {
      const incidents = await readOpen();
      if (asked !== this.asked) return;
      const rank = (i: MapIncident): number => WORST_LAST.indexOf(i.severity);
      this.incidents = incidents.sort((a, b) => rank(a) - rank(b));
      this.said("");
      await this.readAgain();
    } catch (error) {
      if (asked === this.asked) this.said((error as Error).message);
    }
  }

  /** An officer reads this incident now; null for none. */
  async open(incidentId: string | null): Promise<void> {
    this.readId = incidentId;
    await this.readAgain().catch((error: Error) => this.said(error.message));
  }

  private async readAgain(): Promise<void> {
    const asked = (this.askedOfOne += 1);
    const id = this.readId;
    let found = id === null ? null : (this.incidents.find((i) => i.incidentId === id) ?? null);
    if (found === null && id !== null) {
      found = await getJson<IncidentJson>(`/api/incidents/${encodeURIComponent(id)}`).then(incident, (error: Error) => {
        // Taken away, or not for this person: the drawer says so.
        if (error instanceof RestError) return null;
        throw error;
      });
    }
    if (asked !== this.askedOfOne) return;
    this.read = found;
    this.changed();
  }

  /** The open ones by number and title, newest first. */
  choices(): (readonly [string, string])[] {
    return [...this.incidents].sort((a, b) => (a.number < b.number ? 1 : -1)).map((i) => [i.incidentId, `${i.number} ${i.title}`] as const);
  }

  private drawn(): readonly MapIncident[] {
    const { read } = this;
    const all = read === null ? this.incidents : [...this.incidents.filter((i) => i.incidentId !== read.incidentId), read];
    return all.filter((i) => i.at !== null);
  }

  layers({ picture, alerts, iconPixels, strength }: Known, atlas: Atlas): Layer[] {
    if (picture.asOf || strength === 0) return [];
    const atlasProps = {
      // The types name an address or a texture only; the property takes any picture (deck.gl, "image" properties).
      iconAtlas: atlas.image as unknown as string,
      iconMapping: atlas.places as Record<string, (typeof atlas.places)[string]>,
    };
    const at = this.read?.at ?? null;
    const linked = this.linked(picture, alerts);
    return [
      new LineLayer<readonly [number, number]>({
        id: "incident-links",
        data: at === null ? [] : linked,
        getSourcePosition: () => (at === null ? [0, 0] : [at.lon, at.lat]),
        getTargetPosition: (p) => [...p],
        getColor: [...palette.SELECTED, 170],
        widthUnits: "pixels",
        getWidth: 1.4,
        updateTriggers: { getSourcePosition: at, getColor: palette.SELECTED },
      }),
      new ScatterplotLayer<readonly [number, number]>({
        id: "incident-linked",
        data: linked,
        getPosition: (p) => [...p],
        radiusUnits: "pixels",
        getRadius: iconPixels * 0.68,
        filled: false,
        stroked: true,
        lineWidthUnits: "pixels",
        getLineWidth: 2.4,
        getLineColor: [...palette.SELECTED, 255],
        updateTriggers: { getRadius: iconPixels, getLineColor: palette.SELECTED },
      }),
      new IconLayer<MapIncident>({
        id: "incidents",
        data: this.drawn(),
        opacity: strength,
        ...atlasProps,
        getIcon: (i) => `incident-${i.severity}-${i.state}`,
        getPosition: (i) => (i.at === null ? [0, 0] : [i.at.lon, i.at.lat]),
        getPixelOffset: [0, HANGS_PIXELS],
        getSize: MARK_PIXELS,
        sizeUnits: "pixels",
        pickable: true,
        alphaCutoff: 0.02,
      }),
      new IconLayer<MapIncident>({
        id: "incident-read",
        data: this.drawn().filter((i) => i === this.read),
        ...atlasProps,
        getIcon: () => "selected",
        getPosition: (i) => (i.at === null ? [0, 0] : [i.at.lon, i.at.lat]),
        getPixelOffset: [0, HANGS_PIXELS],
        getSize: MARK_PIXELS * 1.25,
        sizeUnits: "pixels",
      }),
    ];
  }

  /** Where the tracks and alerts are that the incident in reading is about, as far as this screen knows. */
  private linked(picture: Picture, alerts: readonly MapAlert[]): (readonly [number, number])[] {
    const { read } = this;
    if (read === null) return [];
    const tracks = new Set([...read.tracks, ...alerts.filter((a) => read.alerts.includes(a.alertId)).map((a) => a.trackId)]);
    const there = [...tracks].flatMap((id) => (id === null ? [] : [picture.byTrackId(id)])).filter((track) => track !== undefined);
    const without = alerts.filter((a) => read.alerts.includes(a.alertId) && (a.trackId === null || picture.byTrackId(a.trackId) === undefined));
    return [...there, ...without].map(({ lon, lat }) => [lon, lat] as const);
  }

  addLayers(map: MapLibre): void {
    map.addSource(SOURCE, { type: "geojson", data: { type: "FeatureCollection", features: [] } });
    for (const layer of labelLayers()) map.addLayer(layer);
  }

  repaint(map: MapLibre): void {
    repaint(map, labelLayers());
  }

  showLabels(map: MapLibre, { picture }: Pick<Known, "picture">): void {
    const features = (picture.asOf ? [] : this.drawn()).map(
      ({ at, number, title, severity, incidentId }): PointFeature => ({
        type: "Feature",
        properties: { number, label: `${number}\n${title}`, order: incidentId === this.readId ? -1 : WORST_LAST.length - WORST_LAST.indexOf(severity) },
        geometry: { type: "Point", coordinates: [at?.lon ?? 0, at?.lat ?? 0] },
      }),
    );
    setPoints(map, SOURCE, features);
  }
}

/** What the mark of an incident says beside the pointer. */
export function incidentLines({ title, state, severity, openTasks }: MapIncident): string[] {
  return [
    title,
    `${text(`map.severity.${severity}`)} · ${text(`incident.state.${state}`)}`,
    ...(openTasks === 0 ? [] : [text("incident.desk.tasks", { n: openTasks })]),
  ];
}

/** The icons of the states with their names, for the legend. */
export function incidentLegend(): (readonly [string, string])[] {
  return INCIDENT_STATES.slice(0, 4).map((state) => [`incident-high-${state}`, text(`incident.state.${state}`)]);
}

function labelLayers(): LayerSpecification[] {
  const size = 12;
  const below = (HANGS_PIXELS + (INCIDENT_TIP / 36) * MARK_PIXELS + 6) / size;
  return [
    {
      id: "incident-label",
      type: "symbol",
      source: SOURCE,
      layout: {
        "text-field": ["step", ["zoom"], ["get", "number"], TITLE_ZOOM, ["get", "label"]],
        "text-font": FONT,
        "text-size": size,
        "text-anchor": "top",
        "text-offset": [0, below],
        "text-max-width": 14,
        "text-line-height": 1.15,
        "symbol-sort-key": ["get", "order"],
      },
      paint: { "text-color": palette.css(palette.WHITE), "text-halo-color": palette.HALO, "text-halo-width": 1.8 },
    },
  ];
}
