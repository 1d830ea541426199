/* The console's own script: what must answer at once (keys, clocks, selection, acknowledging) and what must keep
   telling the truth when the server is silent. */
(function () {
  "use strict";
  const PULSE_EVERY_MS = 1000;
  const BEAT_EVERY = 2;
  const FOLLOWS = ["detail", "list"];  // what on the right changes with time; the server is not asked for the rest
  const SILENT_AFTER_S = 6;
  const ACTIVE_EVERY_MS = 60000;
  const TOAST_MS = 4000;
  const JST_MS = 9 * 3600 * 1000;
  const state = {
    may: {}, beat: 0, pulse: null, pulseAt: 0, selected: null, track: null, group: null, after: null, chosen: new Set(), known: null, unread: 0,
    anchor: null, reading: false, activeAt: 0, side: "closed", toastTimer: 0, searchTimer: 0,
  };
  // What other scripts of the page add: what Escape closes first, what a click may mean, and the list that J and K go
  // through instead of the alerts.
  const more = { keys: {}, escapes: [], clicks: [], list: null };
  const $ = (id) => document.getElementById(id);
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);
  const t = (key, params) =>
    Object.entries(params || {}).reduce((s, [k, v]) => s.split(`{${k}}`).join(v), (window.mizugiwaTexts || {})[key] || key)
      .replace(/\{key_(\w+)\}/g, (_, act) => window.mizugiwaKeys.hint(act));
  const pad = (n) => String(n).padStart(2, "0");
  const put = (node, words) => { if (node && node.textContent !== words) node.textContent = words; };

  window.mizugiwaPage = { t, setProps, toast };

  // ---- time -------------------------------------------------------------------------------------------------
  const realmNow = () =>
    state.pulse ? state.pulse.realm_now_ms + (performance.now() - state.pulseAt) * state.pulse.speed : null;

  function jst(ms) {
    const d = new Date(ms + JST_MS);
    return `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ` +
      `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())} JST`;
  }

  function utc(ms) {
    const d = new Date(ms);
    return `(${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}Z)`;
  }

  function span(s, of) {
    if (s < 60) return t(`${of}_s`, { n: s });
    if (s < 3600) return t(`${of}_min`, { n: Math.floor(s / 60) });
    if (s < 172800) return t(`${of}_h`, { n: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) });
    return t(`${of}_d`, { n: Math.floor(s / 86400) });
  }

  const age = (seconds) => (seconds < 0 ? t("console.ahead") : span(Math.floor(seconds), "console.ago"));

  function tick() {
    const now = realmNow();
    if (now === null) return;
    put($("clock-jst"), jst(now));
    put($("clock-utc"), utc(now));
    const newest = state.pulse.newest_ms;
    put($("data-age"), newest === null ? t("console.no_data_yet") : age((now - newest) / 1000));
    const fact = $("data-age") && $("data-age").closest(".fact");
    if (fact) fact.dataset.late = newest !== null && now - newest > 60000 * Math.max(1, state.pulse.speed) ? "true" : "";
    put($("track-count"), String(state.pulse.tracks));
    put($("watch-holder"), state.pulse.watch.words);
    if ($("watch-fact")) $("watch-fact").dataset.state = state.pulse.watch.state;
    document.querySelectorAll("[data-age-of]").forEach((n) => put(n, age((now - Number(n.dataset.ageOf)) / 1000)));
    trouble(now);
  }

  function trouble(now) {
    const silent = (performance.now() - state.pulseAt) / 1000;
    const shown = state.pulse.newest_ms === null ? jst(now) : jst(state.pulse.newest_ms);
    let words = "";
    if (silent > SILENT_AFTER_S) {
      words = t("console.server_away", { age: span(Math.floor(silent), "console.for"), time: shown });
    } else if (!state.pulse.store.connected) {
      words = t("console.database_away", { age: span(Math.max(0, Math.floor((Date.now() - state.pulse.store.since_ms) / 1000)), "console.for"), time: shown });
    }
    if (!words && state.pulse.watch.state === "unmanned") words = t("watch.nobody_on_duty");
    const box = $("trouble");
    if (!box) return;
    put(box, words);
    box.hidden = !words;
    document.body.dataset.trouble = words ? "true" : "";
  }

  // One question after the other: a slow server is asked less often, never more.
  async function pulse() {
    try {
      const answer = await fetch("/api/pulse", { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status === 401) {
        window.location.assign(`/login?ended=1${window.location.hash}`);
        return;
      }
      if (answer.ok) heard(await answer.json());
    } catch (error) {
      if (!["TypeError", "TimeoutError", "AbortError"].includes(error.name)) throw error;
    } finally {
      setTimeout(pulse, PULSE_EVERY_MS);
    }
  }

  function heard(answer) {
    const before = state.pulse;
    state.pulse = answer;
    state.pulseAt = performance.now();
    if (!before || before.alerts_revision !== answer.alerts_revision) {
      setProps("alerts-revision", { data: answer.alerts_revision });
      document.dispatchEvent(new CustomEvent("mizugiwa:alerts"));
    }
    if (state.may.read_incidents && (!before || before.incidents_revision !== answer.incidents_revision)) setProps("incidents-revision", { data: answer.incidents_revision });
    state.beat += 1;
    if (state.beat % BEAT_EVERY === 0) {
      setProps("beat", { data: state.beat });
      if (FOLLOWS.includes(state.side)) setProps("side-beat", { data: state.beat });
    }
    tick();
  }

  // ---- server -----------------------------------------------------------------------------------------------
  function csrf() {
    const found = document.cookie.split("; ").find((c) => c.startsWith("_csrf_token="));
    return found ? decodeURIComponent(found.slice("_csrf_token=".length)) : "";
  }

  const post = (path, body, type, { method = "POST", headers = {} } = {}) =>
    fetch(path, {
      method, redirect: "manual", body,
      headers: { "X-CSRFToken": csrf(), ...(type ? { "Content-Type": type } : {}), ...headers },
    });

  function active() {
    const now = Date.now();
    if (now - state.activeAt < ACTIVE_EVERY_MS) return;
    state.activeAt = now;
    post("/api/session/active").catch(() => undefined);
  }

  // ---- alerts -----------------------------------------------------------------------------------------------
  const rows = () => [...document.querySelectorAll("#alert-list [data-alert]")];
  const rowOf = (id) => rows().find((r) => r.dataset.alert === id);
  // What J and K stop at: alerts, and groups whose alerts are folded away.
  const options = () => [...document.querySelectorAll("#alert-list [role=option]")];
  const option = () => (state.group !== null && options().find((o) => o.dataset.group === state.group)) || (state.selected && rowOf(state.selected)) || null;

  function remember() {
    const list = $("alert-list");
    if (!list) return;
    const selected = option();
    const top = list.getBoundingClientRect().top;
    const held = selected || rows().find((r) => r.getBoundingClientRect().bottom > top);
    state.anchor = held ? { id: held.id, at: held.getBoundingClientRect().top - top } : null;
  }

  // The officer is reading: something is selected, scrolled to, pointed at or focused. Then nothing may move.
  function reading() {
    const list = $("alert-list");
    return Boolean(option() || state.chosen.size || (list && (list.scrollTop > 0 || list.matches(":hover") || list.contains(document.activeElement))));
  }

  function changed() {
    const list = $("alert-list");
    if (!list) return;
    const all = rows();
    const ids = new Set(all.map((r) => r.dataset.alert));
    const fresh = state.known === null ? [] : all.filter((r) => !state.known.has(r.dataset.alert) && r.dataset.waiting === "true");
    if (state.known === null && !all.length && !$("alert-note").children.length) return;
    state.known = new Set([...(state.known || []), ...ids]);
    window.mizugiwaTriage.changed();
    mark();
    if (state.anchor && reading()) {
      const held = $(state.anchor.id);
      if (held) list.scrollTop += held.getBoundingClientRect().top - list.getBoundingClientRect().top - state.anchor.at;
      const top = list.getBoundingClientRect().top;
      state.unread += fresh.filter((r) => r.getBoundingClientRect().bottom <= top).length;
    }
    unread();
    remember();
    const critical = fresh.find((r) => r.dataset.severity === "critical");
    if (critical) put($("announce"), t("triage.new_critical", { what: critical.dataset.what }));
    fresh.forEach((r) => { r.classList.add("fresh"); setTimeout(() => r.classList.remove("fresh"), 6000); });
    tick();
  }

  function unread() {
    const button = $("new-above");
    const list = $("alert-list");
    if (!button || !list) return;
    if (list.scrollTop <= 0) state.unread = 0;
    button.hidden = !state.unread;
    put(button, t("triage.new_above", { n: state.unread }));
  }

  function mark() {
    const list = $("alert-list");
    if (!list) return;
    const row = option();
    options().forEach((o) => {
      const chosen = state.chosen.size ? state.chosen.has(o.dataset.alert) : o === row && o.dataset.alert !== undefined;
      o.setAttribute("aria-selected", String(chosen));
      o.classList.toggle("current", o === row);
    });
    if (row) list.setAttribute("aria-activedescendant", row.id);
    else list.removeAttribute("aria-activedescendant");
  }

  function select(row, { show = false } = {}) {
    state.group = null;
    state.selected = row.dataset.alert;
    state.track = row.dataset.track || null;
    mark();
    row.scrollIntoView({ block: "nearest" });
    remember();
    setProps("map-selected", { data: { alert_id: row.dataset.alert, track_id: row.dataset.track || null } });
    side("detail");
    if (show) showRow(row);
  }

  function showRow(row) {
    if (row.dataset.lon) setProps("map-focus", { data: { lon: Number(row.dataset.lon), lat: Number(row.dataset.lat), zoom: 10 } });
  }

  function move(by) {
    const all = options();
    if (!all.length) return;
    const at = all.indexOf(option());
    const then = by > 0 && following();
    state.after = null;
    if (then) go(then);
    else go(all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))]);
    $("alert-list").focus({ preventScroll: true });
  }

  // What was done to the current alert may put it elsewhere in the list, under the officer's hands: the next one is still
  // the one that came after it where it was.
  function acted(ids) {
    const all = rows();
    const at = all.findIndex((r) => r.dataset.alert === state.selected);
    state.after = at < 0 || !ids.includes(state.selected) ? null : { of: state.selected, then: all.slice(at + 1).map((r) => r.dataset.alert) };
  }

  function following() {
    if (!state.after || state.after.of !== state.selected) return null;
    return state.after.then.map(rowOf).find((r) => r && r.dataset.waiting === "true");
  }

  function go(to) {
    if (to.dataset.alert) return select(to);
    state.group = to.dataset.group;
    mark();
    to.scrollIntoView({ block: "nearest" });
    return remember();
  }

  function clear() {
    state.selected = state.track = state.group = null;
    mark();
    setProps("map-selected", { data: null });
    side("closed");
  }

  function toast(words) {
    const box = $("toast");
    put(box, words);
    box.classList.add("shown");
    clearTimeout(state.toastTimer);
    state.toastTimer = setTimeout(() => box.classList.remove("shown"), TOAST_MS);
  }

  // ---- the rest of the page ---------------------------------------------------------------------------------
  function side(which) {
    if (state.side === which) return;
    state.side = which;
    $("shell").dataset.side = which;
    if (which === "closed" && window.mizugiwaMap) window.mizugiwaMap.openIncident(null);
    setProps("side", { data: which });
  }

  const openModal = () => document.querySelector(".mantine-Modal-content");

  const step = (by) => (more.list || { move }).move(by);

  // By what the table of keys calls an act (command/operations/console_keys.py).
  const keys = {
    next: () => step(1), previous: () => step(-1), help: () => setProps("help-modal", { opened: true }),
    health: () => setProps("health-modal", { opened: true }),
    list: () => side(state.side === "list" ? "closed" : "list"),
    areas: () => side(state.side === "areas" ? "closed" : "areas"),
    search: () => { side("list"); setTimeout(() => $("track-search").focus(), 50); },
    sound: () => document.dispatchEvent(new CustomEvent("mizugiwa:mute")),
    home: () => window.mizugiwaMap && window.mizugiwaMap.home(),
  };

  // What a key does, here or in another script; an answer of false means that it does nothing just now.
  function added(event) {
    const name = window.mizugiwaKeys.act(event) || (event.key.length > 1 ? event.key.toLowerCase() : "");
    const act = more.keys[name] || keys[name];
    return Boolean(act) && act(event) !== false;
  }

  function key(event) {
    active();
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") {
      if (!openModal() && more.escapes.some((close) => close())) return event.preventDefault();
      if (openModal()) return undefined;
      clear();
      return event.preventDefault();
    }
    if (openModal() || (event.target.matches && event.target.matches("input, textarea, select"))) return undefined;
    const inList = event.target === document.body || (event.target.closest && event.target.closest(".left [role=listbox]"));
    if (inList && event.key === "ArrowDown") step(1);
    else if (inList && event.key === "ArrowUp") step(-1);
    else if (event.key === "Enter" && event.target.id === "alert-list" && state.selected) showRow(rowOf(state.selected));
    else if (!added(event)) return undefined;
    return event.preventDefault();
  }

  function click(event) {
    active();
    const on = (selector) => event.target.closest(selector);
    const row = on("#alert-list [data-alert]");
    if (row) return select(row, { show: true });
    if (on("[data-side]") && on("button[data-side]")) {
      const which = on("button[data-side]").dataset.side;
      return which === "closed" ? clear() : side(state.side === which ? "closed" : which);
    }
    if (on("[data-show-lon]")) {
      const where = on("[data-show-lon]").dataset;
      return setProps("map-focus", { data: { lon: Number(where.showLon), lat: Number(where.showLat), zoom: 10 } });
    }
    if (on("[data-language]")) {
      return post("/language", new URLSearchParams({ language: on("[data-language]").dataset.language }))
        .then(() => window.location.reload());
    }
    if (on("#sign-out")) return post("/logout").then(() => window.location.assign("/login"));
    if (on("#help-open")) return setProps("help-modal", { opened: true });
    if (on("#health-open")) return setProps("health-modal", { opened: true });
    if (on("#new-above")) { $("alert-list").scrollTop = 0; state.unread = 0; unread(); return remember(); }
    if (on("#density")) return density(document.body.dataset.density !== "compact");
    return more.clicks.find((answer) => answer(on));
  }

  function density(compact) {
    document.body.dataset.density = compact ? "compact" : "";
    window.localStorage.setItem("density", compact ? "compact" : "");
    $("density").setAttribute("aria-pressed", String(compact));
  }

  function makeInput(place) {
    const input = document.createElement(place.dataset.lines ? "textarea" : "input");
    Object.assign(input, place.dataset.lines ? { rows: Number(place.dataset.lines) } : { type: "text" });
    Object.assign(input, { id: place.dataset.input, maxLength: Number(place.dataset.limit),
      placeholder: place.dataset.hint, autocomplete: "off", spellcheck: false,
      ariaRequired: place.dataset.needed ? "true" : null });
    place.append(input);
  }

  function start() {
    const list = $("alert-list");
    document.querySelectorAll("[data-input]").forEach(makeInput);
    new MutationObserver(changed).observe(list, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-alert", "data-waiting"] });
    list.addEventListener("scroll", () => { unread(); remember(); }, { passive: true });
    if (window.localStorage.getItem("density") === "compact") density(true);
    const map = $("map");
    const built = () => { $("map-missing").hidden = map.childElementCount > 0; };
    new MutationObserver(built).observe(map, { childList: true });
    setTimeout(() => { if (!map.childElementCount) $("map-missing").classList.add("shown"); }, 3000);
    setInterval(tick, 500);
    changed();
    window.mizugiwaKeys.start();
    window.mizugiwaTriage.start();
    window.mizugiwaIncidents.start();
    window.mizugiwaPresence.start();
    window.mizugiwaTour.start();
  }

  // chosen on the map
  document.addEventListener("mizugiwa:area", () => side("areas"));
  document.addEventListener("keydown", key);
  document.addEventListener("click", click);
  document.addEventListener("input", (event) => {
    if (event.target.id !== "track-search") return;
    clearTimeout(state.searchTimer);
    state.searchTimer = setTimeout(() => setProps("search", { data: event.target.value }), 250);
  });
  const missing = (form) => [...form.querySelectorAll("[aria-required=true]")].find((input) => !input.value.trim() && !input.closest("[hidden]"));
  const list = { rows, option, current: () => (state.selected && rowOf(state.selected)) || null, go, acted, mark, move, modal: openModal };
  Object.assign(window.mizugiwaPage, { $, put, post, toast, side, state, more, list, missing });
  let started = false;
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.mizugiwa = {
    start(may) {
      state.may = may || {};
      if (!started) {
        started = true;
        start();
        pulse();
      }
      return "true";
    },
    selected(selected) {
      const alert = selected && selected.alert_id;
      if (alert && alert !== state.selected) state.group = null;
      state.selected = alert || null;
      state.track = (selected && selected.track_id) || null;
      mark();
      if (window.mizugiwaMap && window.mizugiwaMap.select) window.mizugiwaMap.select(selected || null);
      if (selected && (selected.track_id || alert)) side("detail");
      return selected ? JSON.stringify(selected) : "";
    },
    chosen(rows_, current) {
      const none = window.dash_clientside.no_update;
      if (!rows_ || !rows_.length || (current && current.track_id === rows_[0].track_id)) return [none, none];
      const row = rows_[0];
      return [{ track_id: row.track_id }, row.lon === null ? none : { lon: row.lon, lat: row.lat, zoom: 10 }];
    },
    focus(where) {
      if (where && window.mizugiwaMap) window.mizugiwaMap.focus(where);
      return where ? JSON.stringify(where) : "";
    },
    mapStatus(status) {
      const on = Boolean(status && status.connected);
      put($("link-state"), status ? t(on ? "console.link_ok" : "console.link_lost") : "–");
      const fact = $("link-state") && $("link-state").closest(".fact");
      if (fact) fact.dataset.late = status && !on ? "true" : "";
      return String(on);
    },
  };
})();
