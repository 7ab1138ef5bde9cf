/** A relay that lies, and members who do: each kind of alarm is raised, and nothing is sealed to whoever was not accepted. */
import assert from "node:assert/strict";
import test from "node:test";

import { ALARM_KINDS } from "../app/client/room/alarms.js";
import { fromBase64, randomBytes, toBase64, utf8 } from "../app/sealed/bytes.js";
import { sealCard, sealCardJson } from "../app/sealed/card.js";
import { Certificate } from "../app/sealed/certificate.js";
import { recipientKey } from "../app/sealed/identity.js";
import { sealMessage, signPlain } from "../app/sealed/message.js";
import { plainToJson } from "../app/sealed/plain.js";
import { RoomSecret } from "../app/sealed/secret.js";
import { identityOf, NAMES, Relay } from "./support/double.js";

const [ALICE, BOB, CAROL] = NAMES;
const MALLORY = "mallory";
const STRANGER = "stranger";

/** A room of alice's with bob in it. */
async function world(options) {
  const relay = new Relay();
  const alice = await relay.create(ALICE, options);
  const link = await alice.invite();
  const bob = await relay.join(link, BOB);
  return { relay, alice, bob, link, root: alice.machine.chain.root, secret: alice.machine.epochs.current };
}

/** Has the relay put somebody into the room in alice's eyes. */
async function intrude({ alice }, listed) {
  const { pem } = await identityOf(MALLORY);
  await alice.told({ type: "user-joined", user: { userId: STRANGER, publicKeyPem: pem, card: null, ...listed } });
}

/** Mallory's card with an invite, which may be one of its own making. */
async function card(w, invite, { name = "mallory", secret = w.secret } = {}) {
  return sealCard(await identityOf(MALLORY), name, invite, w.root, secret);
}

async function invite(w, issuer, { epoch = 0, kind = "one-time", expiry = 0, id = randomBytes(16) } = {}) {
  return Certificate.issue(issuer, w.root, { epoch, id, kind, expiry });
}

/** A message to alice that is signed by `signer`, sealed as `how` says, and delivered as bob's. */
async function deliver(w, signer, plain, { secret = w.secret, change = (m) => m } = {}) {
  const json = plain instanceof Uint8Array ? plain : plainToJson({ n: 1, at: 1, view: w.alice.machine.views.current, ...plain });
  const signed = await signPlain(signer.identity, w.root, json);
  const { shared, contentFor } = await sealMessage(signed, w.root, secret);
  const content = await contentFor(await recipientKey(w.alice.identity.pkcs1));
  await w.alice.told({ type: "message", userId: w.bob.userId, ...change({ content, shared }) });
}

const text = (words) => ({ body: { type: "text", text: words } });
const withFirstByte = (sealed, byte) => {
  const bytes = fromBase64(sealed);
  bytes[0] = byte;
  return toBase64(bytes);
};

/** For each kind, what brings it about; returns who is warned if that is not alice. */
const scenarios = {
  "no-card": (w) => intrude(w, { card: null }),
  "bad-public-key": async (w) => intrude(w, { publicKeyPem: "no key", card: await card(w, await invite(w, w.alice.identity)) }),
  "card-of-unknown-version": async (w) => intrude(w, { card: withFirstByte(await card(w, await invite(w, w.alice.identity)), 2) }),
  "card-does-not-open": async (w) =>
    intrude(w, { card: await card(w, await invite(w, w.alice.identity), { secret: RoomSecret.generate(0) }) }),
  "card-forged": async (w) => {
    const json = utf8(JSON.stringify({ name: "mallory", key: toBase64(w.bob.identity.key) }));
    await intrude(w, { card: await sealCardJson(await identityOf(MALLORY), json, w.root, w.secret, randomBytes(12)) });
  },
  "card-outdated": async (w) => {
    const old = await card(w, await invite(w, w.alice.identity));
    await w.alice.machine.rekey(w.relay.now);
    await w.relay.settle();
    await intrude(w, { card: old });
  },
  "no-invite": async (w) => intrude(w, { card: await card(w, undefined) }),
  "invite-forged": async (w) => intrude(w, { card: await card(w, await invite(w, w.bob.identity)) }),
  "invite-of-former-owner": async (w) => {
    await w.alice.machine.handOverTo(w.bob.identity.fingerprint, w.relay.now);
    await w.relay.settle();
    w.secret = w.alice.machine.epochs.current;
    await intrude(w, { card: await card(w, await invite(w, w.alice.identity, { epoch: 1 })) });
  },
  "invite-outdated": async (w) => {
    await w.alice.machine.rekey(w.relay.now);
    await w.relay.settle();
    w.secret = w.alice.machine.epochs.current;
    await intrude(w, { card: await card(w, await invite(w, w.alice.identity, { epoch: 0 })) });
  },
  "invite-expired": async (w) => {
    const expiry = Math.floor(w.relay.now / 1000) - 601;
    await intrude(w, { card: await card(w, await invite(w, w.alice.identity, { expiry })) });
  },
  "invite-reused": async (w) => intrude(w, { card: await card(w, w.link.certificate) }),
  "fingerprint-twice": (w) => intrude(w, { publicKeyPem: w.bob.identity.pem, card: w.bob.card }),
  "member-returned": async (w) => {
    const { listed } = w.bob;
    await w.relay.leave(w.bob.userId, "left");
    await intrude(w, { ...listed, userId: STRANGER });
  },
  "removed-member-returned": async (w) => {
    await w.relay.leave(w.bob.userId, "removed");
    await intrude(w, { publicKeyPem: w.bob.identity.pem, card: w.bob.card });
  },
  "user-id-twice": async (w) => intrude(w, { userId: w.bob.userId, card: await card(w, await invite(w, w.alice.identity)) }),
  "key-swapped": async (w) => relist(w, { publicKeyPem: (await identityOf(MALLORY)).pem }),
  "card-swapped": async (w) => {
    const identity = await identityOf(MALLORY);
    // The same RSA key, as far as the relay shows, with mallory's identity behind it.
    identity.pkcs1 = w.bob.identity.pkcs1;
    await relist(w, { card: await sealCard(identity, "bob", await invite(w, w.alice.identity), w.root, w.secret) });
  },
  unannounced: async (w) => relist(w, {}, { userId: STRANGER, publicKeyPem: (await identityOf(MALLORY)).pem, card: null }),
  "message-from-stranger": (w) => w.alice.told({ type: "message", userId: STRANGER, content: "AQAAAAA", shared: "AQAAAAA" }),
  "message-unsealed": (w) => w.alice.told({ type: "message", userId: w.bob.userId, content: "hello", shared: null }),
  "message-of-unknown-version": (w) =>
    deliver(w, w.bob, text("x"), { change: ({ content, shared }) => ({ content: withFirstByte(content, 9), shared }) }),
  "message-does-not-open": (w) =>
    deliver(w, w.bob, text("x"), { change: ({ content, shared }) => ({ content, shared: shared.slice(0, -4) + "AAAA" }) }),
  "message-outdated": async (w) => {
    const { secret } = w;
    const kept = new RoomSecret(0, secret.bytes.slice());
    await w.alice.machine.rekey(w.relay.now);
    await w.relay.wait(91_000);
    await deliver(w, w.bob, text("x"), { secret: kept });
  },
  "message-forged": (w) => deliver(w, w.alice, text("I am bob")),
  "message-malformed": (w) => deliver(w, w.bob, utf8('{"n":1,"n":2}')),
  "message-not-for-me": (w) => deliver(w, w.bob, { ...text("for carol"), to: toBase64(randomBytes(32)) }),
  replayed: async (w) => {
    w.relay.deliver = (to, fact) => (to === w.alice && fact.type === "message" ? [fact, fact] : [fact]);
    await w.bob.say("once");
    assert.deepEqual(w.alice.heard, ["once"]);
  },
  "messages-missing": async (w) => {
    let lost = 2;
    w.relay.deliver = (to, fact) => (to === w.alice && fact.type === "message" && lost-- > 0 ? [] : [fact]);
    for (const words of ["one", "two", "three"]) await w.bob.say(words);
    assert.equal(w.alice.alarms[0].count, 2);
    assert.deepEqual(w.alice.heard, ["three"]);
  },
  "sees-another-room": async (w) => {
    await hideCarolFromAlice(w);
    await w.bob.say("hello all");
    await w.relay.wait(61_000);
  },
  "relay-shows-different-rooms": async (w) => {
    // Carol knows nothing of alice, bob knows of both; to dave nobody is shown but alice.
    const dave = await w.relay.join(await w.alice.invite(), MALLORY, "dave");
    await hideCarolFromAlice(w);
    await w.bob.say("hello all");
    await dave.say("hello all");
    await w.relay.wait(61_000);
  },
  "newer-secret-in-use": async (w) => {
    w.relay.deliver = (to, fact) => (to === w.bob && fact.type === "message" && w.hold-- > 0 ? [] : [fact]);
    w.hold = 1;
    await w.alice.machine.rekey(w.relay.now);
    await w.relay.settle();
    await w.alice.say("in the new epoch");
    await w.relay.wait(61_000);
    // An epoch is anybody's word: nobody is driven out by it.
    assert.equal(w.bob.ended(), undefined);
    return w.bob;
  },
  "secret-too-new": async (w) => {
    const { alice, bob } = w;
    Object.assign(w, { alice: bob, bob: alice });
    await deliver(w, alice, text("x"), { secret: RoomSecret.generate(7) });
    return bob;
  },
  "secret-never-issued": async (w) => deliver(w, w.bob, text("x"), { secret: RoomSecret.generate(1) }),
  "refused-before": async (w) => {
    const listed = { card: await card(w, w.link.certificate) };
    await intrude(w, listed);
    w.alice.events = [];
    await w.alice.told({ type: "user-left", userId: STRANGER, reason: "left" });
    await intrude(w, listed);
  },
  "rekey-by-stranger": (w) =>
    deliver(w, w.bob, { body: { type: "secret", secret: RoomSecret.generate(1), removed: [], chain: new Uint8Array() } }),
  "rekey-out-of-turn": async (w) => {
    // The owner itself, to bob: an epoch is left out.
    const { alice, bob } = w;
    Object.assign(w, { alice: bob, bob: alice });
    await deliver(w, alice, { body: { type: "secret", secret: RoomSecret.generate(2), removed: [], chain: new Uint8Array() } });
    return bob;
  },
  "succession-forged": (w) =>
    deliver(w, w.bob, { body: { type: "succession", chain: new Uint8Array(), transfer: true }, to: w.alice.identity.fingerprint }),
  "owner-unproven": async (w) => {
    await w.alice.told({ type: "owner-changed", ownerId: w.bob.userId });
    await w.relay.wait(61_000);
  },
  "ownership-imposed": async (w) => {
    await w.bob.told({ type: "owner-changed", ownerId: w.bob.userId });
    return w.bob;
  },
};

/** The relay answers alice's next list of members with bob changed, or with one more. */
async function relist(w, changes, more) {
  w.relay.answer = (from, cmd) =>
    from === w.alice && cmd === "list-members"
      ? { cmd, ownerId: w.relay.owner, users: [{ ...w.bob.listed, ...changes }, ...(more ? [more] : [])] }
      : undefined;
  w.alice.machine.listing.wantNow(w.relay.now);
  await w.alice.machine.tick(w.relay.now);
  await w.relay.settle();
}

async function hideCarolFromAlice(w) {
  const link = await w.alice.invite();
  w.relay.deliver = (to, fact) => (to === w.alice && fact.type === "user-joined" ? [] : [fact]);
  await w.relay.join(link, CAROL);
}

for (const kind of ALARM_KINDS) {
  test(`alarm: ${kind}`, async () => {
    const w = await world();
    const warned = (await scenarios[kind](w)) ?? w.alice;
    await w.relay.settle();
    const kinds = warned.alarms.map((alarm) => alarm.kind);
    assert.ok(kinds.includes(kind), `got ${kinds.join(", ") || "no alarm"}`);
    const allowed = kind === "relay-shows-different-rooms" ? [kind, "sees-another-room"] : [kind];
    assert.deepEqual([...new Set(kinds)].filter((k) => !allowed.includes(k)), []);
    if (warned.machine.phase !== "inside") return;
    // Whoever was refused gets nothing.
    w.relay.deliver = (_to, fact) => [fact];
    if (warned.machine.members.accepted.size > 0) await warned.say("are we alone?");
    assert.ok(warned.sent.every(({ to }) => to !== STRANGER));
  });
}

test("an honest room raises none, through messages, rekeys, removals and hand-overs", async () => {
  const { relay, alice, bob } = await world({ transfer: true });
  const carol = await relay.join(await alice.invite("forever"), CAROL);
  await alice.say("one");
  await bob.say("two");
  await carol.say("three", alice);
  await alice.machine.rekey(relay.now);
  await relay.settle();
  await bob.say("four");
  await alice.machine.handOverTo(bob.identity.fingerprint, relay.now);
  await relay.settle();
  assert.ok(bob.machine.governs && !alice.machine.governs);
  await alice.say("five");
  await bob.machine.remove(carol.identity.fingerprint, relay.now);
  await relay.settle();
  await bob.say("six");
  await relay.wait(130_000);
  assert.deepEqual([alice.alarms, bob.alarms, carol.alarms], [[], [], []]);
  assert.deepEqual(bob.heard, ["one", "four", "five"].filter((words) => words !== "four"));
  assert.deepEqual(alice.heard, ["two", "three", "four", "six"]);
  assert.deepEqual(carol.heard, ["one", "two", "four", "five"]);
  assert.equal(carol.ended(), "removed");
  assert.equal(alice.machine.epochs.current.epoch, bob.machine.epochs.current.epoch);
});

test("when the owner of a lasting room is gone, its heir takes over and proves it", async () => {
  const { relay, alice, bob } = await world({ transfer: true });
  const carol = await relay.join(await alice.invite(), CAROL);
  await relay.leave(alice.userId, "left");
  await relay.nameOwner(bob.userId);
  await relay.settle();
  assert.ok(bob.machine.governs);
  assert.equal(carol.machine.owner, bob.identity.fingerprint);
  await carol.say("still here");
  await relay.wait(70_000);
  assert.deepEqual([bob.alarms, carol.alarms], [[], []]);
  assert.deepEqual(bob.heard, ["still here"]);
});

test("a message that the relay refuses for now goes out later with the same number", async () => {
  const { relay, alice, bob } = await world();
  let refusals = 2;
  relay.answer = (_from, cmd) => (cmd === "send-messages" && refusals-- > 0 ? { cmd: "error", code: "room-full", retry: true } : undefined);
  await alice.say("patience");
  await relay.wait(5_000);
  await alice.say("and more");
  assert.deepEqual(bob.heard, ["patience", "and more"]);
  assert.deepEqual(bob.alarms, []);
});

test("a message that the relay never takes is told as not sent, and its number is not missed", async () => {
  const { relay, alice, bob } = await world();
  let refusals = 1;
  relay.answer = (_from, cmd) => (cmd === "send-messages" && refusals-- > 0 ? { cmd: "error", code: "bad-request", retry: false } : undefined);
  const id = await alice.say("lost");
  await alice.say("found");
  assert.deepEqual(alice.events.find((event) => event.type === "not-sent"), { type: "not-sent", id, reason: "refused" });
  assert.deepEqual(bob.heard, ["found"]);
  assert.deepEqual(bob.alarms, []);
});

test("nothing else happens while a room is handed over, and its old owner lets go at once", async () => {
  const { relay, alice, bob } = await world();
  const handing = alice.machine.handOverTo(bob.identity.fingerprint, relay.now);
  await handing;
  await assert.rejects(alice.machine.rekey(relay.now), { id: "busy" });
  await assert.rejects(alice.machine.remove(bob.identity.fingerprint, relay.now), { id: "busy" });
  relay.nameOwner = async () => {};
  await relay.settle();
  assert.equal(alice.machine.governs, false);
});

test("leaving wipes the room's secret", async () => {
  const { alice } = await world();
  const { bytes } = alice.machine.epochs.current;
  assert.ok(bytes.some((byte) => byte !== 0));
  alice.machine.end("left");
  assert.ok(bytes.every((byte) => byte === 0));
});
