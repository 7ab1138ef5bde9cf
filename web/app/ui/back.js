/**
 * Dialogs and panels as entries of the browser's history: Back closes what is open instead of leaving the room, and so does Escape.
 *
 * The entry's state contains the number of open things. The history is updated once per task, so that a dialog that opens another costs one entry.
 */

import { isComposing } from "./dom.js";

/** What is open, the newest last. @type {{ close: () => void }[]} */
const open = [];
let due = false;
/** We move through the history ourselves, and the browser has not arrived yet. */
let moving = false;

const depth = () => Number(history.state?.open ?? 0);

/**
 * Something has opened. Returns a function to call when it closes in another way than by Back.
 *
 * @param {() => void} close
 */
export function opened(close) {
  const it = { close };
  open.push(it);
  settleSoon();
  return () => {
    const at = open.indexOf(it);
    if (at < 0) return;
    open.splice(at, 1);
    settleSoon();
  };
}

/** Whether anything is open that Escape or Back would close. */
export const isAnythingOpen = () => open.length > 0;

function settleSoon() {
  if (due) return;
  due = true;
  setTimeout(settle);
}

function settle() {
  due = false;
  if (moving) return;
  const away = open.length - depth();
  if (away < 0) {
    moving = true;
    history.go(away);
  }
  for (let at = depth() + 1; at <= open.length; at++) history.pushState({ open: at }, "");
}

addEventListener("popstate", () => {
  if (moving) {
    moving = false;
  } else {
    while (open.length > depth()) open.pop()?.close();
  }
  // Forward leads to something that is closed already.
  settleSoon();
});

addEventListener("keydown", (event) => {
  // Dialogs close themselves.
  if (event.key !== "Escape" || event.repeat || isComposing(event) || document.querySelector("dialog[open]")) return;
  open.at(-1)?.close();
});

// A reloaded page has nothing open.
if (depth() > 0) history.replaceState(null, "");
