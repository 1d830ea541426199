// What the browser keeps for a person. A browser that keeps nothing (storage switched off, or full) forgets, and nothing
// else is lost.

/** What is kept under a name; null where there is nothing, or nothing that can be read. */
export function readKept(name: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null");
  } catch {
    return null;
  }
}

/** Keep a value from now on; null to keep nothing. */
export function keep(name: string, value: unknown): void {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // see above
  }
}
