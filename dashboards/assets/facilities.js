/* The key that opens and closes the facilities; what is in them the map's script fills (dashboards/map/src/facilities.ts). */
(function () {
  "use strict";
  const { side, state, more } = window.mizugiwaPage;
  more.keys.facilities = () => side(state.side === "facilities" ? "closed" : "facilities");
})();
