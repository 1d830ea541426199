// The shapes of the symbols, each in a square of 32 units around (0, 0), its bow up. Pure drawing.
import { SubjectKind } from "./protocol.js";

/** Adds the outline of a kind to the path. `line` is what is stroked only (rotors, a mast), in the same colour. */
export interface Shape {
  readonly body: Path2D;
  readonly line?: Path2D;
  readonly turns: boolean;
}

function polygon(...points: readonly (readonly [number, number])[]): Path2D {
  const path = new Path2D();
  points.forEach(([x, y], i) => (i === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
  path.closePath();
  return path;
}

function circle(x: number, y: number, radius: number): Path2D {
  const path = new Path2D();
  path.arc(x, y, radius, 0, 2 * Math.PI);
  return path;
}

function strokes(...lines: readonly (readonly [number, number, number, number])[]): Path2D {
  const path = new Path2D();
  for (const [x1, y1, x2, y2] of lines) {
    path.moveTo(x1, y1);
    path.lineTo(x2, y2);
  }
  return path;
}

/** A hull seen from above: pointed bow, square stern. */
function vessel(): Shape {
  return { body: polygon([0, -12], [5.5, -3], [5.5, 9], [0, 6.5], [-5.5, 9], [-5.5, -3]), turns: true };
}

/** A hull of which neither course nor heading is known: a circle points nowhere. */
function vesselWithoutCourse(): Shape {
  return { body: circle(0, 0, 6.5), turns: false };
}

function aircraft(): Shape {
  return {
    body: polygon(
      [0, -12], [1.8, -8], [1.8, -3], [11, 3], [11, 5.5], [1.8, 3], [1.4, 8], [4.5, 10.5], [4.5, 12],
      [0, 11], [-4.5, 12], [-4.5, 10.5], [-1.4, 8], [-1.8, 3], [-11, 5.5], [-11, 3], [-1.8, -3], [-1.8, -8],
    ),
    turns: true,
  };
}

function airDrone(): Shape {
  const body = new Path2D();
  for (const [x, y] of [[-7.5, -7.5], [7.5, -7.5], [7.5, 7.5], [-7.5, 7.5]] as const) body.addPath(circle(x, y, 4.2));
  body.addPath(polygon([0, -7], [4, 3], [-4, 3]));
  return { body, line: strokes([-7, -7, 7, 7], [7, -7, -7, 7]), turns: true };
}

/** A hull below its water line. */
function underwaterDrone(): Shape {
  const body = new Path2D();
  body.arc(0, 0, 8.5, 0, Math.PI);
  body.closePath();
  return { body, line: strokes([-12, 0, 12, 0], [0, 0, 0, -8], [0, -8, 5, -8]), turns: false };
}

function surfaceDrone(): Shape {
  return {
    body: polygon([0, -11], [6, 9], [-6, 9]),
    line: strokes([-10, 9, 10, 9]),
    turns: true,
  };
}

function aidToNavigation(): Shape {
  return { body: polygon([0, -9], [8, 0], [0, 9], [-8, 0]), line: strokes([-4, 0, 4, 0], [0, -4, 0, 4]), turns: false };
}

function baseStation(): Shape {
  return { body: polygon([-6.5, -2], [6.5, -2], [6.5, 9], [-6.5, 9]), line: strokes([0, -2, 0, -12], [-5, -12, 5, -12]), turns: false };
}

function groundStation(): Shape {
  return { body: polygon([-7.5, -7.5], [7.5, -7.5], [7.5, 7.5], [-7.5, 7.5]), turns: false };
}

function distressBeacon(): Shape {
  return { body: circle(0, 0, 10), line: strokes([-5, -5, 5, 5], [5, -5, -5, 5]), turns: false };
}

/** The quatrefoil of a contact that nobody knows (MIL-STD-2525D, frame of the identity "unknown"). */
function unknownContact(): Shape {
  const path = new Path2D();
  path.moveTo(-5.2, -5.2);
  path.arc(0, -5.2, 5.2, Math.PI, 0);
  path.arc(5.2, 0, 5.2, -Math.PI / 2, Math.PI / 2);
  path.arc(0, 5.2, 5.2, 0, Math.PI);
  path.arc(-5.2, 0, 5.2, Math.PI / 2, -Math.PI / 2);
  path.closePath();
  return { body: path, turns: false };
}

export function shapeOf(kind: number, courseKnown: boolean): Shape {
  switch (kind) {
    case SubjectKind.VESSEL:
      return courseKnown ? vessel() : vesselWithoutCourse();
    case SubjectKind.AIRCRAFT:
      return courseKnown ? aircraft() : { ...aircraft(), turns: false };
    case SubjectKind.AIR_DRONE:
      return airDrone();
    case SubjectKind.UNDERWATER_DRONE:
      return underwaterDrone();
    case SubjectKind.SURFACE_DRONE:
      return surfaceDrone();
    case SubjectKind.AID_TO_NAVIGATION:
      return aidToNavigation();
    case SubjectKind.BASE_STATION:
      return baseStation();
    case SubjectKind.GROUND_STATION:
      return groundStation();
    case SubjectKind.DISTRESS_BEACON:
      return distressBeacon();
    default:
      return unknownContact();
  }
}

/** ▲ ◆ ■ ●: the shape of a severity, the same as in the triage list. */
export function severityShape(severity: string): Path2D {
  switch (severity) {
    case "critical":
      return polygon([0, -11], [11, 9], [-11, 9]);
    case "high":
      return polygon([0, -11.5], [11.5, 0], [0, 11.5], [-11.5, 0]);
    case "medium":
      return polygon([-9, -9], [9, -9], [9, 9], [-9, 9]);
    default:
      return circle(0, 0, 9.5);
  }
}
