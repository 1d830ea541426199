// The marks that people and rules put on the map: alerts, incidents, the frame around what is selected. Each in 36 units
// around (0, 0).
import * as palette from "./palette.js";
import { severityShape } from "./shapes.js";

/** As in the server's command/domain/incident.py. */
export const INCIDENT_STATES = ["open", "responding", "monitoring", "transferred", "closed", "merged"] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];

export function drawAlert(context: CanvasRenderingContext2D, severity: palette.Severity, hollow: boolean): void {
  const shape = severityShape(severity);
  const colour = palette.SEVERITY[severity];
  context.save();
  context.lineJoin = "round";
  context.strokeStyle = palette.css(palette.INK);
  context.lineWidth = 6;
  context.stroke(shape);
  context.fillStyle = hollow ? palette.css(palette.INK, 0.85) : palette.css(colour);
  context.fill(shape);
  context.strokeStyle = hollow ? palette.css(colour, 0.8) : palette.css(palette.WHITE);
  context.lineWidth = hollow ? 2 : 1.4;
  context.stroke(shape);
  if (severity === "critical" && !hollow) {
    context.fillStyle = palette.css(palette.ON_CRITICAL);
    context.fillRect(-1.3, -4, 2.6, 7);
    context.fillRect(-1.3, 4.6, 2.6, 2.6);
  }
  context.restore();
}

/** How far above the middle of an incident's plate its tip is, which stands where the incident is; units of 36. */
export const INCIDENT_TIP = 14;

/** A plate that hangs by its tip, with the severity's shape upon it. Taken up: shape upon a dark plate. Responding: dark
 * shape upon a plate of its colour. Monitoring: outlines. With another authority: its rim is dashed. Over: faint. */
export function drawIncident(context: CanvasRenderingContext2D, severity: palette.Severity, state: IncidentState): void {
  const colour = palette.SEVERITY[severity];
  const filled = state === "responding";
  const over = state === "closed" || state === "merged";
  const plate = new Path2D("M0-14 5-8.5H9.5A2 2 0 0 1 11.5-6.5V11A2 2 0 0 1 9.5 13H-9.5A2 2 0 0 1-11.5 11V-6.5A2 2 0 0 1-9.5-8.5H-5Z");
  context.save();
  context.globalAlpha = over ? 0.5 : 1;
  context.lineJoin = "round";
  context.strokeStyle = palette.css(palette.INK);
  context.lineWidth = 4.5;
  context.stroke(plate);
  context.fillStyle = filled ? palette.css(colour) : palette.css(palette.INK, 0.94);
  context.fill(plate);
  context.strokeStyle = palette.css(colour);
  context.lineWidth = 1.8;
  if (state === "transferred") context.setLineDash([3, 2.2]);
  context.stroke(plate);
  context.setLineDash([]);
  const shape = new Path2D();
  shape.addPath(severityShape(severity), new DOMMatrix([0.58, 0, 0, 0.58, 0, 2.4]));
  if (filled || state === "open") {
    context.fillStyle = palette.css(filled ? palette.INK : colour);
    context.fill(shape);
  } else {
    context.lineWidth = 1.6;
    context.stroke(shape);
  }
  context.restore();
}

/** The four corners of a frame around what is selected. */
export function drawSelected(context: CanvasRenderingContext2D): void {
  context.save();
  for (const [colour, width] of [[palette.css(palette.INK), 4.5], [palette.css(palette.SELECTED), 2]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    for (const [sx, sy] of [[1, 1], [1, -1], [-1, 1], [-1, -1]] as const) {
      context.beginPath();
      context.moveTo(sx * 15.5, sy * 8.5);
      context.lineTo(sx * 15.5, sy * 15.5);
      context.lineTo(sx * 8.5, sy * 15.5);
      context.stroke();
    }
  }
  context.restore();
}

/** An arrow up from the middle; layers.ts turns it. */
export function drawHeading(context: CanvasRenderingContext2D): void {
  const staff = new Path2D("M0-5V-13");
  const head = new Path2D("M0-17.2-2.6-12.6H2.6Z");
  context.save();
  context.lineJoin = "round";
  context.strokeStyle = palette.css(palette.INK);
  context.lineWidth = 2.6;
  context.stroke(staff);
  context.stroke(head);
  context.fillStyle = context.strokeStyle = palette.css(palette.WHITE);
  context.lineWidth = 1;
  context.stroke(staff);
  context.fill(head);
  context.restore();
}

/** A sheet with a folded corner and lines upon it. */
export function drawNote(context: CanvasRenderingContext2D): void {
  const sheet = new Path2D("M-8-10H4L9-5V10H-8Z");
  const inside = new Path2D("M4-10V-5H9M-4.5-1H5.5M-4.5 2.5H5.5M-4.5 6H2");
  context.save();
  context.lineJoin = "round";
  context.strokeStyle = palette.css(palette.INK);
  context.lineWidth = 4;
  context.stroke(sheet);
  context.fillStyle = palette.css(palette.WHITE);
  context.fill(sheet);
  context.lineWidth = 1.4;
  context.stroke(inside);
  context.restore();
}
