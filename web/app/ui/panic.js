/**
 * The panic key: F8, or Escape three times within a second. Everything is wiped and the page is gone.
 */
const WITHIN_MS = 1_000;
const TIMES = 3;

/** @param {() => void} wipe lets go of rooms and keys */
export function watchPanicKey(wipe) {
  /** @type {number[]} */
  let escapes = [];
  addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Escape") escapes = [...escapes.filter((at) => event.timeStamp - at < WITHIN_MS), event.timeStamp];
      if (event.key !== "F8" && escapes.length < TIMES) return;
      event.preventDefault();
      panic(wipe);
    },
    { capture: true },
  );
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
