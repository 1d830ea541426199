/* The tour of the console. It is offered once to each person in this browser, runs when they ask for it, and ends at once
   when a critical alert comes: nothing may stand before that. */
(function () {
  "use strict";
  const { $, t, put, setProps, toast, more } = window.mizugiwaPage;
  const MARGIN = 8;
  const tour = { steps: [], at: 0, opener: null };
  const key = () => `tour:${$("map").dataset.person}`;
  const critical = () => Boolean(document.querySelector('#alert-list [data-severity="critical"][data-waiting="true"]'));
  const running = () => !$("tour").hidden;

  function seen() {
    window.localStorage.setItem(key(), "seen");
    $("tour-offer").hidden = true;
  }

  function begin() {
    if (critical()) return toast(t("tour.critical_first"));
    const all = [...document.querySelectorAll("#tour-steps > li")];
    tour.steps = all.filter((step) => {
      const target = document.querySelector(step.dataset.about);
      return target && target.getClientRects().length > 0;
    });
    tour.at = 0;
    tour.opener = document.activeElement;
    $("tour-offer").hidden = true;
    $("tour").hidden = false;
    window.addEventListener("keydown", pressed, true);
    window.addEventListener("resize", place);
    show();
    $("tour-next").focus();
    return undefined;
  }

  function close() {
    $("tour").hidden = true;
    window.removeEventListener("keydown", pressed, true);
    window.removeEventListener("resize", place);
    const { opener } = tour;
    const there = opener !== document.body && opener.isConnected && opener.getClientRects().length > 0;
    (there ? opener : $("help-open")).focus();
  }

  function end() {
    seen();
    close();
  }

  function go(by) {
    const to = tour.at + by;
    if (to >= tour.steps.length) return end();
    tour.at = Math.max(0, to);
    show();
    if ($("tour-back").disabled && document.activeElement === document.body) $("tour-next").focus();
    return undefined;
  }

  function show() {
    const [title, words] = tour.steps[tour.at].children;
    put($("tour-step"), t("tour.step", { n: tour.at + 1, of: tour.steps.length }));
    put($("tour-title"), title.textContent);
    put($("tour-words"), words.textContent);
    put($("tour-next"), t(tour.at === tour.steps.length - 1 ? "tour.done" : "tour.next"));
    $("tour-back").disabled = tour.at === 0;
    place();
  }

  // A ring around what the step is about, and the card beside it where there is room: over or under what is low.
  function place() {
    const about = document.querySelector(tour.steps[tour.at].dataset.about).getBoundingClientRect();
    const ring = { left: Math.max(0, about.left - 4), top: Math.max(0, about.top - 4) };
    const right = Math.min(window.innerWidth, about.right + 4);
    const bottom = Math.min(window.innerHeight, about.bottom + 4);
    Object.assign($("tour-ring").style, { left: `${ring.left}px`, top: `${ring.top}px`, width: `${right - ring.left}px`, height: `${bottom - ring.top}px` });
    const card = $("tour-card").getBoundingClientRect();
    const [wide, high] = [card.width + 2 * MARGIN, card.height + 2 * MARGIN];
    const below = [ring.left, bottom + MARGIN, window.innerHeight - bottom >= high];
    const above = [ring.left, ring.top - card.height - MARGIN, ring.top >= high];
    const after = [right + MARGIN, ring.top, window.innerWidth - right >= wide];
    const before = [ring.left - card.width - MARGIN, ring.top, ring.left >= wide];
    const inside = [ring.left + MARGIN, ring.top + 60, true];
    const order = bottom - ring.top < 100 ? [below, above, after, before, inside] : [after, before, inside];
    const [x, y] = order.find(([, , fits]) => fits);
    const within = (value, size, whole) => Math.max(MARGIN, Math.min(value, whole - size - MARGIN));
    $("tour-card").style.left = `${within(x, card.width, window.innerWidth)}px`;
    $("tour-card").style.top = `${within(y, card.height, window.innerHeight)}px`;
  }

  // Before every other key of the page: while the tour runs, keys are the tour's.
  function pressed(event) {
    event.stopImmediatePropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const buttons = [...$("tour-card").querySelectorAll("button:not(:disabled)")];
    const at = buttons.indexOf(document.activeElement);
    if (event.key === "Escape") end();
    else if (event.key === "ArrowRight") go(1);
    else if (event.key === "ArrowLeft") go(-1);
    else if (event.key === "Tab") buttons.at((at + (event.shiftKey ? -1 : 1)) % buttons.length).focus();
    else return;
    event.preventDefault();
  }

  function interrupted() {
    if (!running() || !critical()) return;
    close();
    toast(t("tour.interrupted"));
  }

  function afterHelp() {
    setProps("help-modal", { opened: false });
    const gone = () => (document.querySelector(".mantine-Modal-content") ? setTimeout(gone, 50) : begin());
    gone();
  }

  more.clicks.push((on) => {
    const acts = { "#tour-take": begin, "#tour-refuse": seen, "#tour-next": () => go(1), "#tour-back": () => go(-1), "#tour-end": end, "#tour-start": afterHelp };
    const found = Object.keys(acts).find((selector) => on(selector));
    if (found) acts[found]();
    return Boolean(found);
  });

  function start() {
    new MutationObserver(interrupted).observe($("alert-list"), { childList: true, subtree: true, attributes: true, attributeFilter: ["data-severity", "data-waiting"] });
    $("tour-offer").hidden = window.localStorage.getItem(key()) === "seen";
  }

  window.mizugiwaTour = { start };
})();
