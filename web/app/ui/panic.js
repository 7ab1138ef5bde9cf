/**
 * The panic key: F8, or Escape pressed three times within a second. It wipes everything and leaves the page.
 *
 * One press counts once, however long the key is down. A press that closes something, or that belongs to the composition of a character, does not
 * count and restarts the count.
 */
import { isAnythingOpen } from "./back.js";
import { isComposing } from "./dom.js";

const WITHIN_MS = 1_000;
const TIMES = 3;

/** @param {() => void} wipe lets go of rooms and keys */
export function watchPanicKey(wipe) {
  /** @type {number[]} */
  let presses = [];
  // Some systems repeat a held key without saying so: a press is one after the key was up.
  let isUp = true;
  addEventListener("keyup", (event) => (isUp ||= event.key === "Escape"), { capture: true });
  addEventListener(
    "keydown",
    (event) => {
      if (event.repeat || isComposing(event)) return;
      if (event.key === "F8") {
        event.preventDefault();
        panic(wipe);
      } else if (event.key !== "Escape" || isAnythingOpen()) {
        presses = [];
        isUp &&= event.key !== "Escape";
      } else if (isUp) {
        isUp = false;
        presses = [...presses.filter((at) => event.timeStamp - at < WITHIN_MS), event.timeStamp];
        if (presses.length >= TIMES) panic(wipe);
      }
    },
    { capture: true },
  );
  // The key may come up where this page does not see it.
  addEventListener("blur", () => (isUp = true));
}

/** @param {() => void} wipe */
export function panic(wipe) {
  try {
    wipe();
  } finally {
    document.body.replaceChildren();
    document.title = "";
    location.replace("about:blank");
  }
}
