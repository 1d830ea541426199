/* Sound and notes for new alerts. It asks for the alerts itself when they change, so that neither a filter of the list
   nor another tab beside it keeps an alarm quiet. What is heard is set per severity and kept in this browser. */
(function () {
  "use strict";
  const ORDER = ["critical", "high", "medium", "low"];
  const REMIND_MS = 10000;
  const NOTE_MS = 8000;
  const MOST_NOTES = 4;
  const MOST_ASKED = 200;
  const LEAST_BETWEEN_MS = 2000;
  const KEPT = "alarm";
  // [frequency in Hz, start in s, length in s]: falling and hurried for the worst, one soft tone for the least
  const TONES = {
    critical: [[988, 0, 0.16], [740, 0.2, 0.16], [988, 0.4, 0.16], [740, 0.6, 0.16]],
    high: [[784, 0, 0.18], [784, 0.26, 0.18]],
    medium: [[587, 0, 0.2]],
    low: [[440, 0, 0.14]],
  };
  const state = { known: null, waiting: [], asked: false, due: false, remindAt: 0, audio: null,
    sounds: { critical: true, high: true, medium: false, low: false }, muted: false, ...kept() };
  const $ = (id) => document.getElementById(id);
  const t = (key, params) => window.mizugiwaPage.t(key, params);

  function kept() {
    try {
      const { sounds, muted } = JSON.parse(window.localStorage.getItem(KEPT)) || {};
      return { ...(sounds ? { sounds } : {}), muted: Boolean(muted) };
    } catch {
      return {};
    }
  }

  function keep() {
    window.localStorage.setItem(KEPT, JSON.stringify({ sounds: state.sounds, muted: state.muted }));
    show();
  }

  // ---- sound ------------------------------------------------------------------------------------------------
  function play(severity) {
    state.audio = state.audio || new AudioContext();
    if (state.audio.state !== "running") return show();
    for (const [hertz, from, length] of TONES[severity]) {
      const tone = state.audio.createOscillator();
      const gain = state.audio.createGain();
      const at = state.audio.currentTime + from;
      tone.frequency.value = hertz;
      tone.type = severity === "critical" ? "square" : "sine";
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(severity === "critical" ? 0.18 : 0.3, at + 0.02);
      gain.gain.linearRampToValueAtTime(0, at + length);
      tone.connect(gain).connect(state.audio.destination);
      tone.start(at);
      tone.stop(at + length + 0.02);
    }
    return undefined;
  }

  const heard = (severity) => !state.muted && state.sounds[severity];

  // A browser makes no sound on a page that nobody has touched yet: say so instead of being silent about it.
  function wake() {
    state.audio = state.audio || new AudioContext();
    if (state.audio.state === "suspended") state.audio.resume().then(show, show);
  }

  // What nobody has acknowledged is told again, the worst severity only.
  function remind() {
    if (performance.now() < state.remindAt || !state.waiting.some((a) => a.severity === "critical")) return;
    state.remindAt = performance.now() + REMIND_MS;
    if (heard("critical")) play("critical");
  }

  // ---- what is new ------------------------------------------------------------------------------------------
  async function ask() {
    if (state.asked) {
      state.due = true;
      return;
    }
    state.asked = true;
    try {
      const answer = await fetch(`/api/alerts?waiting=true&limit=${MOST_ASKED}`, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.ok) take((await answer.json()).alerts);
      else state.due = answer.status === 429 || answer.status >= 500; // asked too often, or away: ask again, lose none
    } catch (error) {
      if (!["TypeError", "TimeoutError", "AbortError"].includes(error.name)) throw error;
      state.due = true;
    } finally {
      setTimeout(() => {
        state.asked = false;
        if (state.due) { state.due = false; ask(); }
      }, LEAST_BETWEEN_MS);
    }
  }

  const rank = (severity) => (severity ? ORDER.indexOf(severity) : ORDER.length);

  // New, worse than it was, waiting again, or no longer silenced: all of these are news. A known one is kept in `known` while it waits.
  function take(alerts) {
    state.waiting = alerts.filter((a) => a.acknowledged_at === null && a.silenced === null);
    const ids = new Set(state.waiting.map((a) => a.alert_id));
    notes().filter((n) => !ids.has(n.dataset.note)).forEach((n) => n.remove());
    if (state.known !== null) {
      const fresh = state.waiting.filter((a) => rank(state.known.get(a.alert_id)) > rank(a.severity))
        .sort((a, b) => rank(a.severity) - rank(b.severity));
      fresh.slice().reverse().forEach(note);
      const worst = fresh.find((a) => heard(a.severity));
      if (worst) {
        play(worst.severity);
        state.remindAt = performance.now() + REMIND_MS;
      }
    }
    state.known = new Map(state.waiting.map((a) => [a.alert_id, a.severity]));
    show();
  }

  // ---- notes ------------------------------------------------------------------------------------------------
  function place() {
    let box = $("alarms");
    if (!box) {
      box = document.createElement("div");
      Object.assign(box, { id: "alarms", className: "alarms" });
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", t("alarm.notes"));
      $("shell").append(box);
    }
    return box;
  }

  const notes = () => [...document.querySelectorAll("#alarms [data-note]")];

  function make(tag, className, words) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (words) node.textContent = words;
    return node;
  }

  function note(alert) {
    const before = notes().find((n) => n.dataset.note === alert.alert_id);
    if (before) before.remove();
    const box = make("div", `note sev-${alert.severity}`);
    box.dataset.note = alert.alert_id;
    const words = make("button", "note-words");
    words.type = "button";
    words.title = t("alarm.open");
    words.append(make("span", `shape shape-${alert.severity}`), make("strong", "", `${t(`severity.${alert.severity}`)} ${alert.title}`),
      make("span", "subject", alert.subject_label), make("span", "place", alert.place));
    words.addEventListener("click", () => { open(alert); box.remove(); });
    const close = make("button", "note-close", "×");
    close.type = "button";
    close.title = t("alarm.dismiss");
    close.setAttribute("aria-label", t("alarm.dismiss"));
    close.addEventListener("click", () => box.remove());
    box.append(words, close);
    place().prepend(box);
    notes().filter((n) => !n.classList.contains("sev-critical")).slice(MOST_NOTES).forEach((n) => n.remove());
    if (alert.severity !== "critical") setTimeout(() => { if (!box.matches(":hover, :focus-within")) box.remove(); }, NOTE_MS);
  }

  function open(alert) {
    const { setProps } = window.mizugiwaPage;
    setProps("map-selected", { data: { alert_id: alert.alert_id, track_id: alert.track_id } });
    if (alert.position) setProps("map-focus", { data: { ...alert.position, zoom: 10 } });
  }

  // ---- settings ---------------------------------------------------------------------------------------------
  function show() {
    const summary = $("sound-state");
    if (!summary) return;
    const asleep = state.audio ? state.audio.state !== "running" : !navigator.userActivation.hasBeenActive;
    const on = !state.muted && ORDER.some((s) => state.sounds[s]);
    const words = t(!on ? "alarm.off" : asleep ? "alarm.asleep" : "alarm.on");
    if (summary.textContent !== words) summary.textContent = words;
    summary.closest(".sound").dataset.sound = !on ? "off" : asleep ? "asleep" : "on";
    const box = $("sound-settings");
    if (!box.childElementCount) settings(box);
    box.querySelectorAll("input").forEach((i) => { i.checked = i.dataset.sound === "muted" ? state.muted : state.sounds[i.dataset.sound]; });
  }

  function settings(box) {
    const row = (key, words, shape) => {
      const label = make("label");
      const input = make("input");
      input.type = "checkbox";
      input.dataset.sound = key;
      input.addEventListener("change", () => {
        if (key === "muted") state.muted = input.checked;
        else state.sounds = { ...state.sounds, [key]: input.checked };
        keep();
      });
      label.append(input, ...(shape ? [make("span", `shape shape-${key}`)] : []), words);
      return label;
    };
    for (const severity of ORDER) {
      const line = make("div", `sev-${severity}`);
      const listen = make("button", "", t("alarm.listen"));
      listen.type = "button";
      listen.addEventListener("click", () => { wake(); state.audio.resume().then(() => play(severity)); });
      line.append(row(severity, t(`severity.${severity}`), true), listen);
      box.append(line);
    }
    box.append(row("muted", t("alarm.mute")), make("p", "", t("alarm.help")));
  }

  document.addEventListener("mizugiwa:alerts", () => { show(); ask(); });
  document.addEventListener("mizugiwa:mute", () => {
    state.muted = !state.muted;
    keep();
  });
  for (const touch of ["keydown", "pointerdown"]) document.addEventListener(touch, wake, { passive: true });
  setInterval(remind, 500);
})();
