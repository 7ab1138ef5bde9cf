/** The scripts in tests/vectors/room, which the Rust client runs as well: what each member does and what the relay does, and what comes of it. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import { RoomError } from "../app/client/room-errors.js";
import { shownName } from "../app/client/room/members.js";
import { World } from "./support/script-world.js";

const folder = new URL("../../tests/vectors/room/", import.meta.url);

/** What a member wants. */
const WISHES = {
  say: (wish, step, now) => wish.say(step.text, {}, now),
  tell: (wish, step, now) => wish.say(step.text, { to: step.to }, now),
  reply: (wish, { of, n, text, to }, now) => wish.say(text, { to, re: { of, n } }, now),
  edit: (wish, { n, text, to }, now) => wish.edit(n, text, to, now),
  delete: (wish, { n, to }, now) => wish.takeBack(n, to, now),
  react: (wish, { of, n, text, to }, now) => wish.react({ of, n }, text, to, now),
  settings: (wish, { gone, marks }, now) => wish.setTimer(gone, marks === true, now),
  typing: (wish, { on }, now) => wish.mark({ type: "typing", on: on === true }, now),
  read: (wish, { of, n }, now) => wish.mark({ type: "read", of, n }, now),
  remove: (wish, { member }, now) => wish.remove(member, now),
  rekey: (wish, _step, now) => wish.rekey(now),
  "hand-over": (wish, { to }, now) => wish.handOverTo(to, now),
  "take-office": (wish, _step, now) => wish.takeOffice(now),
  verify: async (wish, { member }) => wish.setVerified(member, true),
  leave: async (wish) => (wish.room.command("leave-room", {}), wish.room.end("left")),
  close: async (wish) => (wish.checkOwning(), wish.room.command("close-room", {}), wish.room.end("closed")),
};

const ANSWERS = {
  lost: { cmd: "uncertain" },
  later: { cmd: "error", code: "x", retry: true },
  never: { cmd: "error", code: "x", retry: false },
};

async function wish(world, step) {
  const { to, member, of } = step;
  const named = { ...step };
  for (const [field, value] of Object.entries({ to, member, of })) if (value !== undefined) named[field] = world.print(value);
  let failed;
  try {
    await WISHES[step.do](world.client(step.who).wish, named, world.now);
  } catch (error) {
    if (!(error instanceof RoomError)) throw error;
    failed = error.id;
  }
  await world.workOff();
  assert.equal(failed, step.fails, JSON.stringify(step));
}

const WORLD = {
  async join(world, { who, by = "alice", kind = "one-time", name = who, with: kept, stolen, expires_in_s }) {
    const link = kept ? world.links.get(kept) : await world.link(by, kind, expires_in_s);
    await world.join(who, name, link, stolen === true);
  },
  async invite(world, { as, by = "alice", kind = "one-time", expires_in_s }) {
    world.links.set(as, await world.link(by, kind, expires_in_s));
  },
  pass: (world, { ms }) => world.pass(ms),
  async away(world, { who }) {
    world.client(who).away = true;
    await world.fact(who, { type: "away" });
  },
  gap(world, { who }) {
    const client = world.client(who);
    client.held = [{ type: "gap" }, ...client.held.filter(({ type }) => type !== "message" && type !== "gap")];
  },
  async live(world, { who }) {
    const client = world.client(who);
    client.away = false;
    for (const fact of [...client.held.splice(0), { type: "live" }]) world.work.push({ id: who, fact });
    await world.workOff();
  },
  async lost(world, { who }) {
    world.leave(who, "lost");
    await world.workOff();
  },
  async "name-owner"(world, { who }) {
    world.nameOwner(who);
    await world.workOff();
  },
  drop: (world, { what, from, to }) => world.rules.push({ what, from, to, keep: false }),
  keep: (world, { from, to }) => world.rules.push({ what: "messages", from, to, keep: true }),
  honest(world) {
    world.rules = [];
    world.swallowed.clear();
    world.shown.clear();
  },
  async deliver(world, { indexes }) {
    for (const index of indexes) await world.fact(world.pile[index].id, world.pile[index].fact);
  },
  swallow: (world, { command }) => world.swallowed.add(command),
  card: (world, { of, at }) => world.shown.set(of, at),
  answer: (world, { with: how, next }) => world.refusals.push(...Array.from({ length: next }, () => ANSWERS[how])),
  "lose-answers": (world, { next }) => (world.loseAnswers = next),
  async fact(world, { to, fact }) {
    const { version } = world;
    switch (fact.type) {
      case "user-left":
        return world.fact(to, { type: "user-left", userId: fact.user, reason: fact.reason, version });
      case "user-joined":
        return world.fact(to, { type: "user-joined", user: world.listed(fact.user), version });
      case "owner-changed":
        return world.fact(to, { type: "owner-changed", ownerId: fact.owner, version });
      default:
        throw new Error(`no fact ${fact.type}`);
    }
  },
};

function expect(world, step) {
  const { expect: who, commands, events, alarms, state = {} } = step;
  const text = JSON.stringify(step);
  const { machine, commands: given } = world.client(who);
  if (commands) assert.deepEqual(given.splice(0), commands, text);
  if (events) assert.deepEqual(world.lines(who), events, text);
  if (alarms) assert.deepEqual(world.alarms(who), alarms, text);
  if (state.epoch !== undefined) assert.equal(machine.epochs.current.epoch, state.epoch, text);
  if (state.governs !== undefined) assert.equal(machine.isOwner, state.governs, text);
  if (state.owner !== undefined) assert.equal(world.idOf(machine.owner), state.owner, text);
  if (state.members) assert.deepEqual([...machine.members.accepted.values()].map(shownName), state.members, text);
}


async function run(script) {
  const world = await World.create(script.transfer === true, script.frame_bytes ?? 1 << 20);
  for (const step of script.steps) {
    if (step.do in WISHES && step.who !== undefined) await wish(world, step);
    else if (step.do) await WORLD[step.do](world, step);
    else if (step.expect) expect(world, step);
    else {
      if (step.calm) for (const id of world.clients.keys()) assert.deepEqual(world.alarms(id), [], `alarms of ${id}`);
      world.clear();
    }
  }
}

const files = readdirSync(folder).filter((name) => name.endsWith(".json"));

test("there are scripts for the rules and for the attacks", () => assert.ok(files.length >= 30, `${files.length}`));

for (const file of files) {
  const script = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
  test(`script: ${file.replace(".json", "")}`, () => run(script));
}
