/**
 * Keeps a session connected: opens the WebSocket, opens another one when it breaks, and tries at once when the network or the user returns.
 */
import { PATH, PROTOCOL, reconnectAfter } from "../protocol/codes.js";
import { Session } from "../protocol/session.js";
import { Backoff } from "./backoff.js";

/** @typedef {import("../protocol/events.js").ServerEvent} ServerEvent */
/** @typedef {import("../protocol/events.js").Limits} Limits */

/** An acknowledgement waits this long for company. */
const ACK_WITHIN_MS = 250;
/** A connection that is silent for this long is asked whether it lives; browsers do not show the server's pings to pages. */
const SILENCE_MS = 15_000;
/** A word of ours that is unanswered for this long makes the connection doubtful. */
const DOUBT_MS = 3_000;
/** The time to answer that, and to connect. */
const ANSWER_MS = 15_000;
/** The same when the person or the network has just come back: then somebody is waiting. */
const IMPATIENT_MS = 4_000;
/** What our own close frames say: 1000 is a goodbye, after which the server keeps no place; anything else is not. */
const GOODBYE = 1000;
const COMING_BACK = 4000;
/** A session that is unknown so long before its time, in seconds, was forgotten. */
const RESTART_SURE_S = 5;
/** No announced restart takes longer than this. */
const LONGEST_RESTART_MS = 300_000;

/**
 * Why a session is over: by one's own wish; the server keeps it no longer; the server restarted and has forgotten it; the server closed for good; the
 * server broke the protocol, or speaks another version of it; there was never a connection.
 *
 * @typedef {"closed" | "session-lost" | "removed" | "restarted" | "refused" | "protocol" | "version" | "unreachable"} End
 */

/** "doubtful": something that was sent has not been answered for a while. @typedef {"connecting" | "live" | "doubtful" | "away"} LineState */

/**
 * @typedef {object} Handlers
 * @property {(event: ServerEvent) => void} event in order
 * @property {(state: LineState) => void} state
 * @property {(end: End) => void} ended
 */

/** What is outside, for tests. @typedef {{ WebSocket?: typeof WebSocket, backoff?: Backoff }} World */

/** One session with the relay at `origin`. */
export class Connection {
  /**
   * @param {string} origin `https://HOST[:PORT]`
   * @param {Handlers} handlers
   * @param {World} [world]
   */
  constructor(origin, handlers, world = {}) {
    this.url = origin.replace(/^http/, "ws") + PATH;
    this.handlers = handlers;
    this.WebSocket = world.WebSocket ?? WebSocket;
    this.backoff = world.backoff ?? new Backoff();
    this.session = new Session({
      send: (frame) => this.socket?.send(frame),
      deliver: (event) => this.deliver(event),
      live: () => this.becameLive(),
      lost: (reason) => this.end(this.whyLost(reason)),
    });
    /** @type {WebSocket | undefined} */
    this.socket = undefined;
    /** @type {Limits | undefined} */
    this.limits = undefined;
    this.notice = "";
    this.over = false;
    /** @type {number | undefined} */
    this.restartMs = undefined;
    /** The server said that it restarts, and this session has not been taken up since. */
    this.restarting = false;
    /** When the server last said anything, in milliseconds of this page's clock. */
    this.heardAt = 0;
    this.isDoubtful = false;
    /** When the connection was lost, in milliseconds of this page's clock. */
    this.awayAt = 0;
    /** When the server will have given the session up, in milliseconds of this page's clock. */
    this.keptUntil = 0;
    /** @type {Record<"retry" | "ack" | "silence" | "answer" | "doubt", ReturnType<typeof setTimeout> | undefined>} */
    this.timers = { retry: undefined, ack: undefined, silence: undefined, answer: undefined, doubt: undefined };
    this.wake = () => this.woken();
    this.unplugged = () => this.socket && this.broken(this.socket, 1006);
    this.watch("addEventListener");
    this.open();
  }

  /**
   * Sends a command; the callback is called in the order of events.
   *
   * @param {string} cmd
   * @param {object} data
   * @param {(answer: import("../protocol/session.js").Answer) => void} answered
   */
  request(cmd, data, answered) {
    if (this.over) return answered({ cmd: "uncertain" });
    this.session.request(cmd, data, answered);
    if (this.session.phase === "live") this.timers.doubt ??= setTimeout(() => this.doubt(), DOUBT_MS);
  }

  doubt() {
    if (this.session.phase !== "live") return;
    this.isDoubtful = true;
    this.handlers.state("doubtful");
  }

  /** Somebody is about to use the connection: asks whether it lives, unless the server has just said something. */
  use() {
    if (!this.over && Date.now() - this.heardAt > DOUBT_MS && this.timers.doubt === undefined) this.probe(ANSWER_MS);
  }

  /** Ends the session for good. */
  close() {
    this.end("closed");
  }

  /** @param {"addEventListener" | "removeEventListener"} how */
  watch(how) {
    globalThis.window?.[how]("online", this.wake);
    globalThis.window?.[how]("offline", this.unplugged);
    globalThis.document?.[how]("resume", this.wake);
    globalThis.document?.[how]("visibilitychange", this.wake);
  }

  open() {
    clearTimeout(this.timers.retry);
    const socket = new this.WebSocket(this.url);
    this.socket = socket;
    this.handlers.state(this.keptUntil ? "away" : "connecting");
    this.setTimer("answer", ANSWER_MS, () => this.broken(socket, 1006));
    socket.onopen = () => this.session.connected();
    socket.onmessage = ({ data }) => this.received(socket, data);
    socket.onclose = ({ code }) => this.broken(socket, code);
  }

  /** @param {WebSocket} socket @param {unknown} data */
  received(socket, data) {
    if (socket !== this.socket) return;
    clearTimeout(this.timers.answer);
    clearTimeout(this.timers.doubt);
    this.timers.doubt = undefined;
    this.heardAt = Date.now();
    if (this.isDoubtful) {
      this.isDoubtful = false;
      this.handlers.state("live");
    }
    this.setTimer("silence", SILENCE_MS, () => this.probe(ANSWER_MS));
    try {
      if (typeof data !== "string") throw new TypeError("binary");
      this.session.receive(data);
    } catch {
      this.end("protocol");
      return;
    }
    this.session.ack(false);
    if (this.session.unackedEvents > 0) this.timers.ack ??= setTimeout(() => this.sendAck(), ACK_WITHIN_MS);
  }

  sendAck() {
    this.timers.ack = undefined;
    this.session.ack(true);
  }

  /** @param {ServerEvent} event */
  deliver(event) {
    if (event.cmd === "hello") {
      if (event.protocol !== PROTOCOL) {
        this.end("version");
        return;
      }
      const first = this.limits === undefined;
      this.limits = event.limits;
      this.notice = event.notice;
      if (first) this.becameLive();
    } else if (event.cmd === "restarting") {
      this.restartMs = Math.min(event.reconnectInMs, LONGEST_RESTART_MS);
      this.restarting = true;
    } else {
      this.handlers.event(event);
    }
  }

  becameLive() {
    this.backoff.reset();
    this.restarting = false;
    this.isDoubtful = false;
    const { resume_window_s, ping_interval_s, pong_timeout_s } = this.limits ?? { resume_window_s: 0, ping_interval_s: 0, pong_timeout_s: 0 };
    this.keptForMs = Math.min(resume_window_s + ping_interval_s + pong_timeout_s, 90_000) * 1000;
    this.keptUntil = Infinity;
    this.handlers.state("live");
  }

  /** A server that knows nothing of a session which it should still keep has restarted. @param {string | null} reason as the server says @returns {End} */
  whyLost(reason) {
    if (reason === "removed") return "removed";
    const isEarly = reason === null && Date.now() - this.awayAt < ((this.limits?.resume_window_s ?? 0) - RESTART_SURE_S) * 1000;
    return this.restarting || isEarly ? "restarted" : "session-lost";
  }

  /** @param {WebSocket} socket @param {number} code */
  broken(socket, code) {
    if (socket !== this.socket || this.over) return;
    this.drop();
    if (!reconnectAfter(code)) return this.end("refused");
    if (this.keptUntil === 0) return this.end("unreachable");
    if (!this.session.resumable) return this.end(this.restarting ? "restarted" : "session-lost");
    const wait = this.restartMs ?? this.backoff.next();
    if (this.keptUntil === Infinity) this.awayAt = Date.now();
    if (this.keptUntil === Infinity) this.keptUntil = Date.now() + (this.keptForMs ?? 0) + (this.restartMs ?? 0);
    this.restartMs = undefined;
    if (Date.now() > this.keptUntil) return this.end(this.restarting ? "restarted" : "session-lost");
    this.handlers.state("away");
    this.setTimer("retry", wait, () => this.open());
  }

  /** Lets go of the present socket. @param {number} code */
  drop(code = COMING_BACK) {
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.timers.ack = this.timers.doubt = undefined;
    const socket = this.socket;
    this.socket = undefined;
    this.session.disconnected();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  /** Asks the server for a word; without one the connection is taken for dead. @param {number} within milliseconds */
  probe(within) {
    const socket = this.socket;
    if (!socket || this.session.phase !== "live") return;
    this.request("ack", { seq: this.session.seq }, () => {});
    this.setTimer("answer", within, () => this.broken(socket, 1006));
  }

  /** The network is back, or somebody looks at the page again. */
  woken() {
    if (this.over || globalThis.document?.visibilityState === "hidden") return;
    if (this.socket) this.probe(IMPATIENT_MS);
    else this.open();
  }

  /** @param {"retry" | "ack" | "silence" | "answer" | "doubt"} name @param {number} ms @param {() => void} act */
  setTimer(name, ms, act) {
    clearTimeout(this.timers[name]);
    this.timers[name] = setTimeout(act, ms);
  }

  /** @param {End} end */
  end(end) {
    if (this.over) return;
    this.over = true;
    this.watch("removeEventListener");
    this.drop(end === "closed" ? GOODBYE : COMING_BACK);
    this.session.end();
    this.handlers.ended(end);
  }
}
