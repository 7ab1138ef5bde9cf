/** The session across connections: numbering, acknowledging, resuming, gaps, and commands whose answer was lost. */
import assert from "node:assert/strict";
import test from "node:test";

import { Backoff } from "../app/client/backoff.js";
import { reconnectAfter } from "../app/protocol/codes.js";
import { parseEvent, ProtocolError } from "../app/protocol/events.js";
import { Session } from "../app/protocol/session.js";

const LIMITS = { frame_bytes: 1, resume_window_s: 1, ping_interval_s: 1, pong_timeout_s: 1, members_per_room: 1 };
const hello = (token) => ({ cmd: "hello", data: { protocol: 1, notice: "", limits: LIMITS, resume_token: token } });
const message = (content) => ({ cmd: "send-message", data: { room_id: "r", user_id: "u", username: "", content } });

/** A session with a record of what it does. */
function record() {
  const log = { frames: [], told: [], lives: 0, lost: 0 };
  const session = new Session({
    send: (frame) => log.frames.push(JSON.parse(frame)),
    deliver: (event) => event.cmd !== "hello" && log.told.push(event.content ?? `${event.from}-${event.to}`),
    live: () => log.lives++,
    lost: () => log.lost++,
  });
  const get = (...frames) => frames.forEach((frame) => session.receive(JSON.stringify(frame)));
  const sent = () => log.frames.splice(0);
  return { session, log, get, sent };
}

/** On its first connection, resumable. */
function started() {
  const all = record();
  all.session.connected();
  all.get(hello("A"));
  const [resume] = all.sent();
  assert.deepEqual([resume.cmd, resume.data], ["resume", {}]);
  all.get({ cmd: "resumed", id: resume.id, data: { seq: 0 } });
  return all;
}

/** Breaks the connection, and has the next one's `hello` come. */
function again(all, token) {
  all.session.disconnected();
  all.session.connected();
  all.get(hello(token));
  return all.sent()[0];
}

test("events are handed on once, whatever the replay repeats", () => {
  const all = started();
  all.get(message("1"), message("2"));
  const resume = again(all, "B");
  assert.deepEqual([resume.cmd, resume.data], ["resume", { token: "A", last_seq: 2 }]);
  all.get({ cmd: "resumed", id: resume.id, data: { seq: 1 } }, message("2"), message("3"));
  const [sync] = all.sent();
  assert.equal(sync.cmd, "ack");
  assert.equal(all.log.lives, 0);
  all.get({ cmd: "ack", id: sync.id, data: { seq: 2 } });
  assert.equal(all.log.lives, 1);
  all.get(message("4"));
  assert.deepEqual(all.log.told, ["1", "2", "3", "4"]);
});

test("a resume that went unanswered is tried with its own connection's token first, then with the older", () => {
  const all = started();
  again(all, "B");
  const first = again(all, "C");
  assert.equal(first.data.token, "B");
  all.get({ cmd: "resume-error", id: first.id, data: { room_id: "", code: "denied", msg: "", retry: "no" } });
  const [second] = all.sent();
  assert.equal(second.data.token, "A");
  all.get({ cmd: "resume-error", id: second.id, data: { room_id: "", code: "denied", msg: "", retry: "no" } });
  assert.equal(all.log.lost, 1);
});

test("what went unanswered is sent again with its id after the replay, unless it was answered in it", () => {
  const all = started();
  const answers = [];
  all.session.request("send-messages", { n: 1 }, (answer) => answers.push(["one", answer.cmd]));
  all.session.request("leave-room", {}, (answer) => answers.push(["two", answer.cmd]));
  const ids = all.sent().map(({ id }) => id);
  const resume = again(all, "B");
  all.session.request("set-card", {}, (answer) => answers.push(["three", answer.cmd]));
  all.get({ cmd: "resumed", id: resume.id, data: { seq: 0 } });
  const [sync] = all.sent();
  all.get({ cmd: "leave-room", id: ids[1], data: { room_id: "r" } }, { cmd: "ack", id: sync.id, data: { seq: 1 } });
  const frames = all.sent();
  assert.deepEqual(frames.map(({ cmd }) => cmd), ["send-messages", "set-card"]);
  assert.equal(frames[0].id, ids[0]);
  assert.deepEqual(answers, [["two", "done"]]);
});

test("a gap that an event with all members stands for loses nothing, and presence is not counted", () => {
  const all = started();
  all.get(message("1"));
  const resume = again(all, "B");
  const members = { cmd: "members", data: { room_id: "r", owner_id: "u", users: [], here: ["u"], away: [], version: 2 } };
  const gap = { cmd: "gap", data: { from: 3, to: 7, reason: "members" } };
  const presence = { cmd: "presence", data: { room_id: "r", away: [], back: [] } };
  all.session.out.deliver = (event) => all.log.told.push(event.cmd);
  all.get({ cmd: "resumed", id: resume.id, data: { seq: 1 } }, members, gap, presence, message("8"));
  assert.deepEqual(all.log.told, ["1", "members", "presence", "send-message"]);
  assert.equal(all.session.seq, 8);
});

test("after a gap, what cannot be repeated is uncertain", () => {
  const all = started();
  const answers = [];
  all.session.request("remove-member", {}, (answer) => answers.push(answer.cmd));
  all.session.request("send-messages", {}, (answer) => answers.push(answer.cmd));
  all.get(message("1"));
  all.sent();
  const resume = again(all, "B");
  all.get({ cmd: "resumed", id: resume.id, data: { seq: 1 } }, { cmd: "gap", data: { from: 2, to: 7, reason: "window" } }, message("8"));
  const [sync] = all.sent();
  all.get({ cmd: "ack", id: sync.id, data: { seq: 1 } });
  assert.deepEqual(all.log.told, ["1", "2-7", "8"]);
  assert.deepEqual(answers, ["uncertain"]);
  assert.deepEqual(all.sent().map(({ cmd }) => cmd), ["send-messages"]);
});

test("acknowledgements name the last event, and come when enough has come", () => {
  const all = started();
  all.get(message("1"));
  all.session.ack(false);
  assert.deepEqual(all.sent(), []);
  all.session.ack(true);
  assert.deepEqual(all.sent(), [{ cmd: "ack", data: { seq: 1 } }]);
  for (let i = 0; i < 64; i++) all.get(message("x"));
  all.session.ack(false);
  assert.deepEqual(all.sent(), [{ cmd: "ack", data: { seq: 65 } }]);
});

test("a server that breaks the protocol is found out", () => {
  for (const bad of ["", "[]", "{}", '{"cmd":1}', '{"cmd":"sent","data":{}}', '{"cmd":"resumed","id":"x","data":{"seq":0}}', JSON.stringify(hello("B"))]) {
    assert.throws(() => started().session.receive(bad), ProtocolError, bad);
  }
  assert.throws(() => started().get({ cmd: "gap", data: { from: 5, to: 3, reason: "window" } }), ProtocolError);
  assert.equal(parseEvent('{"cmd":"something-new","data":{}}').event.cmd, "unknown");
});

test("the end answers everything that waits", () => {
  const all = started();
  const answers = [];
  all.session.request("list-members", {}, (answer) => answers.push(answer.cmd));
  all.session.end();
  assert.deepEqual(answers, ["uncertain"]);
});

test("back-off doubles up to half a minute, with full jitter", () => {
  const backoff = new Backoff(() => 0.5);
  const waits = Array.from({ length: 8 }, () => backoff.next());
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000]);
  backoff.reset();
  assert.equal(backoff.next(), 250);
});

test("close codes say whether to come back", () => {
  for (const code of [1001, 1006, 1011, 1012, 1013, 4000, 4001, 4499]) assert.ok(reconnectAfter(code), `${code}`);
  for (const code of [1000, 1002, 1007, 1009, 4500, 4999]) assert.ok(!reconnectAfter(code), `${code}`);
});
