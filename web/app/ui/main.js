/**
 * The web client's beginning: takes the invite out of the address, and moves between its three screens. Nothing is stored anywhere; what there is lives
 * in this page and ends with it.
 */
import { takenLink, watchFragment } from "./fragment.js";
import { isSupported, parseLink } from "../client/index.js";
import { announce, mountAnnouncer } from "./announce.js";
import { resetAttention } from "./attention.js";
import { closeDialogs } from "./dialog.js";
import { h } from "./dom.js";
import { explain } from "./errors.js";
import { followBrowser, t } from "./i18n.js";
import { joinScreen } from "./join-screen.js";
import { panic, watchPanicKey } from "./panic.js";
import { RoomScreen } from "./room-screen.js";
import { startScreen } from "./start-screen.js";

/** @typedef {import("../client/index.js").Room} Room */

/** The one room of this page. @type {{ room: Room, screen: RoomScreen } | undefined} */
let present;
/** What came before the room was shown. @type {import("../client/room/machine.js").RoomEvent[]} */
let before = [];

const wipe = () => {
  present?.room.abandon();
  present = undefined;
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
  entered: (room, staysWithoutOwner) => {
    const screen = new RoomScreen(room, { staysWithoutOwner, panic: () => panic(wipe) });
    present = { room, screen };
    show(screen.element);
    for (const event of before.splice(0)) screen.tell(event);
    screen.shown();
  },
  look: async (url) => {
    const link = await parseLink(url);
    show(await joinScreen(link, url.trim(), go));
  },
  start: () => show(startScreen(go)),
};

/** @param {import("../client/room/machine.js").Ending} ending */
function over(ending) {
  present = undefined;
  before = [];
  closeDialogs();
  resetAttention();
  const text = t(`ended.${ending}`);
  show(startScreen(go, text));
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

/** @param {string} link */
async function open(link) {
  // Whoever is in a room stays there: a link can be opened in another tab.
  if (present) return;
  try {
    await go.look(link);
  } catch (error) {
    show(startScreen(go, explain(error)));
  }
}

async function begin() {
  await followBrowser(navigator.languages);
  mountAnnouncer();
  if (!(await isSupported())) return show(h("main", { class: "start" }, h("h1", {}, "Subrosa"), h("p", {}, t("app.unsupported"))));
  watchPanicKey(wipe);
  watchFragment(open);
  addEventListener("pagehide", wipe);
  addEventListener("beforeunload", (event) => present && event.preventDefault());
  const link = takenLink();
  if (link) await open(link);
  else go.start();
}

begin();
