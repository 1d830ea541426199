// The connection to /ws/tracks. It comes back for ever, and silence counts as a lost connection: the server ticks
// about three times a second.
import type { GroupCounts } from "./groups.js";
import { decodeFrame, type Frame } from "./protocol.js";

export type Connection = "connecting" | "connected" | "lost" | "signed_out";

/** What the server tells of when somebody changed it, to be read by REST. */
const TOPICS = ["areas", "facilities", "alerts", "incidents", "notes"] as const;
export type Topic = (typeof TOPICS)[number];

export interface View {
  readonly bbox: readonly [number, number, number, number];
  readonly zoom: number;
  /** Groups of tracks that cells do not count. */
  readonly hide: readonly string[];
}

/** What is open on a screen. key: an id, or the slug of an area. */
export interface Looking {
  readonly kind: "alert" | "incident" | "track" | "area";
  readonly key: string;
  readonly editing: boolean;
}

/** Somebody on watch. */
export interface Present {
  readonly id: string;
  readonly login: string;
  readonly name: string;
  readonly at: readonly Looking[];
}

export interface FeedListener {
  opened(): void;
  frame(frame: Frame): void;
  names(rows: readonly (readonly [number, string, string])[]): void;
  changed(what: Topic): void;
  /** At a low zoom, where the server counts by cells. */
  counts(counts: GroupCounts): void;
  /** Who is on watch; more: how many besides. */
  present(people: readonly Present[], more: number): void;
  connection(state: Connection): void;
  refused(reason: string): void;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const SILENCE_MS = 5_000;
const LATE_MS = 500;
const LOOKING_EVERY_MS = 10_000;
const SIGNED_OUT_CODES = new Set([1008, 4401]);

export class Feed {
  private socket: WebSocket | null = null;
  private view: View | null = null;
  private asOfMs: number | null = null;
  private looking: Looking | null = null;
  private lookingSaidMs = -Infinity;
  private attempts = 0;
  private retryTimer: number | undefined;
  private silenceTimer: number | undefined;
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly listener: FeedListener,
  ) {}

  open(): void {
    this.listener.connection(this.attempts === 0 ? "connecting" : "lost");
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.expectSound();
    socket.onopen = () => {
      this.attempts = 0;
      this.listener.opened();
      this.listener.connection("connected");
      this.sendView();
      this.sendLooking();
      if (this.asOfMs !== null) this.send({ type: "as_of", at_ms: this.asOfMs });
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      this.expectSound();
      this.take(event.data);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.lost(event.code);
    };
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.retryTimer);
    window.clearTimeout(this.silenceTimer);
    this.socket?.close();
  }

  show(view: View): void {
    this.view = view;
    this.sendView();
  }

  /** The picture at a time of the realm, or the live one again. */
  asOf(ms: number | null): void {
    this.asOfMs = ms;
    this.send(ms === null ? { type: "live" } : { type: "as_of", at_ms: ms });
  }

  /** What this screen has open, for the others to see. */
  look(at: Looking | null): void {
    this.looking = at;
    this.sendLooking();
  }

  private sendLooking(): void {
    this.lookingSaidMs = performance.now();
    this.send({ type: "looking", at: this.looking });
  }

  private sendView(): void {
    if (this.view !== null) this.send({ type: "view", ...this.view });
  }

  private send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private take(data: ArrayBuffer | string): void {
    // here and not by a timer, which a browser slows down on a page that nobody sees: the server's ticks go on
    if (performance.now() - this.lookingSaidMs > LOOKING_EVERY_MS) this.sendLooking();
    try {
      if (typeof data !== "string") {
        this.listener.frame(decodeFrame(data));
        return;
      }
      const message = JSON.parse(data) as { type: string; tracks?: [number, string, string][]; detail?: string; people?: Present[]; more?: number } & GroupCounts;
      const topic = TOPICS.find((known) => known === message.type);
      if (message.type === "names") this.listener.names(message.tracks ?? []);
      else if (message.type === "counts") this.listener.counts({ of: message.of, hidden: message.hidden, kept: message.kept });
      else if (topic !== undefined) this.listener.changed(topic);
      else if (message.type === "presence") this.listener.present(message.people ?? [], message.more ?? 0);
      else if (message.type === "error") this.listener.refused(message.detail ?? data);
    } catch (error) {
      this.listener.refused(error instanceof Error ? error.message : String(error));
    }
  }

  private expectSound(): void {
    window.clearTimeout(this.silenceTimer);
    const due = performance.now() + SILENCE_MS;
    this.silenceTimer = window.setTimeout(() => {
      // A busy page runs this late, and what the server said meanwhile is still waiting behind it.
      if (performance.now() - due > LATE_MS) {
        this.expectSound();
        return;
      }
      const silent = this.socket;
      this.lost(0);
      silent?.close();
    }, SILENCE_MS);
  }

  private lost(code: number): void {
    this.socket = null;
    window.clearTimeout(this.silenceTimer);
    if (this.closed) return;
    if (SIGNED_OUT_CODES.has(code)) {
      this.listener.connection("signed_out");
      return;
    }
    this.listener.connection("lost");
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.attempts);
    this.attempts += 1;
    // Half to all of the wait, so that the screens of a whole centre do not come back in one instant.
    this.retryTimer = window.setTimeout(() => this.open(), wait * (0.5 + Math.random() / 2));
  }
}
