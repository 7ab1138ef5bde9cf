/**
 * The start of the web client: removes the invite from the address, and switches between the three screens. It stores nothing; all data is in this
 * page and ends with it.
 */
import { takenLink, watchFragment } from "./fragment.js";
import { wishedLanguage } from "./early.js";
import { findLink } from "../client/find-link.js";
import { isSupported } from "../sealed/identity.js";
import { announce, mountAnnouncer } from "./announce.js";
import { resetAttention } from "./attention.js";
import { closeDialogs, openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { explain } from "./errors.js";
import { t } from "./i18n.js";
import { joinScreen } from "./join-screen.js";
import { panic, watchPanicKey } from "./panic.js";
import { startScreen } from "./start-screen.js";

/** @typedef {import("../client/index.js").Room} Room */

/** The one room of this page. @type {{ room: Room, screen: import("./room-screen.js").RoomScreen } | undefined} */
let present;
/** A room whose screen is being loaded. @type {Room | undefined} */
let entering;
/** What came before the room was shown. @type {import("../client/room/room-events.js").RoomEvent[]} */
let before = [];
/** Ends the wait of a room that is over but still to be read. @type {(() => void) | undefined} */
let stopWaiting;

const wipe = () => {
  stopWaiting?.();
  (present?.room ?? entering)?.abandon();
  present = entering = undefined;
  before = [];
};

/** @type {import("./start-screen.js").Go} */
const go = {
  handlers: {
    event: (event) => {
      if (event.type === "ended") return over(event.ending);
      if (present) present.screen.tell(event);
      else before.push(event);
    },
    state: (state) => present?.screen.connection(state),
  },
  entered: async (room) => {
    entering = room;
    const { RoomScreen } = await import("./room-screen.js");
    // It may have ended meanwhile.
    if (entering !== room) return;
    const screen = new RoomScreen(room, { panic: () => panic(wipe) });
    present = { room, screen };
    show(screen.element);
    for (const event of before.splice(0)) screen.tell(event);
    screen.shown();
  },
  look: async (text) => {
    const { link, url } = await findLink(text, location.origin);
    show(await joinScreen(link, url, go));
  },
  start: (message) => show(startScreen(go, message)),
};

/** @param {import("../client/room/room-events.js").Ending} ending */
function over(ending) {
  const screen = present?.screen;
  present = undefined;
  before = [];
  entering = undefined;
  closeDialogs();
  const text = t(`ended.${ending}`);
  const end = () => {
    stopWaiting = undefined;
    resetAttention();
    go.start(text);
  };
  // One's own going needs no time to read; everything else comes as a surprise.
  if (!screen || ending === "left" || screen.isLeaving) end();
  else stopWaiting = screen.freeze(text, end);
  announce(text, ending !== "left");
}

/** @param {HTMLElement} screen */
function show(screen) {
  document.querySelector("main")?.remove();
  document.body.prepend(screen);
  scrollTo(0, 0);
  const heading = screen.querySelector("h1");
  if (heading) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}

/** An invite was put into the address of this page. @param {string} text */
async function open(text) {
  if (present) return askBeforeLeaving(present.room, text);
  stopWaiting?.();
  try {
    await go.look(text);
  } catch (error) {
    go.start(explain(error));
  }
}

/** @param {Room} room @param {string} text of the invite */
async function askBeforeLeaving(room, text) {
  let url;
  try {
    ({ url } = await findLink(text, location.origin));
  } catch (error) {
    return present?.screen.about.problem(explain(error));
  }
  openDialog(t("another.title"), (close) => [
    h("p", {}, t("another.question", { room: room.roomName || t("app.untitled") })),
    h(
      "div",
      { class: "actions stacked" },
      h("button", { type: "button", autofocus: true, onclick: close }, t("another.stay")),
      h("button", { type: "button", onclick: () => (close(), globalThis.open(url, "_blank", "noopener")) }, t("another.newTab")),
      h("button", { type: "button", class: "danger", onclick: () => (close(), room.leave().then(() => open(url))) }, t("another.leave")),
    ),
  ]);
}

async function begin() {
  await wishedLanguage;
  mountAnnouncer();
  if (!(await isSupported())) return show(h("main", { class: "start" }, h("h1", {}, "Subrosa"), h("p", {}, t("app.unsupported"))));
  watchPanicKey(wipe);
  watchFragment(open);
  addEventListener("pagehide", wipe);
  addEventListener("beforeunload", (event) => present && event.preventDefault());
  const link = takenLink();
  if (link) await open(link);
  else go.start();
  // What a room needs comes while the person reads and types.
  await import("./room-screen.js");
  await import("../client/index.js");
}

begin();
