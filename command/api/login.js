/* For the pages outside the console: what stands behind # in a shared link comes along through signing in, and the page has
   the palette that the console has in this browser. Without this script signing in works too. */
(function () {
  "use strict";
  const HASH = "mizugiwa.hash";
  const PALETTE = "mizugiwa.palette";
  const PALETTES = ["day", "dusk", "night"];

  // A browser that keeps nothing (storage switched off, or full) forgets, and nothing else is lost.
  function kept(storage, name) {
    try {
      return JSON.parse(window[storage].getItem(name) || "null");
    } catch {
      return null;
    }
  }

  function keep(storage, name, value) {
    try {
      if (value === null) window[storage].removeItem(name);
      else window[storage].setItem(name, JSON.stringify(value));
    } catch {
      // see above
    }
  }

  function show(palette) {
    document.documentElement.dataset.palette = palette;
    document.querySelectorAll("[data-choose]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.choose === palette)));
  }

  function palette() {
    const chosen = kept("localStorage", PALETTE);
    return PALETTES.includes(chosen) ? chosen : "dusk";
  }

  show(palette());
  document.addEventListener("DOMContentLoaded", () => {
    const onward = document.querySelector("[data-onward]");
    if (onward) {
      const hash = kept("sessionStorage", HASH);
      keep("sessionStorage", HASH, null);
      window.location.replace(onward.href + (typeof hash === "string" && hash.startsWith("#") ? hash : ""));
      return;
    }
    // the browser hands on what stands behind # of a form's address through the server's redirect
    document.querySelectorAll("form[data-keeps]").forEach((form) => { form.action += window.location.hash; });
    const elsewhere = document.getElementById("openid");
    if (elsewhere) elsewhere.addEventListener("click", () => keep("sessionStorage", HASH, window.location.hash || null));
    const choice = document.getElementById("palettes");
    if (!choice) return;
    choice.hidden = false;
    choice.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-choose]");
      if (!chosen) return;
      keep("localStorage", PALETTE, chosen.dataset.choose);
      show(chosen.dataset.choose);
    });
    show(palette());
  });
})();
