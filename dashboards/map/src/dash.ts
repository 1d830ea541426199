// The one way to Dash: set a property of a component of the page's layout.

declare global {
  interface Window {
    dash_clientside?: { readonly set_props?: (id: string, props: Readonly<Record<string, unknown>>) => void };
  }
}

/** Set properties of the component `id`. Before Dash has started there is nobody to tell, and nothing happens. */
export function setProps(id: string, props: Readonly<Record<string, unknown>>): void {
  window.dash_clientside?.set_props?.(id, props);
}
