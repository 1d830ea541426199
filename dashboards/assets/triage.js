/* Triage: what of the list an officer sees, which alerts they chose, and what they do to them. An act is about the
   chosen alerts, else about the current one; what it did not do is told with the reason. */
(function () {
  "use strict";
  const { $, t, put, setProps, post, toast, state, more, list, missing } = window.mizugiwaPage;
  const FORMS = ["ack-form", "assign-form", "escalate-form", "withdraw-form", "silence-form", "respond-form", "act-result"];
  const MATCHED = ["rule", "subject", "area"];
  const GROUPINGS = ["severity", "rule", "place", "subject"];
  const AGE_EVERY_MS = 60000;
  const desk = { view: { chosen: {}, grouping: "severity", folded: [] }, form: null, only: null, pivot: null, pick: null };
  const key = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  // What an act is about. A button in the drawer is about the drawer's alert, whatever is chosen in the list.
  const chosenRows = () => {
    if (desk.only) return [desk.only];
    if (state.chosen.size) return list.rows().filter((r) => state.chosen.has(r.dataset.alert));
    return [list.current() || ($("detail-panel").offsetParent && $("alert-acts"))].filter(Boolean);
  };

  const idOf = (row) => row.dataset.alert || row.dataset.about; // a row of the list, or the drawer's alert

  // ---- what is seen -----------------------------------------------------------------------------------------
  // Kept in this browser for each person and realm: a filter that came back after a reload says so above the list.
  const kept = () => `triage.${$("map").dataset.realm}.${$("map").dataset.person}`;

  function look(view) {
    desk.view = { ...desk.view, ...view };
    window.localStorage.setItem(kept(), JSON.stringify(desk.view));
    show();
  }

  function show() {
    document.querySelectorAll("[data-grouping]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.grouping === desk.view.grouping)));
    setProps("triage-view", { data: { ...desk.view } });
  }

  function restore() {
    let before = null;
    try {
      before = JSON.parse(window.localStorage.getItem(kept()));
    } catch {
      before = null; // not ours, or cut off: begin anew
    }
    if (!before || typeof before.chosen !== "object" || !GROUPINGS.includes(before.grouping) || !Array.isArray(before.folded)) return;
    desk.view = { chosen: before.chosen, grouping: before.grouping, folded: before.folded };
    show();
  }

  function filter(facet, value) {
    const before = desk.view.chosen[facet] || [];
    const after = before.includes(value) ? before.filter((v) => v !== value) : [...before, value];
    const { [facet]: _, ...others } = desk.view.chosen;
    look({ chosen: after.length ? { ...others, [facet]: after } : others });
  }

  function group(by) {
    look({ grouping: by, folded: [] });
    toast(t("triage.grouped", { by: t(`triage.group.${by}`) }));
  }

  // Unfolded with the keyboard, one goes on with its first alert; all: its alerts are chosen.
  function unfold(name, { all }) {
    desk.pick = { group: name, all };
    fold(name, false);
  }

  const nextGrouping = () => group(GROUPINGS[(GROUPINGS.indexOf(desk.view.grouping) + 1) % GROUPINGS.length]);

  function fold(name, folded) {
    const others = desk.view.folded.filter((g) => g !== name);
    look({ folded: folded ? [...others, name] : others });
  }

  // ---- what is chosen ---------------------------------------------------------------------------------------
  function choose(ids) {
    state.chosen = new Set(ids);
    chosenChanged();
  }

  function chosenChanged() {
    list.mark();
    const n = state.chosen.size;
    if (n) document.body.dataset.choosing = "true";
    else delete document.body.dataset.choosing;
    $("bulk").hidden = n === 0;
    put($("bulk-count"), t("triage.bulk_count", { n }));
  }

  function toggle(id) {
    const after = new Set(state.chosen);
    if (!after.delete(id)) after.add(id);
    desk.pivot = id;
    choose(after);
  }

  // From the one where the choice began to this one, and what was chosen besides.
  function extend(id) {
    const all = list.rows().map((r) => r.dataset.alert);
    const from = all.indexOf(desk.pivot);
    const to = all.indexOf(id);
    if (from < 0) return toggle(id);
    return choose([...state.chosen, ...all.slice(Math.min(from, to), Math.max(from, to) + 1)]);
  }

  function step(by) {
    const before = list.current();
    if (before && !state.chosen.size) {
      desk.pivot = before.dataset.alert;
      choose([desk.pivot]);
    }
    list.move(by);
    const now = list.current();
    if (now) extend(now.dataset.alert);
  }

  // Something is no longer in the list: nobody acts on what they do not see.
  function changed() {
    const shown = list.rows();
    if (desk.pick !== null) {
      const theirs = shown.filter((r) => r.dataset.of === desk.pick.group);
      const { all } = desk.pick;
      if (theirs.length) {
        desk.pick = null;
        list.go(theirs[0]);
        if (all) choose([...state.chosen, ...theirs.map((r) => r.dataset.alert)]);
      }
    }
    const ids = new Set(shown.map((r) => r.dataset.alert));
    const still = [...state.chosen].filter((id) => ids.has(id));
    if (still.length !== state.chosen.size) choose(still);
  }

  // ---- forms ------------------------------------------------------------------------------------------------
  function open(id, focus, rows) {
    close();
    desk.form = { id, key: key(), ids: rows.map(idOf), rows };
    put($(`${id}-what`), rows.length === 1 ? rows[0].dataset.what : t("triage.many", { n: rows.length }));
    fail("");
    $(id).hidden = false;
    const first = list.rows().find((r) => r.dataset.alert === idOf(rows[0]));
    if (first) first.scrollIntoView({ block: "nearest" });
    $(focus).focus();
  }

  function close({ focus = false } = {}) {
    const shown = FORMS.filter((id) => !$(id).hidden);
    shown.forEach((id) => { $(id).hidden = true; });
    desk.form = null;
    if (focus && shown.length) $("alert-list").focus({ preventScroll: true });
    return shown.length > 0;
  }

  function fail(words) {
    const box = desk.form && $(`${desk.form.id}-error`);
    if (!box) return;
    put(box, words);
    box.hidden = !words;
  }

  function ready(permission) {
    const rows = chosenRows();
    if (!state.may[permission]) toast(t("triage.not_permitted"));
    else if (!rows.length) toast(t("triage.choose_first"));
    else return rows;
    return null;
  }

  function clearField(id) {
    $(id).value = "";
  }

  function openAck() {
    const rows = ready("acknowledge");
    if (!rows) return;
    if (rows.every((r) => r.dataset.waiting !== "true")) return toast(t("triage.already"));
    clearField("ack-comment");
    open("ack-form", "ack-comment", rows.filter((r) => r.dataset.waiting === "true"));
  }

  async function openAssign() {
    const rows = ready("assign_alerts");
    if (!rows) return;
    const answer = await fetch("/api/alerts/assignees", { cache: "no-store" });
    if (!answer.ok) return toast(t("triage.failed", { why: answer.status }));
    const people = await answer.json();
    const me = people.filter((p) => p.login === state.may.login);
    const others = people.filter((p) => p.login !== state.may.login);
    const options = [
      ...me.map((p) => new Option(t("triage.assign_me", { who: p.login }), p.login)),
      ...others.map((p) => new Option(p.name === p.login ? p.login : `${p.name} (${p.login})`, p.login)),
      new Option(t("triage.assign_nobody"), ""),
    ];
    $("assign-to").replaceChildren(...options);
    const held = rows.filter((r) => r.dataset.held && r.dataset.held !== state.may.login);
    $("assign-over").checked = false;
    $("assign-over-line").hidden = !held.length;
    put($("assign-over-words"), t("triage.assign_over", { n: held.length, who: [...new Set(held.map((r) => r.dataset.held))].join(", ") }));
    open("assign-form", "assign-to", rows);
  }

  function openEscalate() {
    const rows = ready("escalate_alerts");
    if (!rows) return;
    clearField("escalate-reason");
    open("escalate-form", "escalate-reason", rows);
  }

  function openWithdraw() {
    const rows = ready("escalate_alerts");
    if (!rows) return;
    clearField("withdraw-reason");
    open("withdraw-form", "withdraw-reason", rows);
  }

  function openSilence() {
    const rows = ready("silence_alerts");
    if (!rows) return;
    const named = { rule: "title", subject: "name", area: "areaName" };
    for (const part of MATCHED) {
      const names = [...new Set(rows.filter((r) => r.dataset[part]).map((r) => r.dataset[named[part]]))];
      const box = $(`silence-${part}`);
      box.disabled = names.length === 0;
      box.checked = part === "subject" && names.length > 0;
      box.closest("label").hidden = names.length === 0;
      put($(`silence-${part}-words`), t(`silence.${part}`, { name: names.length > 1 ? t("silence.several", { n: names.length }) : names[0] || "" }));
    }
    $("silence-rule").checked = true;
    clearField("silence-reason");
    open("silence-form", "silence-reason", rows);
  }

  function openRespond() {
    const rows = ready("respond");
    if (!rows) return;
    clearField("respond-responder");
    clearField("respond-comment");
    open("respond-form", "respond-team", rows.slice(0, 1));
  }

  // ---- sending ----------------------------------------------------------------------------------------------
  async function send(path, body, done) {
    const { id, key: name } = desk.form || { id: null, key: key() };
    const button = id && $(`${id}-send`);
    if (button && button.disabled) return;
    if (button) button.disabled = true;
    const say = (why) => (id ? fail(why) : toast(t("triage.failed", { why })));
    try {
      const answer = await post(path, JSON.stringify(body), "application/json", { headers: { "Idempotency-Key": name } });
      if (answer.status === 401) {
        window.location.assign(`/login?ended=1${window.location.hash}`);
        return;
      }
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) {
        close({ focus: true });
        done(told);
      } else say(told.detail || String(answer.status));
    } catch (error) {
      say(t("triage.failed", { why: error.message }));
    } finally {
      if (button) button.disabled = false;
    }
  }

  function act(verb, body, params = {}) {
    const ids = desk.form.ids;
    list.acted(ids);
    return send(`/api/alerts/${verb}`, { alerts: ids, ...body }, ({ done, refused }) => {
      const words = done.length ? t(`triage.did.${verb}`, { n: done.length, ...params }) : t("triage.nothing_done");
      choose([...state.chosen].filter((id) => !done.includes(id)));
      if (!refused.length) return toast(words);
      return tell(words, refused);
    });
  }

  function tell(words, refused) {
    put($("act-result-what"), `${words} / ${t("triage.did_not", { n: refused.length })}`);
    $("act-result-list").replaceChildren(...refused.map(({ what, why }) => {
      const line = document.createElement("li");
      const name = document.createElement("strong");
      name.textContent = what;
      line.append(name, ` ${why}`);
      return line;
    }));
    $("act-result").hidden = false;
    $("act-result").focus();
  }

  const submit = {
    "ack-form": () => act("acknowledge", { comment: $("ack-comment").value }),
    "assign-form": () => {
      const to = $("assign-to").value;
      return to ? act("assign", { to, take_over: $("assign-over").checked }, { who: to }) : act("unassign", {});
    },
    "escalate-form": () => act("escalate", { reason: $("escalate-reason").value }),
    "withdraw-form": () => act("withdraw", { reason: $("withdraw-reason").value }),
    "silence-form": () => {
      const parts = MATCHED.filter((part) => $(`silence-${part}`).checked);
      if (!parts.length) return fail(t("silence.choose_one"));
      const { rows } = desk.form;
      const matchers = new Map();
      for (const row of rows) {
        const matcher = Object.fromEntries(parts.filter((part) => row.dataset[part]).map((part) => [part, row.dataset[part]]));
        if (Object.keys(matcher).length === parts.length) matchers.set(JSON.stringify(matcher), matcher);
      }
      if (!matchers.size) return fail(t("silence.choose_one"));
      const body = { matchers: [...matchers.values()], reason: $("silence-reason").value, minutes: Number($("silence-minutes").value) };
      return send("/api/silences", body, (begun) => {
        choose([]);
        const quiet = begun.reduce((n, s) => n + s.quiet, 0);
        const matched = begun.reduce((n, s) => n + s.matched, 0);
        toast(t("silence.begun", { quiet, loud: Math.max(0, matched - quiet) }));
      });
    },
    "respond-form": () => {
      const [row] = desk.form.rows;
      const [team, responder] = [$("respond-team").value, $("respond-responder").value.trim()];
      const body = {
        team, kind: $("respond-kind").value, revision: Number(row.dataset.revision), comment: $("respond-comment").value,
        ...(responder ? { responder } : {}),
      };
      return send(`/api/alerts/${idOf(row)}/responses`, body, (told) => toast(told.why || t("triage.did.respond", { team })));
    },
  };

  // Of the current alert, whichever are chosen: pressed again it goes away, and so it does with Escape.
  function evidence() {
    const row = desk.only || list.current() || $("alert-acts");
    if (!row) toast(t("triage.choose_first"));
    else if (!window.mizugiwaMap || !window.mizugiwaMap.status()) toast(t("triage.no_map"));
    else window.mizugiwaMap.evidence(idOf(row));
  }

  const acts = {
    evidence,
    acknowledge: openAck, assign: openAssign, escalate: openEscalate, withdraw: openWithdraw, silence: openSilence,
    respond: openRespond,
    open_incident: () => more.keys.open_incident(),
  };

  // ---- what the page's script passes on ---------------------------------------------------------------------
  Object.assign(more.keys, {
    acknowledge: openAck, assign: openAssign, escalate: openEscalate, silence: openSilence, group: nextGrouping,
    evidence,
    filter_critical: () => filter("severity", "critical"), filter_high: () => filter("severity", "high"),
    filter_medium: () => filter("severity", "medium"), filter_low: () => filter("severity", "low"),
  });

  more.escapes.push(() => {
    if (close({ focus: true })) return true;
    if ($("triage-filters").open) {
      $("triage-filters").open = false;
      $("triage-filters").querySelector("summary").focus();
      return true;
    }
    if (!state.chosen.size) return false;
    choose([]);
    return true;
  });

  more.clicks.push((on) => {
    if (on("[data-act]")) {
      desk.only = on("#alert-acts");
      acts[on("[data-act]").dataset.act]();
      desk.only = null;
    }
    else if (on("[data-act-close]")) close({ focus: true });
    else if (on("[data-chip]")) filter("severity", on("[data-chip]").dataset.chip);
    else if (on("[data-facet]")) filter(on("[data-facet]").dataset.facet, on("[data-facet]").dataset.value);
    else if (on("[data-grouping]")) group(on("[data-grouping]").dataset.grouping);
    else if (on("#triage-unfilter")) { look({ chosen: {} }); $("alert-list").focus({ preventScroll: true }); }
    else if (on("[data-group]")) fold(on("[data-group]").dataset.group, on("[data-group]").dataset.folded !== "true");
    else if (on("#bulk-all")) choose(list.rows().map((r) => r.dataset.alert));
    else if (on("#bulk-none")) { choose([]); $("alert-list").focus({ preventScroll: true }); }
    else if (on("#silences-open")) setProps("silences-modal", { opened: true });
    else if (on("[data-end]")) send(`/api/silences/${on("[data-end]").dataset.end}/end`, {}, () => toast(t("silence.did_end")));
    else return false;
    return true;
  });

  // A click with Ctrl or Shift, or on the box of a row, chooses; any other click is the page's and lets go of the choice.
  document.addEventListener("click", (event) => {
    const row = event.target.closest("#alert-list [data-alert]");
    if (!row) return;
    const id = row.dataset.alert;
    if (event.shiftKey) extend(id);
    else if (event.ctrlKey || event.metaKey || event.target.closest("[data-tick]")) toggle(id);
    else {
      choose([]);
      desk.pivot = id;
      return;
    }
    event.stopImmediatePropagation();
    $("alert-list").focus({ preventScroll: true });
  }, true);

  // The list's own keys: they mean it where the focus is on it, or on nothing.
  document.addEventListener("keydown", (event) => {
    const here = event.target.id === "alert-list" || (event.target === document.body && !$("left-alerts").hidden);
    if (!here || event.altKey || event.isComposing || list.modal()) return;
    const at = list.option();
    const control = event.ctrlKey || event.metaKey;
    const name = event.key.toLowerCase();
    if (control && name === "a" && event.target.id === "alert-list") choose(list.rows().map((r) => r.dataset.alert));
    else if (control) return;
    else if (event.key === " " && at && at.dataset.group) unfold(at.dataset.group, { all: true });
    else if (event.key === " " && at && event.shiftKey) extend(at.dataset.alert);
    else if (event.key === " " && at) toggle(at.dataset.alert);
    else if (event.shiftKey && event.key === "ArrowDown") step(1);
    else if (event.shiftKey && event.key === "ArrowUp") step(-1);
    else if (["ArrowRight", "Enter"].includes(event.key) && at && at.dataset.group) unfold(at.dataset.group, { all: false });
    else if (event.key === "ArrowLeft" && at && at.dataset.of && event.target.id === "alert-list") { state.group = at.dataset.of; fold(state.group, true); }
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  document.addEventListener("keydown", (event) => {
    // browsers send a form from its inputs alone, and these say that Enter sends them
    if (event.key !== "Enter" || event.isComposing || !event.target.matches("select, input[type=checkbox]")) return;
    if (!event.target.form || !submit[event.target.form.id]) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  });

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#triage-filters") && event.target.isConnected) $("triage-filters").open = false;
  });

  document.addEventListener("submit", (event) => {
    if (!submit[event.target.id]) return;
    event.preventDefault();
    const empty = missing(event.target);
    if (!empty) return submit[event.target.id]();
    fail(t("incident.desk.missing", { what: empty.labels[0].textContent }));
    return empty.focus();
  });

  window.mizugiwaTriage = {
    chosen: chosenRows,
    idOf,
    changed,
    done: () => choose([]),
    start() {
      document.querySelectorAll("[data-box]").forEach((place) => {
        place.append(Object.assign(document.createElement("input"), { type: "checkbox", id: place.dataset.box }));
      });
      restore();
      setInterval(() => { if (desk.view.chosen.age) show(); }, AGE_EVERY_MS);
    },
  };
})();
