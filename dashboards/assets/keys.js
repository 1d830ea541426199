/* The keys: which act a pressed key means to this person, and the table behind ? where they change it. The table comes
   from the server (/keys.js), and so do the changes: they are the same at every desk. */
(function () {
  "use strict";
  const { t, put, post, setProps } = window.mizugiwaPage;
  const { own, fixed } = window.mizugiwaKeyTable;
  const state = { mine: window.mizugiwaKeyTable.mine, waiting: null, wrong: "", focus: null };
  const MODIFIERS = ["Shift", "Control", "Alt", "Meta", "Process"];
  const nameOf = (event) => (event.key.length === 1 ? event.key.toLowerCase() : event.key);
  const works = (key) => Boolean(key) && !(state.mine.letters_off && key.length === 1);
  const shown = (key) => (key.length === 1 ? key.toUpperCase() : key);

  function act(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return null;
    const name = nameOf(event);
    if (!works(name)) return null;
    return Object.keys(own).find((each) => state.mine.in_force[each] === name) || null;
  }

  const keyOf = (each) => (works(state.mine.in_force[each]) ? shown(state.mine.in_force[each]) : "");
  const hint = (each) => (keyOf(each) ? ` (${keyOf(each)})` : "");

  // ---- the table --------------------------------------------------------------------------------------------
  const make = (type, props, ...children) => ({ type, namespace: "dash_html_components", props: { ...props, children } });

  function button(id, words, attributes) {
    return make("Button", { id, type: "button", ...attributes }, words);
  }

  function line(each) {
    const key = state.mine.in_force[each];
    const name = t(`console.key_${each}`);
    const waits = state.waiting === each;
    const cell = waits ? make("Strong", { className: "press" }, t("keys.press")) : key === null ? make("Span", { className: "off" }, t("keys.none")) : make("Kbd", works(key) ? {} : { className: "off" }, shown(key));
    return make("Tr", { key: each },
      make("Td", {}, cell), make("Td", {}, name),
      make("Td", { className: "change" },
        button(`key-change-${each}`, t("keys.change"), { "data-rekey": each, "aria-label": t("keys.change_of", { name }) }),
        button(`key-none-${each}`, t(key === null ? "keys.back" : "keys.off"), { "data-unkey": each, "aria-label": t(key === null ? "keys.back_of" : "keys.off_of", { name }) })));
  }

  function render() {
    const letters = !state.mine.letters_off;
    setProps("keys", { children: [
      make("P", { key: "help", className: "help" }, t("keys.help")),
      make("Div", { key: "all", className: "keys-all" },
        button("keys-letters", t(letters ? "keys.letters_on" : "keys.letters_off"), { "aria-pressed": String(letters) }),
        button("keys-reset", t("keys.reset"), {})),
      make("P", { key: "wrong", id: "keys-wrong", className: "error", role: "alert", hidden: !state.wrong }, state.wrong),
      make("Table", { key: "table", className: "keys" }, make("Tbody", {},
        ...Object.keys(own).map(line),
        ...fixed.map(([keys, name]) => make("Tr", { key: `fixed-${name}` },
          make("Td", {}, ...keys.split(" ").map((k) => make("Kbd", { key: k }, k))), make("Td", {}, t(`console.key_${name}`)), make("Td", {}))))),
    ] });
  }

  function hints() {
    document.querySelectorAll("kbd[data-key]").forEach((node) => {
      put(node, keyOf(node.dataset.key));
      node.hidden = !node.textContent;
    });
  }

  // ---- changing ---------------------------------------------------------------------------------------------
  async function save({ letters_off, keys }) {
    state.waiting = null;
    try {
      const answer = await post("/api/keys", JSON.stringify({ letters_off, keys }), "application/json", { method: "PUT" });
      if (answer.status === 401) {
        window.location.assign(`/login?ended=1${window.location.hash}`);
        return;
      }
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) state.mine = told;
      state.wrong = answer.ok ? "" : told.detail || String(answer.status);
    } catch (error) {
      state.wrong = t("keys.failed", { why: error.message });
    }
    render();
    hints();
    if (window.mizugiwaMap) window.mizugiwaMap.setTexts(window.mizugiwaTexts, document.documentElement.lang);
  }

  const given = (each, key) => save({ letters_off: state.mine.letters_off, keys: { ...state.mine.keys, [each]: key } });

  function wait(each) {
    state.waiting = each;
    state.wrong = "";
    render();
  }

  // Before everything else, the dialog's own Escape too: the key that is pressed now is the key that is meant.
  window.addEventListener("keydown", (event) => {
    if (state.waiting === null) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (MODIFIERS.includes(event.key) || event.isComposing) return;
    if (event.key === "Escape") wait(null);
    else given(state.waiting, nameOf(event));
  }, true);

  document.addEventListener("click", (event) => {
    const on = (selector) => event.target.closest(selector);
    if (on("[data-rekey]")) wait(on("[data-rekey]").dataset.rekey);
    else if (on("[data-unkey]")) {
      const each = on("[data-unkey]").dataset.unkey;
      given(each, state.mine.in_force[each] === null ? own[each] : null);
    } else if (on("#keys-letters")) save({ letters_off: !state.mine.letters_off, keys: state.mine.keys });
    else if (on("#keys-reset")) save({ letters_off: false, keys: {} });
    else if (state.waiting !== null) wait(null);
  });

  window.mizugiwaKeys = {
    act,
    hint,
    start() {
      render();
      hints();
      new MutationObserver(hints).observe(document.body, { childList: true, subtree: true });
    },
  };
})();
