// The picture as it was: a time to look at, by steps, by a slider over the last day, by a date and time, or let run.
import { element, put } from "./furniture.js";
import { age, text } from "./texts.js";
import { clockTime } from "./units.js";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const JST_MS = 9 * 3_600_000;
const STEPS_MIN = [-60, -10, -1, 1, 10, 60] as const;
const SPEEDS = [10, 60] as const;
const RUN_EVERY_MS = 1_000;

export interface PastHost {
  /** The realm's now in unix milliseconds; null before the server has told it. */
  nowMs(): number | null;
  /** Show the picture of a time, or the live one again. */
  asOf(ms: number | null): void;
  changed(active: boolean): void;
  say(words: string): void;
}

export class PastPanel {
  private readonly panel: HTMLElement;
  private atMs: number | null = null;
  private speed = 0;
  private timer: number | undefined;
  private time: HTMLElement | null = null;
  private slider: HTMLInputElement | null = null;
  private date: HTMLInputElement | null = null;
  private speeds: HTMLButtonElement[] = [];

  constructor(
    private readonly map: HTMLElement,
    parent: HTMLElement,
    private readonly host: PastHost,
  ) {
    this.panel = element("section", "mz-panel mz-past", parent);
    this.panel.hidden = true;
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // it ends what has the focus, not the selection too
      this.end();
    });
  }

  get active(): boolean {
    return !this.panel.hidden;
  }

  /** Open it with the focus on the step of an hour back, or go back to the live picture. */
  toggle(): void {
    if (this.active) this.end();
    else this.begin();
  }

  end(): void {
    if (!this.active) return;
    this.stop();
    this.panel.hidden = true;
    this.panel.replaceChildren();
    if (this.atMs !== null) {
      this.atMs = null;
      this.host.asOf(null);
      this.host.say(text("map.past.live_again"));
    }
    this.host.changed(false);
    this.map.focus({ preventScroll: true });
  }

  /** Another language, if it is open. */
  retell(): void {
    if (this.active) this.render();
  }

  private begin(): void {
    if (this.host.nowMs() === null) {
      this.host.say(text("map.past.not_yet"));
      return;
    }
    this.panel.hidden = false;
    this.render();
    this.host.changed(true);
    this.panel.querySelector<HTMLElement>("button")?.focus();
  }

  private render(): void {
    this.panel.replaceChildren();
    this.panel.setAttribute("aria-label", text("map.past.title"));
    const head = element("div", "mz-past-head", this.panel);
    element("h3", "", head).textContent = text("map.past.title");
    this.time = element("strong", "", head);
    this.time.setAttribute("role", "status");
    const steps = element("div", "mz-buttons", this.panel);
    for (const minutes of STEPS_MIN) {
      const hours = Math.abs(minutes) >= 60;
      const n = `${minutes < 0 ? "−" : "+"}${hours ? Math.abs(minutes) / 60 : Math.abs(minutes)}`;
      this.button(steps, text(hours ? "map.past.hours" : "map.past.minutes", { n }), () => this.stepBy(minutes * MINUTE_MS));
    }
    this.speeds = SPEEDS.map((speed) => this.button(steps, text("map.past.run", { n: speed }), () => this.run(speed)));
    this.slider = element("input", "", this.panel);
    Object.assign(this.slider, { type: "range", min: String(-DAY_MS / MINUTE_MS), max: "0", step: "1" });
    this.slider.setAttribute("aria-label", text("map.past.slider"));
    this.slider.addEventListener("input", () => this.goTo(this.now() + Number(this.slider?.value) * MINUTE_MS));
    const last = element("div", "mz-buttons", this.panel);
    const label = element("label", "", last);
    element("span", "", label).textContent = text("map.past.date");
    this.date = element("input", "", label);
    Object.assign(this.date, { type: "datetime-local", step: "60" });
    this.date.addEventListener("change", () => this.goToDate());
    this.button(last, text("map.past.end"), () => this.end()).className = "mz-past-end";
    this.show();
  }

  private button(parent: HTMLElement, words: string, pressed: () => void): HTMLButtonElement {
    const made = element("button", "", parent);
    made.type = "button";
    made.textContent = words;
    made.addEventListener("click", pressed);
    return made;
  }

  private now(): number {
    return this.host.nowMs() ?? Date.now();
  }

  private stepBy(ms: number): void {
    this.stop();
    this.goTo((this.atMs ?? this.now()) + ms);
  }

  private goToDate(): void {
    const written = this.date?.value ?? "";
    const ms = Date.parse(`${written}:00Z`) - JST_MS;
    this.stop();
    if (Number.isNaN(ms)) return;
    this.goTo(ms);
  }

  /** The picture of that time; what has not happened yet is the live one. */
  private goTo(ms: number): void {
    const live = ms >= this.now();
    if (live) this.stop();
    const atMs = live ? null : ms;
    if (atMs !== this.atMs) {
      this.atMs = atMs;
      this.host.asOf(atMs);
    }
    this.show();
  }

  private run(speed: number): void {
    const again = this.speed === speed;
    this.stop();
    if (!again && this.atMs !== null) {
      this.speed = speed;
      this.timer = window.setInterval(() => this.goTo((this.atMs ?? this.now()) + speed * RUN_EVERY_MS), RUN_EVERY_MS);
    }
    this.show();
  }

  private stop(): void {
    window.clearInterval(this.timer);
    this.timer = undefined;
    this.speed = 0;
    this.show();
  }

  private show(): void {
    const { atMs } = this;
    const backMs = atMs === null ? 0 : this.now() - atMs;
    if (this.time !== null) {
      put(this.time, atMs === null ? text("map.past.now") : `${clockTime(atMs)} · ${text("map.ago", { age: age(backMs / 1_000) })}`);
    }
    if (this.slider !== null) {
      this.slider.value = String(Math.round(-backMs / MINUTE_MS));
      this.slider.setAttribute("aria-valuetext", this.time?.textContent ?? "");
    }
    if (this.date !== null && document.activeElement !== this.date) {
      this.date.value = new Date((atMs ?? this.now()) + JST_MS).toISOString().slice(0, 16);
    }
    this.speeds.forEach((each, i) => {
      each.disabled = atMs === null;
      each.setAttribute("aria-pressed", String(this.speed === SPEEDS[i]));
    });
  }
}
