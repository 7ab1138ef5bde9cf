/**
 * The few pictures of the interface, drawn by hand. They are decoration: a text beside them or a label contains their meaning.
 */
import { svg } from "./dom.js";

/** @type {Record<string, string>} */
const PATHS = {
  send: "M4 12l16-8-6 16-3-7-7-1z",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zm-6.5 9c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M16 4.4a3.5 3.5 0 0 1 0 6.2m2 3.9c2.1.9 3.5 2.8 3.5 5.5",
  invite: "M12 5v14M5 12h14",
  more: "M5 11.4a.6.6 0 1 0 0 1.2.6.6 0 0 0 0-1.2zm7 0a.6.6 0 1 0 0 1.2.6.6 0 0 0 0-1.2zm7 0a.6.6 0 1 0 0 1.2.6.6 0 0 0 0-1.2z",
  leave: "M10 4H5v16h5M14 8l4 4-4 4m4-4H9",
  close: "M6 6l12 12M18 6L6 18",
  up: "M12 19V5m-6 6l6-6 6 6",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L20 20",
  shield: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 11.5l2.2 2.2L15.5 9.5",
  warning: "M12 4l9 16H3zM12 10v4m0 3h.01",
  check: "M5 12.5l4.5 4.5L19 7.5",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z",
  down: "M12 5v14m-6-6l6 6 6-6",
  share: "M12 15V4m-4 4l4-4 4 4M6 11H4v9h16v-9h-2",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zm8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}

/** The rose under which things are said. */
export function rose() {
  const petals = [
    "M32 34c-5-1-8-5-7-9 1-4 6-6 10-4 4 2 5 7 2 10-2 2-5 2-7 0-1-2 0-4 2-5",
    "M25 25c-5 1-8 5-7 10 1 5 6 9 13 9 8 0 14-5 14-12 0-6-4-11-10-12",
    "M20 22c2-7 9-10 16-8 7 1 13 7 13 15 0 12-8 20-18 20S13 42 13 33c0-5 3-9 7-11z",
  ];
  const strokes = petals.map((d) => svg("path", { d }));
  return svg("svg", { viewBox: "8 8 48 48", class: "rose", "aria-hidden": "true" }, ...strokes);
}
