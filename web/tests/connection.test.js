/** The connection: reconnecting, obeying close codes and announced restarts, and giving up when the server will have. */
import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { Backoff } from "../app/client/backoff.js";
import { Connection } from "../app/client/connection.js";

const LIMITS = { frame_bytes: 1, resume_window_s: 60, ping_interval_s: 25, pong_timeout_s: 20, members_per_room: 1 };

/** A WebSocket that a test holds the other end of. */
class FakeSocket {
  static all = [];

  constructor(url) {
    this.url = url;
    this.frames = [];
    FakeSocket.all.push(this);
  }

  send(frame) {
    this.frames.push(JSON.parse(frame));
  }

  close(code) {
    this.closed = code;
  }

  greet(token, protocol = 1) {
    this.onopen();
    this.get({ cmd: "hello", data: { protocol, notice: "be kind", limits: LIMITS, resume_token: token } });
  }

  get(frame) {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  drop(code) {
    this.onclose?.({ code });
  }
}

/** A connection whose first socket has been greeted, and is resumable. */
function connect(t) {
  FakeSocket.all = [];
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  t.after(() => mock.timers.reset());
  const log = [];
  const handlers = { event: (event) => log.push(event.cmd), state: (state) => log.push(state), ended: (end) => log.push(`ended: ${end}`) };
  const connection = new Connection("https://host:1", handlers, { WebSocket: FakeSocket, backoff: new Backoff(() => 0.5) });
  t.after(() => connection.close());
  const socket = FakeSocket.all[0];
  const live = () => {
    socket.greet("A");
    socket.get({ cmd: "resumed", id: socket.frames[0].id, data: { seq: 0 } });
  };
  return { connection, log, socket, live, newest: () => FakeSocket.all.at(-1) };
}

test("connects to /v1 of the origin, and hands on what the host says", (t) => {
  const { connection, log, socket, live } = connect(t);
  assert.equal(socket.url, "wss://host:1/v1");
  live();
  assert.equal(connection.notice, "be kind");
  assert.deepEqual(log, ["connecting", "live"]);
});

test("comes back after a while, and resumes", (t) => {
  const { log, socket, live, newest } = connect(t);
  live();
  socket.drop(4001);
  assert.equal(FakeSocket.all.length, 1);
  mock.timers.tick(250);
  assert.equal(FakeSocket.all.length, 2);
  const next = newest();
  next.greet("B");
  assert.deepEqual(next.frames[0].data, { token: "A", last_seq: 0 });
  next.get({ cmd: "resumed", id: next.frames[0].id, data: { seq: 0 } });
  next.get({ cmd: "ack", id: next.frames[1].id, data: { seq: 0 } });
  assert.deepEqual(log.slice(2), ["away", "away", "live"]);
});

test("stays away when the close code says so", (t) => {
  const { log, socket, live } = connect(t);
  live();
  socket.drop(4500);
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.equal(log.at(-1), "ended: refused");
});

test("obeys the time that an announced restart names", (t) => {
  const { socket, live } = connect(t);
  live();
  socket.get({ cmd: "restarting", data: { reconnect_in_ms: 7_000 } });
  socket.drop(4000);
  mock.timers.tick(6_999);
  assert.equal(FakeSocket.all.length, 1);
  mock.timers.tick(1);
  assert.equal(FakeSocket.all.length, 2);
});

test("tries at once when somebody comes back", (t) => {
  const { connection, socket, live } = connect(t);
  live();
  socket.drop(1006);
  connection.woken();
  assert.equal(FakeSocket.all.length, 2);
});

test("gives up when the server will have", (t) => {
  const { log, socket, live, newest } = connect(t);
  live();
  socket.drop(1006);
  for (let i = 0; i < 30; i++) {
    mock.timers.tick(15_000);
    newest().drop(1006);
  }
  assert.equal(log.at(-1), "ended: session-lost");
});

test("finds out by itself that a silent connection is dead", (t) => {
  const { socket, live, log } = connect(t);
  live();
  mock.timers.tick(25_000);
  assert.equal(socket.frames.at(-1).cmd, "ack");
  mock.timers.tick(15_000);
  // Not a goodbye: the server shall keep the place.
  assert.equal(socket.closed, 4000);
  assert.equal(log.at(-1), "away");
});

test("a connection that answers stays", (t) => {
  const { socket, live } = connect(t);
  live();
  for (let i = 0; i < 5; i++) {
    mock.timers.tick(25_000);
    const { id } = socket.frames.at(-1);
    socket.get({ cmd: "ack", id, data: { seq: 0 } });
  }
  assert.ok(!socket.closed);
});

test("another version of the protocol, binary frames and nonsense end it", (t) => {
  const first = connect(t);
  first.socket.greet("A", 2);
  assert.equal(first.log.at(-1), "ended: version");
  for (const bad of ["nonsense", new ArrayBuffer(3)]) {
    mock.timers.reset();
    const { log, socket, live } = connect(t);
    live();
    socket.onmessage({ data: bad });
    assert.equal(log.at(-1), "ended: protocol");
  }
});

test("closing says goodbye", (t) => {
  const { connection, log, socket, live } = connect(t);
  live();
  connection.close();
  assert.equal(socket.closed, 1000);
  assert.equal(log.at(-1), "ended: closed");
});

test("a server that was never there is unreachable", (t) => {
  const { log, socket } = connect(t);
  socket.drop(1006);
  assert.equal(log.at(-1), "ended: unreachable");
});
