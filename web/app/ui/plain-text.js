/**
 * Makes text of members safe to display: it cannot change anything outside its own element.
 */

/** Controls, and characters that turn or isolate the direction of what follows. Marks and joiners of a script stay. */
const UNSHOWN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\u{e0001}]/gu;
/** Marks that are stacked higher than any language does. */
const STACKED = /(\p{M}{4})\p{M}+/gu;

/** @param {string} text */
export const harmless = (text) => text.replace(UNSHOWN, "").replace(STACKED, "$1");

const EMOJI = /^(?:\p{Extended_Pictographic}|\p{RI}|\p{EMod}|[\u200d\ufe0f\s]|[#*0-9]\ufe0f?\u20e3)+$/u;
/** So many emoji alone are shown large. */
const FEW = 6;

/** Whether a text is a few emoji and nothing else. @param {string} text */
export function isEmojiOnly(text) {
  if (text.length > 80 || !EMOJI.test(text) || text.trim() === "") return false;
  return [...new Intl.Segmenter().segment(text.replace(/\s/g, ""))].length <= FEW;
}
