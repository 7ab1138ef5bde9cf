/**
 * Attracts the attention of a user who looks elsewhere: by the title, a notification or a sound. None of them contains the text or the author. The
 * title contains the room's name only if the user chooses that, because browsers remember titles.
 */
import { t } from "./i18n.js";

let unread = 0;
let name = "";
let showsName = false;
let notifies = false;
let sounds = false;
/** @type {AudioContext | undefined} */
let audio;

/** @param {string} room the room that the page is about; empty for none */
export function setRoomName(room) {
  name = room;
  show();
}

/** @param {boolean} wanted */
export function showNameInTitle(wanted) {
  showsName = wanted;
  show();
}

function show() {
  const title = name && showsName ? `${name} · Subrosa` : "Subrosa";
  document.title = unread > 0 ? `(${unread}) ${title}` : title;
}

/** Forgets everything. */
export function resetAttention() {
  unread = 0;
  notifies = showsName = sounds = false;
  audio?.close();
  audio = undefined;
  setRoomName("");
}

export const isWatched = () => document.visibilityState === "visible" && document.hasFocus();

/** Something happened that a person wants to know. @param {"message" | "joined" | "alarm"} what */
export function somethingHappened(what) {
  if (isWatched()) return;
  unread += 1;
  show();
  if (sounds) play(what === "alarm" ? [440, 330] : [660, 880]);
  if (!notifies) return;
  try {
    new Notification("Subrosa", { body: t(`notify.${what}`), tag: `subrosa-${what}`, silent: sounds });
  } catch {
    // Some phones allow pages no notifications of this kind.
    notifies = false;
  }
}

/** Two soft notes. @param {number[]} notes in hertz */
function play(notes) {
  if (!audio) return;
  const { currentTime, destination } = audio;
  for (const [i, frequency] of notes.entries()) {
    const at = currentTime + i * 0.14;
    const tone = new OscillatorNode(audio, { frequency });
    const volume = new GainNode(audio, { gain: 0 });
    volume.gain.setValueAtTime(0.0001, at);
    volume.gain.exponentialRampToValueAtTime(0.12, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.3);
    tone.connect(volume).connect(destination);
    tone.start(at);
    tone.stop(at + 0.32);
  }
}

const seen = () => {
  if (document.visibilityState !== "visible") return;
  unread = 0;
  show();
};
addEventListener("focus", seen);
document.addEventListener("visibilitychange", seen);

export const canNotify = () => "Notification" in globalThis && Notification.permission !== "denied";
export const settings = () => ({ notifies, sounds, showsName });

/** @param {boolean} wanted @returns {Promise<boolean>} what holds now */
export async function setNotifying(wanted) {
  notifies = wanted && canNotify() && (await Notification.requestPermission()) === "granted";
  return notifies;
}

/** @param {boolean} wanted by a click, without which browsers play nothing */
export function setSounding(wanted) {
  sounds = wanted;
  if (!wanted) return;
  audio ??= new AudioContext();
  audio.resume();
  play([660, 880]);
}
