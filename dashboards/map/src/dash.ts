// The ways to the page: set a property of a component of its layout, or tell its script of something.

declare global {
  interface Window {
    dash_clientside?: { readonly set_props?: (id: string, props: Readonly<Record<string, unknown>>) => void };
  }
}

/** Set properties of the component `id`. Before Dash has started there is nobody to tell, and nothing happens. */
export function setProps(id: string, props: Readonly<Record<string, unknown>>): void {
  window.dash_clientside?.set_props?.(id, props);
}

/** Somebody chose this on the map: the page's script opens its panel (assets/console.js, assets/incidents.js, facilities.ts). */
export function openOnPage(what: "incident" | "area" | "facility", id: string): void {
  document.dispatchEvent(new CustomEvent(`mizugiwa:${what}`, { detail: id }));
}
