// The keys of the map's tools. They work wherever the focus is on the page, but never while a person types or a dialog
// is open, and before the page's own keys: Escape ends a tool and leaves the selection as it is.

/** answer: true where the key was taken. */
export function listenForKeys(answer: (event: KeyboardEvent) => boolean, signal: AbortSignal): void {
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
      if (document.querySelector(".mantine-Modal-content") !== null || !answer(event)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    { capture: true, signal },
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches("input:not([type=checkbox], [type=range]), textarea, select, [contenteditable]");
}

/** Whether the focus is where arrows and Enter mean the map: upon it, or upon nothing. */
export function meansTheMap(target: EventTarget | null): boolean {
  return target === document.body || (target instanceof Element && target.matches(".maplibregl-canvas"));
}
