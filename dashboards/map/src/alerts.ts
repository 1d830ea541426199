// The open alerts as the map draws them, from GET /api/alerts.
import type { Severity } from "./palette.js";

export interface MapAlert {
  readonly alertId: string;
  readonly trackId: string | null;
  readonly severity: Severity;
  readonly lon: number;
  readonly lat: number;
  readonly label: string;
  readonly acknowledged: boolean;
}

interface AlertJson {
  readonly alert_id: string;
  readonly track_id: string | null;
  readonly severity: Severity;
  readonly position: { readonly lon: number; readonly lat: number } | null;
  readonly subject_label: string;
  readonly acknowledged_at: string | null;
  readonly cleared_at: string | null;
}

export interface AlertsJson {
  readonly alerts: readonly AlertJson[];
}

const ORDER: readonly Severity[] = ["low", "medium", "high", "critical"];

/** The alerts that are not cleared and have a place, the worst last so that it is drawn on top. */
export function alertsToDraw(body: AlertsJson): MapAlert[] {
  const drawn = body.alerts.flatMap((row) =>
    row.cleared_at === null && row.position !== null
      ? [
          {
            alertId: row.alert_id,
            trackId: row.track_id,
            severity: row.severity,
            lon: row.position.lon,
            lat: row.position.lat,
            label: row.subject_label,
            acknowledged: row.acknowledged_at !== null,
          },
        ]
      : [],
  );
  const rank = (alert: MapAlert): number => ORDER.indexOf(alert.severity) + (alert.acknowledged ? -ORDER.length : 0);
  return drawn.sort((a, b) => rank(a) - rank(b));
}
