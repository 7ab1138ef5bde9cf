/**
 * What a session remembers across connections: which events arrived, which commands wait for their answer, which tokens take it up again. No
 * sockets and no clock: frames go in and come out.
 *
 * connection 1:  hello(token A) → resume {}        → resumed {seq}                → live
 * connection 2:  hello(token B) → resume {A, last} → resumed {seq} → replay, sync → unanswered commands again → live
 *
 * Events are numbered by counting. The end of a replay shows by the answer to a sync: an `ack` with an `id`, which the server answers after all
 * that it replays. Only then is what stayed unanswered sent again, under the same `id`.
 */
import { parseEvent, ProtocolError } from "./events.js";

/** @typedef {import("./events.js").ServerEvent} ServerEvent */

/** An `ack` goes out after this many events … */
const ACK_EVENTS = 64;
/** … or this many characters of events, since the server's window is bounded in both. */
const ACK_CHARACTERS = 256 * 1024;
/** Most tokens of connections whose `resume` went unanswered; older ones are forgotten. */
const MAX_TOKENS = 16;
/** Commands that do no harm when they are carried out twice. */
const REPEATABLE = ["list-members", "set-card", "reset-room-keys", "ack", "send-messages", "join-room-onetime"];

/**
 * What a command came to: the answer, an error of the server, or that nobody knows.
 *
 * @typedef {ServerEvent | { cmd: "uncertain" }} Answer
 */

/**
 * @typedef {object} Out what the session does to the world
 * @property {(frame: string) => void} send
 * @property {(event: ServerEvent) => void} deliver something that answers no command of ours
 * @property {() => void} live all that was missed has been replayed
 * @property {(reason: string | null) => void} lost no token takes the session up: it is over; why, if the server says so
 */

/** @typedef {{ frame: string, repeats: boolean, sent: boolean, answered: (answer: Answer) => void }} Pending */

/** One session. */
export class Session {
  /** @param {Out} out */
  constructor(out) {
    this.out = out;
    /** @type {"closed" | "hello" | "resuming" | "replaying" | "live"} */
    this.phase = "closed";
    /** Whether the server keeps the session when the connection ends. */
    this.resumable = false;
    /** Number of the last numbered event on this connection's count. */
    this.seq = 0;
    /** Number of the last event that was handed on; lower ones are repetitions. */
    this.seen = 0;
    this.unackedEvents = 0;
    this.unackedCharacters = 0;
    /** The present connection's token first, then those of older connections, newest first. @type {string[]} */
    this.tokens = [];
    this.trying = 0;
    /** Why the server refused a token, if it said so. @type {string | null} */
    this.refusal = null;
    /** In the order in which they came. @type {Map<string, Pending>} */
    this.pending = new Map();
    this.lastId = 0;
    /** The id of our own newest `resume` or sync. */
    this.ownId = "";
    /** Events were missing since the last loss: what they answered is not known. */
    this.gap = false;
  }

  /** A connection stands; the server's `hello` is the next to come. */
  connected() {
    this.phase = "hello";
  }

  /** The connection is gone. */
  disconnected() {
    this.phase = "closed";
  }

  /**
   * Sends a command. `answered` is called in the order of events.
   *
   * @param {string} cmd
   * @param {object} data
   * @param {(answer: Answer) => void} answered
   */
  request(cmd, data, answered) {
    const id = String(++this.lastId);
    const frame = JSON.stringify({ cmd, id, data });
    const live = this.phase === "live";
    this.pending.set(id, { frame, repeats: REPEATABLE.includes(cmd), sent: live, answered });
    if (live) this.out.send(frame);
  }

  /** Takes a text frame of the server. @param {string} text */
  receive(text) {
    const { id, event } = parseEvent(text);
    if (this.phase === "hello") {
      if (event.cmd !== "hello") throw new ProtocolError("no hello");
      this.greeted(event.token);
      this.out.deliver(event);
      return;
    }
    switch (event.cmd) {
      case "hello":
        throw new ProtocolError("hello");
      case "restarting":
      case "presence":
        this.out.deliver(event);
        break;
      case "resumed":
        this.resumed(event.seq, id);
        break;
      case "gap":
        this.missing(event);
        break;
      default:
        if (this.phase === "resuming") this.refusedResume(id, event);
        else if (this.count(text.length)) this.arrived(id, event);
    }
  }

  /** An `ack` when enough has come; with `now`, when anything has. @param {boolean} now */
  ack(now) {
    const due = this.unackedEvents >= ACK_EVENTS || this.unackedCharacters >= ACK_CHARACTERS;
    const able = this.resumable && (this.phase === "live" || this.phase === "replaying");
    if (this.unackedEvents === 0 || !(due || now) || !able) return;
    this.unackedEvents = this.unackedCharacters = 0;
    this.out.send(JSON.stringify({ cmd: "ack", data: { seq: this.seq } }));
  }

  /** Everything that waits learns that the session is over. */
  end() {
    this.phase = "closed";
    const pending = [...this.pending.values()];
    this.pending.clear();
    this.tokens = [];
    for (const { answered } of pending) answered({ cmd: "uncertain" });
  }

  /** @param {string} token */
  greeted(token) {
    const first = this.tokens.length === 0;
    this.tokens = [token, ...this.tokens].slice(0, MAX_TOKENS);
    if (!first) {
      this.gap = false;
      this.resumeWith(1);
      return;
    }
    this.phase = "live";
    this.ownId = `resume-${++this.lastId}`;
    this.out.send(JSON.stringify({ cmd: "resume", id: this.ownId, data: {} }));
    this.sendUnsent();
  }

  /**
   * Asks for the session with the token at `place`. They are tried newest first: an unanswered `resume` may have been carried out, and then its
   * connection's token is the good one.
   *
   * @param {number} place
   */
  resumeWith(place) {
    const token = this.tokens[place];
    if (token === undefined) {
      this.out.lost(this.refusal);
      return;
    }
    this.phase = "resuming";
    this.trying = place;
    this.ownId = `resume-${++this.lastId}`;
    this.out.send(JSON.stringify({ cmd: "resume", id: this.ownId, data: { token, last_seq: this.seen } }));
  }

  /** @param {number} seq @param {string | null} id */
  resumed(seq, id) {
    if (id !== this.ownId) throw new ProtocolError("resumed");
    this.resumable = true;
    this.tokens.length = 1;
    this.seq = seq;
    if (this.phase !== "resuming") {
      this.seen = seq;
      return;
    }
    if (seq > this.seen) this.lose(this.seen + 1, seq, "window");
    this.phase = "replaying";
    this.ownId = `sync-${++this.lastId}`;
    this.out.send(JSON.stringify({ cmd: "ack", id: this.ownId, data: { seq: this.seen } }));
    this.unackedEvents = this.unackedCharacters = 0;
  }

  /** @param {string | null} id @param {ServerEvent} event */
  refusedResume(id, event) {
    if (event.cmd !== "error" || id !== this.ownId) return;
    this.refusal = event.reason ?? this.refusal;
    this.tokens.splice(this.trying, 1);
    this.resumeWith(this.trying);
  }

  /** @param {{ from: number, to: number, reason: string }} gap */
  missing({ from, to, reason }) {
    if (to < from || to < this.seq) throw new ProtocolError("gap");
    this.seq = to;
    if (to <= this.seen) return;
    // Of joins and leaves nothing is missing: the event that names the members stands for them.
    if (reason === "members") this.seen = to;
    else this.lose(Math.max(from, this.seen + 1), to, reason);
  }

  /** @param {number} from @param {number} to @param {string} reason */
  lose(from, to, reason) {
    this.gap = true;
    this.seen = to;
    this.out.deliver({ cmd: "gap", from, to, reason });
  }

  /** Counts a numbered event; false for a repetition. @param {number} characters */
  count(characters) {
    this.seq += 1;
    this.unackedEvents += 1;
    this.unackedCharacters += characters;
    if (this.seq <= this.seen) return false;
    this.seen = this.seq;
    return true;
  }

  /** @param {string | null} id @param {ServerEvent} event */
  arrived(id, event) {
    if (id === null) {
      this.out.deliver(event);
    } else if (this.phase === "replaying" && id === this.ownId) {
      this.goLive();
    } else {
      // Answers to what nobody waits for any more end here.
      const pending = this.pending.get(id);
      this.pending.delete(id);
      pending?.answered(event);
    }
  }

  /** The replay is over: what stayed unanswered goes out again, what came meanwhile for the first time. */
  goLive() {
    this.phase = "live";
    this.out.live();
    for (const [id, pending] of [...this.pending]) {
      if (!pending.sent || !this.gap || pending.repeats) continue;
      this.pending.delete(id);
      pending.answered({ cmd: "uncertain" });
    }
    for (const pending of this.pending.values()) pending.sent = false;
    this.sendUnsent();
  }

  sendUnsent() {
    for (const pending of this.pending.values()) {
      if (pending.sent) continue;
      pending.sent = true;
      this.out.send(pending.frame);
    }
  }
}
