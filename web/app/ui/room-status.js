/**
 * The line under the room's name: the state of the connection, the end of the room, and the number of warnings.
 */
import { fill, h } from "./dom.js";
import { shortDate, t } from "./i18n.js";
import { icon } from "./icons.js";

/** Before the end of a room its members are told, in minutes. */
const NOTES_MIN = /** @type {const} */ ([10, 1]);
const LONGEST_TIMER_MS = 2_000_000_000;

/** See the module. */
export class RoomStatus {
  /** @param {import("../client/room.js").Room} room @param {(text: string) => void} note */
  constructor(room, note) {
    this.room = room;
    this.state = h("span", { class: "status-line", role: "status" }, t("room.live"));
    this.end = h("span", { class: "status-end", hidden: true });
    this.warning = h("span", { class: "status-warning", hidden: true });
    this.element = h("p", { class: "status" }, this.warning, this.state, this.end);
    /** @type {ReturnType<typeof setTimeout>[]} */
    this.timers = [];
    this.note = note;
    this.showEnd();
  }

  /** @param {import("../client/connection.js").LineState} state */
  line(state) {
    const text = t(`room.${state}`);
    if (this.state.textContent !== text) fill(this.state, text);
  }

  /** @param {number} count of warnings that nobody has taken note of */
  warn(count) {
    this.warning.hidden = count === 0;
    fill(this.warning, icon("shield"), t("room.warnings", { count }));
  }

  showEnd() {
    const { endsAt } = this.room;
    if (endsAt === undefined) return;
    this.end.hidden = false;
    fill(this.end, t("room.ends", { date: shortDate(endsAt) }));
    for (const minutes of NOTES_MIN) {
      const wait = endsAt - minutes * 60_000 - Date.now();
      if (wait > 0 && wait < LONGEST_TIMER_MS) this.timers.push(setTimeout(() => this.note(t(`room.endsIn.${minutes}`)), wait));
    }
  }

  stop() {
    for (const timer of this.timers) clearTimeout(timer);
    fill(this.state, t("room.over"));
    this.end.hidden = true;
  }
}
