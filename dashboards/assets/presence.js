/* Who is on watch and what they have open: says what this screen shows, marks what others have open, and lists them. */
(function () {
  "use strict";
  const LOOK_EVERY_MS = 250;
  const { $, t, put, state } = window.mizugiwaPage;
  const seen = { people: [], more: 0, said: "null" };

  const mine = () => ($("map") ? $("map").dataset.person : "");
  const others = () => seen.people.filter((person) => person.id !== mine());
  const joined = (names) => names.join(document.documentElement.lang === "ja" ? "、" : ", ");

  // ---- what this screen has open ------------------------------------------------------------------------------
  function open() {
    if (state.side === "incident") {
      const head = $("incident-head");
      return head ? { kind: "incident", key: head.dataset.incident, editing: !$("incident-form").hidden } : null;
    }
    if (state.side === "areas") {
      const slug = $("areas-panel") && $("areas-panel").dataset.editing;
      return slug ? { kind: "area", key: slug, editing: true } : null;
    }
    if (state.side !== "detail") return null;
    if (state.selected) return { kind: "alert", key: state.selected, editing: !$("ack-form").hidden };
    return state.track ? { kind: "track", key: state.track, editing: false } : null;
  }

  // Several scripts and the server's answers decide what is open: it is looked at, not reported by each of them.
  function look() {
    const at = open();
    const said = JSON.stringify(at);
    if (said === seen.said || !window.mizugiwaMap) return;
    seen.said = said;
    window.mizugiwaMap.look(at);
    here();
  }

  // ---- what the others have open ------------------------------------------------------------------------------
  const whoAt = (kind, key) => others().filter((person) => person.at.some((at) => at.kind === kind && at.key === key)).map((person) => person.name);

  function marks() {
    for (const row of document.querySelectorAll("#alert-list [data-alert]")) mark(row, whoAt("alert", row.dataset.alert));
    for (const row of document.querySelectorAll("#incident-list [data-incident]")) mark(row, whoAt("incident", row.dataset.incident));
    for (const row of document.querySelectorAll("#areas-panel [data-area]")) mark(row, whoAt("area", row.dataset.area));
  }

  // A style sheet shows it: the rows are the page's framework's, which would take away what it did not put there.
  function mark(row, names) {
    const words = joined(names);
    if (words) row.dataset.present = words;
    else delete row.dataset.present;
  }

  function here() {
    const at = JSON.parse(seen.said);
    const names = at ? whoAt(at.kind, at.key) : [];
    const box = $("present-here");
    put(box, names.length ? t("presence.here", { who: joined(names) }) : "");
    box.hidden = !names.length;
  }

  // What something is called where it is on this page.
  function called(at) {
    const row = {
      alert: () => document.querySelector(`#alert-list [data-alert="${CSS.escape(at.key)}"]`),
      incident: () => document.querySelector(`#incident-list [data-incident="${CSS.escape(at.key)}"]`),
      track: () => document.querySelector(`#alert-list [data-track="${CSS.escape(at.key)}"]`),
      area: () => document.querySelector(`#areas-panel [data-area="${CSS.escape(at.key)}"]`),
    }[at.kind]();
    const subject = row && row.querySelector(".subject");
    const what = !row ? "" : { alert: row.dataset.what, incident: `${row.dataset.number} ${row.dataset.title}`, track: subject && subject.textContent, area: at.key }[at.kind];
    const words = t(`presence.${at.kind}`, { what: what || (at.kind === "area" ? at.key : t("presence.someone")) });
    return at.editing ? t("presence.edits", { what: words }) : words;
  }

  function list() {
    const ul = $("watch-list");
    const lines = seen.people.map((person) => {
      const line = document.createElement("li");
      const name = document.createElement("strong");
      const what = document.createElement("span");
      put(name, person.id === mine() ? t("presence.you", { who: person.name }) : person.name);
      put(what, person.at.length ? joined(person.at.map(called)) : t("presence.nothing"));
      line.append(name, what);
      return line;
    });
    if (seen.more) {
      const line = document.createElement("li");
      put(line, t("presence.more", { n: seen.more }));
      lines.push(line);
    }
    ul.replaceChildren(...lines);
    put($("watch-count"), t("presence.on_watch", { n: seen.people.length + seen.more }));
    $("watchers").hidden = !seen.people.length;
  }

  function heard(event) {
    seen.people = event.detail.people;
    seen.more = event.detail.more;
    marks();
    here();
    list();
  }

  document.addEventListener("mizugiwa:presence", heard);
  window.mizugiwaPresence = {
    start() {
      setInterval(look, LOOK_EVERY_MS);
      const again = () => requestAnimationFrame(marks);
      for (const id of ["alert-list", "incident-list", "areas-panel"]) {
        if ($(id)) new MutationObserver(again).observe($(id), { childList: true, subtree: true });
      }
      $("watchers").addEventListener("toggle", list);
    },
  };
})();
