/* Incidents on the page: the tabs on the left, the list, and the acts. An act names the revision that the officer saw;
   where it was changed meanwhile, the answer says how, and the officer decides again. */
(function () {
  "use strict";
  const { $, t, put, setProps, post, toast, side, state, more, missing } = window.mizugiwaPage;
  const FORMS = ["incident-form", "incident-choose", "incident-task", "incident-join", "incident-part", "incident-why"];
  const desk = { tab: "alerts", selected: null, scope: "open", acts: 0, focus: null, form: null };
  const head = () => $("incident-head");
  const rows = () => [...document.querySelectorAll("#incident-list [data-incident]")];
  const rowOf = (id) => rows().find((r) => r.dataset.incident === id);
  const key = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

  // ---- tabs -------------------------------------------------------------------------------------------------
  function turn(tab, { focus = true } = {}) {
    if (!$(`tab-${tab}`)) return;
    desk.tab = tab;
    more.list = tab === "incidents" ? { move } : null;
    document.querySelectorAll("[role=tab][data-tab]").forEach((button) => {
      const chosen = button.dataset.tab === tab;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      $(`left-${button.dataset.tab}`).hidden = !chosen;
    });
    if (focus) $(tab === "incidents" ? "incident-list" : "alert-list").focus({ preventScroll: true });
  }

  function arrows(event) {
    const tab = event.target.closest && event.target.closest("[role=tab][data-tab]");
    if (!tab || !["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    const all = [...document.querySelectorAll("[role=tab][data-tab]")];
    const at = { ArrowLeft: all.indexOf(tab) - 1, ArrowRight: all.indexOf(tab) + 1, Home: 0, End: -1 }[event.key];
    const to = all.at(at % all.length);
    turn(to.dataset.tab, { focus: false });
    to.focus();
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  // ---- the list ---------------------------------------------------------------------------------------------
  function mark() {
    const list = $("incident-list");
    rows().forEach((r) => r.setAttribute("aria-selected", String(r.dataset.incident === desk.selected)));
    const row = desk.selected && rowOf(desk.selected);
    if (row) list.setAttribute("aria-activedescendant", row.id);
    else list.removeAttribute("aria-activedescendant");
  }

  function select(id, { show = false } = {}) {
    if (id !== desk.selected) closeForms();
    desk.selected = id;
    mark();
    setProps("incident-selected", { data: id });
    if (window.mizugiwaMap) window.mizugiwaMap.openIncident(id);
    side(id ? "incident" : "closed");
    const row = id && rowOf(id);
    if (!row) return;
    row.scrollIntoView({ block: "nearest" });
    if (show && row.dataset.lon) look(row.dataset);
  }

  const look = (where) => setProps("map-focus", { data: { lon: Number(where.lon), lat: Number(where.lat), zoom: 10 } });

  function move(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((r) => r.dataset.incident === desk.selected);
    select(all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))].dataset.incident);
    $("incident-list").focus({ preventScroll: true });
  }

  function counts() {
    put($("tab-incidents-count"), $("incident-count").textContent);
    put($("tab-alerts-count"), document.querySelector("#triage-summary [data-count]").dataset.count);
    mark();
  }

  // When the incident changes a button may be made anew, or be gone: whoever was on it stays there, or beside it.
  function keepFocus() {
    if (!desk.focus || document.activeElement !== document.body || !head()) return;
    const beside = /^task-(.{36})-/.exec(desk.focus);
    const next = $(desk.focus) || (beside && document.querySelector(`#incident [data-task="${beside[1]}"]`)) || document.querySelector("#incident .steps button");
    (next || $("incident")).focus({ preventScroll: true });
  }

  function focusLeft(event) {
    setTimeout(() => { if (event.target.isConnected && document.activeElement === document.body) desk.focus = null; });
  }

  // ---- forms ------------------------------------------------------------------------------------------------
  function open(id, context, focus) {
    closeForms();
    desk.form = { id, key: key(), back: document.activeElement && document.activeElement.id, ...context };
    fail(id, "");
    $(id).hidden = false;
    $(focus).focus();
  }

  function closeForms({ focus = false } = {}) {
    const shown = FORMS.filter((id) => $(id) && !$(id).hidden);
    shown.forEach((id) => { $(id).hidden = true; });
    const back = desk.form && desk.form.back && $(desk.form.back);
    desk.form = null;
    if (focus && shown.length) (back || $(desk.tab === "incidents" ? "incident-list" : "alert-list")).focus({ preventScroll: true });
    return shown.length > 0;
  }

  function fail(form, words) {
    put($(`${form}-error`), words);
    $(`${form}-error`).hidden = !words;
  }

  // One act: sent once however often the key is pressed, refused where the incident is another one by now.
  async function send(form, path, body, { method = "POST", revision = null, key: name = key(), done }) {
    const button = $(`${form}-send`);
    if (button && button.disabled) return false;
    if (button) button.disabled = true;
    try {
      const headers = { "Idempotency-Key": name, ...(revision === null ? {} : { "If-Match": `"${revision}"` }) };
      const file = body instanceof Blob;
      const answer = await post(path, file ? body : JSON.stringify(body), file ? "application/octet-stream" : "application/json", { method, headers });
      if (answer.status === 401) {
        window.location.assign(`/login?ended=1${window.location.hash}`);
        return false;
      }
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) {
        desk.acts += 1;
        setProps("incidents-revision", { data: `own ${desk.acts}` });
        done(told);
        return true;
      }
      if (answer.status === 412) {
        setProps("incidents-revision", { data: `seen ${(desk.acts += 1)}` });
        if (desk.form && desk.form.id === form) desk.form.revision = told.revision;
      }
      say(form, told.detail || String(answer.status));
    } catch (error) {
      say(form, error.message);
    } finally {
      if (button) button.disabled = false;
    }
    return false;
  }

  function say(form, why) {
    if ($(`${form}-error`) && !$(form).hidden) fail(form, why);
    else toast(t("incident.desk.failed", { why }));
  }

  const address = (verb) => `/api/incidents/${head().dataset.incident}${verb ? `/${verb}` : ""}`;
  const noted = (told) => toast(t("incident.desk.done", { number: told.number }));

  // ---- opening and editing ----------------------------------------------------------------------------------
  function fill({ title, from, send: word, values }) {
    put($("incident-form-title"), title);
    put($("incident-form-from"), from);
    put($("incident-form-send"), word);
    Object.entries(values).forEach(([name, value]) => { $(`incident-${name}`).value = value; });
  }

  function openNew() {
    if (!state.may.manage_incidents) return toast(t("incident.desk.not_allowed"));
    const chosen = desk.tab === "alerts" ? window.mizugiwaTriage.chosen() : [];
    if (desk.tab === "alerts" && !chosen.length) return toast(t("incident.desk.choose_alert"));
    const free = chosen.filter((r) => !r.dataset.incident);
    const row = free[0] || chosen[0] || null; // the list is worst first
    if (row && row.dataset.incident) {
      const number = (rowOf(row.dataset.incident) || { dataset: {} }).dataset.number || "";
      select(row.dataset.incident);
      return toast(t("incident.desk.already", { number }));
    }
    const what = row ? row.dataset.what : "";
    fill({
      title: t("incident.desk.opening"),
      from: from(free, chosen.length - free.length),
      send: t("incident.desk.open_it"),
      values: { type: row ? row.dataset.type : "other", title: what.slice(0, 120), severity: row ? row.dataset.severity : "medium", place: "", owner: state.may.login },
    });
    return open("incident-form", { alerts: free.map(window.mizugiwaTriage.idOf) }, "incident-type");
  }

  function from(alerts, handled) {
    if (!alerts.length) return t("incident.desk.from_nothing");
    if (alerts.length === 1 && !handled) return t("incident.desk.from_alert", { what: alerts[0].dataset.what });
    return `${t("incident.desk.from_alerts", { n: alerts.length })}${handled ? ` ${t("incident.desk.but_handled", { n: handled })}` : ""}`;
  }

  function openEdit() {
    const { incident, number, revision, type, title, severity, place, owner } = head().dataset;
    fill({
      title: t("incident.desk.editing", { number }), from: "", send: t("incident.desk.save"),
      values: { type, title, severity, place, owner },
    });
    open("incident-form", { incident, revision }, "incident-title");
  }

  function sendForm() {
    const form = desk.form;
    const fields = Object.fromEntries(["type", "title", "severity", "place"].map((n) => [n, $(`incident-${n}`).value]));
    fields.owner = $("incident-owner").value.trim() || null;
    if (form.incident) {
      return send("incident-form", `/api/incidents/${form.incident}`, fields, {
        method: "PATCH", revision: form.revision, key: form.key, done: (told) => { closeForms({ focus: true }); noted(told); },
      });
    }
    return send("incident-form", "/api/incidents", { ...fields, alerts: form.alerts }, {
      key: form.key,
      done: (told) => {
        closeForms();
        window.mizugiwaTriage.done();
        turn("incidents");
        select(told.incident_id);
        toast(t("incident.desk.opened", { number: told.number }));
      },
    });
  }

  // ---- merging and linking ----------------------------------------------------------------------------------
  function choose({ title, label, but, reason, context }) {
    const others = rows().filter((r) => r.dataset.open === "true" && r.dataset.incident !== but);
    if (!others.length) return toast(t("incident.desk.no_others"));
    $("incident-choice").replaceChildren(...others.map((r) => new Option(`${r.dataset.number} ${r.dataset.title}`, r.dataset.incident)));
    put($("incident-choose-title"), title);
    put($("incident-choose-label"), label);
    $("incident-choose-why").hidden = !reason;
    $("incident-choose-reason").value = "";
    return open("incident-choose", context, "incident-choice");
  }

  function openMerge() {
    const { incident, number, revision } = head().dataset;
    choose({
      title: t("incident.desk.merging", { number }), label: t("incident.desk.merge_into"), but: incident, reason: true,
      context: { incident, revision },
    });
  }

  function openLink() {
    if (!state.may.link_to_incidents) return toast(t("incident.desk.not_allowed"));
    const rows_ = window.mizugiwaTriage.chosen();
    if (!rows_.length) return toast(t("incident.desk.choose_alert"));
    const what = rows_.length === 1 ? rows_[0].dataset.what : t("triage.many", { n: rows_.length });
    return choose({
      title: t("incident.desk.linking", { what }), label: t("incident.desk.link_to"), but: null, reason: false,
      context: { alerts: rows_.map(window.mizugiwaTriage.idOf) },
    });
  }

  function sendChoice() {
    const { alerts, incident, revision, key: name } = desk.form;
    const chosen = $("incident-choice").value;
    if (alerts) {
      return send("incident-choose", `/api/incidents/${chosen}/link`, { alerts }, {
        key: name, done: (told) => { closeForms({ focus: true }); window.mizugiwaTriage.done(); noted(told); },
      });
    }
    return send("incident-choose", `/api/incidents/${incident}/merge`, { into: chosen, reason: $("incident-choose-reason").value }, {
      revision, key: name, done: (told) => { closeForms({ focus: true }); select(told.incident_id); noted(told); },
    });
  }

  // ---- orders, states, comments, files ----------------------------------------------------------------------
  function openTask() {
    if (!head() || state.side !== "incident") return toast(t("incident.desk.choose_incident"));
    if (!$("incident-give")) return toast(t("incident.desk.not_allowed"));
    $("incident-task-title").value = "";
    $("incident-task-assignee").value = "";
    return open("incident-task", { incident: head().dataset.incident }, "incident-task-title");
  }

  function step(button) {
    const { task, step: to, reason, what } = button.dataset;
    const path = address(task ? `tasks/${task}/state` : "state");
    if (reason !== "true") return act(path, { state: to });
    return why(what, path, { state: to });
  }

  const act = (path, body, method) => send("incident-step", path, body, { method, revision: head().dataset.revision, done: noted });

  function why(what, path, body) {
    put($("incident-why-what"), what);
    $("incident-why-reason").value = "";
    open("incident-why", { path, body, revision: head().dataset.revision }, "incident-why-reason");
  }

  function openJoin() {
    $("incident-join-login").value = "";
    open("incident-join", { path: address("participants") }, "incident-join-login");
  }

  function openSplit() {
    const { number, revision, type, title, severity } = head().dataset;
    const parts = [...document.querySelectorAll("#incident [data-part]")];
    if (!parts.length) return toast(t("incident.desk.split_none"));
    $("incident-parts").replaceChildren(...parts.map((part) => {
      const box = Object.assign(document.createElement("input"), { type: "checkbox" });
      Object.assign(box.dataset, { part: part.dataset.part, key: part.dataset.key });
      const label = document.createElement("label");
      label.append(box, part.dataset.name);
      return label;
    }));
    put($("incident-part-what"), t("incident.desk.splitting", { number }));
    $("incident-part-title").value = title;
    $("incident-part-reason").value = "";
    return open("incident-part", { path: address("split"), revision, type, severity }, "incident-part-title");
  }

  function sendSplit() {
    const { path, revision, key: name, type, severity } = desk.form;
    const chosen = (what) => [...document.querySelectorAll(`#incident-parts [data-part="${what}"]:checked`)].map((box) => box.dataset.key);
    const parts = Object.fromEntries(["alerts", "tracks", "areas", "tasks"].map((what) => [what, chosen(what)]));
    return send("incident-part", path, { type, severity, title: $("incident-part-title").value, reason: $("incident-part-reason").value, ...parts }, {
      revision, key: name, done: (told) => { closeForms({ focus: true }); select(told.incident_id); toast(t("incident.desk.opened", { number: told.number })); },
    });
  }

  const submit = {
    "incident-form": sendForm,
    "incident-choose": sendChoice,
    "incident-task": () => send("incident-task", `/api/incidents/${desk.form.incident}/tasks`, {
      title: $("incident-task-title").value, assignee: $("incident-task-assignee").value,
    }, { key: desk.form.key, done: (told) => { closeForms({ focus: true }); noted(told); } }),
    "incident-join": () => send("incident-join", desk.form.path, { login: $("incident-join-login").value }, {
      key: desk.form.key, done: (told) => { closeForms({ focus: true }); noted(told); },
    }),
    "incident-part": sendSplit,
    "incident-why": () => send("incident-why", desk.form.path, { ...desk.form.body, reason: $("incident-why-reason").value }, {
      revision: desk.form.revision, key: desk.form.key, done: (told) => { closeForms({ focus: true }); noted(told); },
    }),
    "incident-say": () => {
      const words = $("incident-comment").value;
      if (!words.trim() || !head()) return false;
      fail("incident-say", "");
      return send("incident-say", address("comments"), { text: words }, {
        done: (told) => { $("incident-comment").value = ""; noted(told); },
      });
    },
  };

  function attach() {
    const input = Object.assign(document.createElement("input"), { type: "file" });
    const path = address("attachments");
    input.addEventListener("change", () => {
      const file = input.files[0];
      if (file) send("incident-file", `${path}?name=${encodeURIComponent(file.name.slice(0, 200))}`, file, { done: noted });
    });
    input.click();
  }

  // ---- what the page's script passes on ---------------------------------------------------------------------
  Object.assign(more.keys, {
    alerts_tab: () => turn("alerts"), incidents_tab: () => turn("incidents"), open_incident: openNew,
    link_incident: openLink, task: openTask,
    comment: () => (head() && state.side === "incident" && !$("incident-say").hidden ? $("incident-comment").focus() : toast(t("incident.desk.choose_incident"))),
    enter: (event) => {
      const row = event.target.id === "incident-list" && desk.selected && rowOf(desk.selected);
      return row && row.dataset.lon ? look(row.dataset) : false;
    },
  });

  more.escapes.push(() => {
    if (closeForms({ focus: true })) return true;
    if (document.activeElement && document.activeElement.id === "incident-comment") {
      $("incident-list").focus({ preventScroll: true });
      return true;
    }
    if (state.side !== "incident") return false;
    select(null);
    $(desk.tab === "incidents" ? "incident-list" : "alert-list").focus({ preventScroll: true });
    return true;
  });

  more.clicks.push((on) => {
    const row = on("#incident-list [data-incident]");
    const linked = on("[data-linked]");
    if (row) select(row.dataset.incident, { show: true });
    else if (on("[role=tab][data-tab]")) turn(on("[role=tab][data-tab]").dataset.tab, { focus: false });
    else if (on("[data-close]")) closeForms({ focus: true });
    else if (on("#incident-new")) { turn("incidents", { focus: false }); openNew(); }
    else if (on("#incident-all")) {
      desk.scope = desk.scope === "all" ? "open" : "all";
      on("#incident-all").setAttribute("aria-pressed", String(desk.scope === "all"));
      setProps("incident-scope", { data: desk.scope });
    } else if (on("#incident-close")) select(null);
    else if (on("#incident-edit")) openEdit();
    else if (on("#incident-merge")) openMerge();
    else if (on("#incident-split")) openSplit();
    else if (on("#incident-join-open")) openJoin();
    else if (on("[data-leave]")) act(address(`participants/${encodeURIComponent(on("[data-leave]").dataset.leave)}`), undefined, "DELETE");
    else if (on("[data-unlink]")) {
      const { unlink, key: id, what } = on("[data-unlink]").dataset;
      why(what, address("unlink"), { [unlink]: [id] });
    } else if (on("#incident-give")) openTask();
    else if (on("#incident-attach")) attach();
    else if (on("[data-goto]")) select(on("[data-goto]").dataset.goto);
    else if (on("#incident [data-step]")) step(on("#incident [data-step]"));
    else if (linked) {
      if (linked.dataset.lon) look(linked.dataset);
      if (window.mizugiwaMap && window.mizugiwaMap.select) window.mizugiwaMap.select({ alert_id: linked.dataset.linked || null, track_id: linked.dataset.track || null });
    } else return false;
    return true;
  });

  document.addEventListener("submit", (event) => {
    if (!submit[event.target.id]) return;
    event.preventDefault();
    const empty = missing(event.target);
    if (!empty) return submit[event.target.id]();
    fail(event.target.id, t("incident.desk.missing", { what: empty.labels[0].textContent }));
    return empty.focus();
  });
  // chosen on the map
  document.addEventListener("mizugiwa:incident", (event) => {
    turn("incidents", { focus: false });
    select(event.detail);
  });
  document.addEventListener("keydown", arrows, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches && event.target.matches("select") && FORMS.includes(event.target.form && event.target.form.id)) {
      event.preventDefault(); // browsers send a form from its inputs alone, and this one says that Enter sends it
      event.target.form.requestSubmit();
    }
    // a conversion of Japanese is confirmed with Enter too: that one sends nothing
    if (event.target.id !== "incident-comment" || event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit["incident-say"]();
  });
  document.addEventListener("focusout", focusLeft);
  document.addEventListener("focusin", (event) => {
    const inside = event.target.closest && event.target.closest("#incident");
    desk.focus = inside && event.target.id ? event.target.id : null;
  });

  window.mizugiwaIncidents = {
    start() {
      const watch = (id, then, what) => $(id) && new MutationObserver(then).observe($(id), { childList: true, subtree: true, ...what });
      if (!$("incident-list")) return; // whoever may not read incidents has the alerts alone
      watch("incident-list", counts);
      watch("incident-count", counts, { characterData: true });
      watch("triage-summary", counts, { attributes: true, attributeFilter: ["data-count"] });
      watch("incident", keepFocus);
      counts();
    },
  };
})();
