/**
 * Makes elements. It sets text only as text, and offers no way to set markup.
 */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element with properties, attributes (names with a hyphen, `role`, `for`), listeners (`onclick` and so on) and children.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = String(value);
    else if (name.includes("-") || name === "role" || name === "for" || name === "list") element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  append(element, children);
  return element;
}

/** @param {Element} parent @param {Child[]} children */
function append(parent, children) {
  parent.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...SVGElement} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Replaces all children. @param {Element} parent @param {...Child} children */
export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/** Whether a key belongs to the composition of a character. Safari ends the composition first and tells of it only by 229. @param {KeyboardEvent} event */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

let lastId = 0;
/** An id for what must be named by another element. @param {string} what */
export const newId = (what) => `${what}-${++lastId}`;

/**
 * A labelled form field.
 *
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} control
 * @param {string} [hint]
 */
export function field(label, control, hint) {
  control.id ||= newId("field");
  const hintId = hint ? newId("hint") : undefined;
  if (hintId) control.setAttribute("aria-describedby", hintId);
  return h(
    "div",
    { class: "field" },
    h("label", { for: control.id }, label),
    control,
    hint && h("p", { class: "hint", id: hintId }, hint),
  );
}

/** Text whose isolated parts (see `phrase`) stand in elements of their own: names and texts of members reach no further than their place. @param {string} text */
export const isolated = (text) => text.split(/[\u2068\u2069]/).map((part, i) => (i % 2 === 1 ? h("bdi", {}, part) : part));

/** A choice. @param {[value: string, label: string][]} options @param {string} chosen */
export function select(options, chosen) {
  const control = h("select", {}, ...options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
  control.value = chosen;
  return control;
}
