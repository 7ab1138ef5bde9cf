/** A relay that lies, and members who do: each kind of alarm is raised, and nothing is sealed to whoever was not accepted. */
import assert from "node:assert/strict";
import test from "node:test";

import { ALARM_KINDS } from "../app/client/room/alarms.js";
import { fromBase64, randomBytes, toBase64, utf8 } from "../app/sealed/bytes.js";
import { openCard, sealCard, sealCardJson } from "../app/sealed/card.js";
import { Certificate } from "../app/sealed/certificate.js";
import { sealHand, sealPrivateKey } from "../app/sealed/hand.js";
import { kem } from "../app/sealed/kem.js";
import { sealPrivate, sealRoom } from "../app/sealed/message.js";
import { writeCore, writePlain } from "../app/sealed/plain.js";
import { SenderChain, step } from "../app/sealed/ratchet.js";
import { proveEpoch } from "../app/sealed/roster.js";
import { saidHash, shortAuthor } from "../app/sealed/said.js";
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
  const secret = new RoomSecret(0, alice.machine.epochs.current.bytes.slice());
  return { relay, alice, bob, link, root: alice.machine.chain.root, secret, kem: await kem() };
}

const leafOf = ({ leaves }) => ({ generation: leaves.newest.generation, publicKey: leaves.newest.publicKey });

/** Has the relay put somebody into the room in alice's eyes. */
const intrude = ({ alice }, listed) => alice.told({ type: "user-joined", user: { userId: STRANGER, card: null, ...listed } });

/** Mallory's card with an invite, which may be one of its own making. */
async function card(w, invite, { name = "mallory", secret = w.secret } = {}) {
  const leaf = { generation: 0, publicKey: (await w.kem.generate()).publicKey };
  return sealCard(await identityOf(MALLORY), { name, leaf, ...(invite && { invite }) }, w.root, secret);
}

const invite = (w, issuer, { epoch = 0, kind = "one-time", expiry = 0, chain = w.alice.machine.chain } = {}) =>
  Certificate.issue(issuer, chain, { epoch, id: randomBytes(16), kind, expiry });

/** A room message to alice as bob's, made by hand: who signs what, and under which chain. */
async function deliver(w, message = {}) {
  const { body = { type: "text", text: "x" }, n = 1, signer = w.bob.identity, handSigner = signer, secret = w.secret, said = 0 } = message;
  const { chain = new SenderChain(1000), after = [], json, change = (m) => m } = message;
  const keys = await secret.keys();
  const ticket = await chain.take();
  const place = { generation: chain.generation, index: ticket.index };
  const core = json ?? writeCore({ n, at: 1, body });
  const plain = writePlain(core, { view: message.view ?? w.alice.machine.views.current, after });
  const shared = await sealRoom(signer, plain, { root: w.root, epoch: secret.epoch, ...place, keys: ticket.keys });
  const to = { fingerprint: w.alice.fingerprint, ...leafOf(w.alice) };
  const content = await sealHand(handSigner, to, { root: w.root, keys, place, state: ticket.state, said });
  await w.alice.told({ type: "message", userId: w.bob.userId, ...change({ content, shared }) });
}

/** A private message to alice as bob's. */
async function deliverPrivately(w, body, { to = w.alice.fingerprint, n = 1, signer = w.bob.identity } = {}) {
  const keys = await w.secret.keys();
  const state = randomBytes(32);
  const recipient = { fingerprint: w.alice.fingerprint, ...leafOf(w.alice) };
  const content = await sealPrivateKey(signer.fingerprint, recipient, { root: w.root, keys, state });
  const plain = writePlain(writeCore({ n, at: 1, body, to }), { view: w.alice.machine.views.current, after: [] });
  const where = { root: w.root, epoch: w.secret.epoch, to: w.alice.fingerprint, keys: (await step(state)).keys };
  const shared = await sealPrivate(signer, plain, where);
  await w.alice.told({ type: "message", userId: w.bob.userId, content, shared });
}

const withFirstByte = (sealed, byte) => {
  const bytes = fromBase64(sealed);
  bytes[0] = byte;
  return toBase64(bytes);
};

/** The relay answers alice's next list of members with bob changed, or with one more. */
async function relist(w, changes, more) {
  w.relay.answer = (from, cmd) =>
    from === w.alice && cmd === "list-members"
      ? { cmd, ownerId: w.relay.owner, users: [{ ...w.bob.listed, ...changes }, ...(more ? [more] : [])] }
      : undefined;
  w.alice.machine.listing.wantNow(w.alice.machine.time);
  await w.alice.machine.tick(w.alice.now);
  await w.relay.settle();
}

async function hideCarolFromAlice(w) {
  const link = await w.alice.invite();
  const isCarols = (fact) => fact.type === "user-joined" || (fact.type === "message" && fact.userId !== w.bob.userId);
  w.relay.deliver = (to, fact) => (to === w.alice && isCarols(fact) ? [] : [fact]);
  const carol = await w.relay.join(link, CAROL);
  w.relay.answer = (from, cmd) =>
    from === w.alice && cmd === "list-members" ? { cmd, ownerId: w.relay.owner, users: [w.bob.listed] } : undefined;
  return carol;
}

/** Swaps who is attacked: bob takes alice's place. */
const turn = (w) => Object.assign(w, { alice: w.bob, bob: w.alice });

/** For each kind, what brings it about; returns who is warned if that is not alice. */
const scenarios = {
  "no-card": (w) => intrude(w, { card: null }),
  "card-of-unknown-version": async (w) => intrude(w, { card: withFirstByte(await card(w, await invite(w, w.alice.identity)), 1) }),
  "card-does-not-open": async (w) =>
    intrude(w, { card: await card(w, await invite(w, w.alice.identity), { secret: RoomSecret.generate(0) }) }),
  "card-forged": async (w) => {
    const json = utf8(JSON.stringify({ name: "mallory", key: toBase64(w.bob.identity.key) }));
    await intrude(w, { card: await sealCardJson(await identityOf(MALLORY), json, leafOf(w.bob), w.root, w.secret, randomBytes(12)) });
  },
  "no-invite": async (w) => intrude(w, { card: await card(w, undefined) }),
  "invite-forged": async (w) => intrude(w, { card: await card(w, await invite(w, w.bob.identity)) }),
  "invite-of-former-owner": async (w) => {
    const before = w.alice.machine.chain;
    await w.alice.wishes("handOverTo", w.bob.fingerprint);
    w.secret = w.alice.machine.epochs.current;
    await intrude(w, { card: await card(w, await invite(w, w.alice.identity, { epoch: 1, chain: before })) });
  },
  "invite-outdated": async (w) => {
    await w.alice.wishes("rekey");
    w.secret = w.alice.machine.epochs.current;
    await intrude(w, { card: await card(w, await invite(w, w.alice.identity, { epoch: 0 })) });
  },
  "invite-expired": async (w) => {
    const expiry = Math.floor(w.relay.now / 1000) - 601;
    await intrude(w, { card: await card(w, await invite(w, w.alice.identity, { expiry })) });
  },
  "invite-reused": async (w) => intrude(w, { card: await card(w, w.link.certificate) }),
  "not-in-roster": async (w) => {
    // An invite of an earlier epoch, and its card brought up to date by a member that helps.
    const old = await invite(w, w.alice.identity, { kind: "forever" });
    await w.alice.wishes("rekey");
    w.secret = w.alice.machine.epochs.current;
    w.alice.machine.members.notHere.add(STRANGER);
    await relist(w, {}, { userId: STRANGER, card: await card(w, old) });
  },
  "fingerprint-twice": (w) => intrude(w, { card: w.bob.card }),
  "member-returned": async (w) => {
    const { listed } = w.bob;
    await w.relay.leave(w.bob.userId, "left");
    await intrude(w, { ...listed, userId: STRANGER });
  },
  "removed-member-returned": async (w) => {
    await w.relay.leave(w.bob.userId, "removed");
    await intrude(w, { card: w.bob.card });
  },
  "refused-before": async (w) => {
    const listed = { card: await card(w, w.link.certificate) };
    await intrude(w, listed);
    w.alice.events = [];
    await w.alice.told({ type: "user-left", userId: STRANGER, reason: "left" });
    await intrude(w, listed);
  },
  "user-id-twice": async (w) => intrude(w, { userId: w.bob.userId, card: await card(w, await invite(w, w.alice.identity)) }),
  "identity-swapped": async (w) => relist(w, { card: await card(w, await invite(w, w.alice.identity)) }),
  "leaf-swapped": async (w) => {
    const { leaf, name } = await openCard(w.bob.card, w.root, w.secret);
    const other = { generation: leaf.generation, publicKey: (await w.kem.generate()).publicKey };
    await relist(w, { card: await sealCard(w.bob.identity, { name, leaf: other, invite: w.link.certificate }, w.root, w.secret) });
  },
  unannounced: (w) => relist(w, {}, { userId: STRANGER, card: null }),
  "message-from-stranger": (w) => w.alice.told({ type: "message", userId: STRANGER, content: "", shared: "AgAAAAA" }),
  "message-unsealed": (w) => w.alice.told({ type: "message", userId: w.bob.userId, content: "hello", shared: null }),
  "message-of-unknown-version": (w) => deliver(w, { change: ({ content, shared }) => ({ content, shared: withFirstByte(shared, 9) }) }),
  "message-does-not-open": (w) => deliver(w, { change: ({ content, shared }) => ({ content, shared: `${shared.slice(0, -4)}AAAA` }) }),
  "message-forged": (w) => deliver(w, { signer: w.alice.identity, handSigner: w.bob.identity }),
  "message-malformed": (w) => deliver(w, { json: utf8('{"n":1,"n":2}') }),
  "message-not-for-me": (w) => deliverPrivately(w, { type: "text", text: "for carol" }, { to: toBase64(randomBytes(32)) }),
  "out-of-order": async (w) => {
    w.relay.deliver = (to, fact) => (to === w.alice && fact.type === "message" ? [fact, ...(w.kept ? [w.kept] : []), (w.kept = fact)] : [fact]);
    await w.bob.say("once");
    await w.bob.say("twice");
    assert.deepEqual(w.alice.heard, ["once", "twice"]);
  },
  "counts-backwards": async (w) => {
    const chain = new SenderChain(1000);
    for (const n of [1, 2, 1]) await deliver(w, { chain, n, body: { type: "text", text: `${n}` } });
  },
  "says-two-things": async (w) => {
    const chain = new SenderChain(1000);
    for (const text of ["yes", "no"]) await deliver(w, { chain, body: { type: "text", text } });
    assert.deepEqual(w.alice.heard, ["yes"]);
  },
  "beginning-changed": async (w) => {
    await deliver(w, { said: 0 });
    await deliver(w, { said: 1, n: 2, chain: new SenderChain(1001) });
  },
  disagree: async (w) => {
    await w.relay.join(await w.alice.invite(), CAROL);
    await w.alice.say("tea?");
    const said = await saidHash(w.alice.fingerprint, utf8("something else"));
    await deliver(w, { after: [{ author: shortAuthor(w.alice.fingerprint), n: 1, said }] });
  },
  "sees-another-room": async (w) => {
    await hideCarolFromAlice(w);
    await w.bob.say("hello all");
    await w.relay.wait(61_000);
  },
  "different-secrets": async (w) => {
    // A card of the same epoch under another secret, as an owner that deals two would have it.
    w.relay.answer = (from, cmd) =>
      from === w.alice && cmd === "list-members" ? { cmd, ownerId: w.relay.owner, users: [{ ...w.bob.listed, card: w.other }] } : undefined;
    w.other = await sealCard(w.bob.identity, { name: BOB, leaf: leafOf(w.bob) }, w.root, RoomSecret.generate(0));
    await relist(w, { card: w.other });
    await w.relay.wait(61_000);
  },
  "newer-secret-in-use": async (w) => {
    w.relay.deliver = (to, fact) => (to === w.bob && fact.type === "message" && w.hold-- > 0 ? [] : [fact]);
    w.hold = 1;
    w.relay.answer = (from, cmd, data) => (from === w.bob && cmd === "send-messages" && data.to.length > 0 ? null : undefined);
    await w.alice.wishes("rekey");
    await w.alice.say("in the new epoch");
    await w.relay.wait(62_000);
    // An epoch is anybody's word: nobody is driven out by it.
    assert.equal(w.bob.ended(), undefined);
    return w.bob;
  },
  "secret-never-issued": (w) => deliver(w, { secret: RoomSecret.generate(1) }),
  "secret-forged": async (w) => {
    const secret = RoomSecret.generate(1);
    const members = [w.alice.fingerprint, w.bob.fingerprint];
    const proof = await proveEpoch(w.bob.identity, w.alice.machine.chain, secret, members);
    await deliver(w, { body: { type: "secret", secret, members, chain: new Uint8Array(), proof } });
  },
  "claims-office": async (w) => {
    // An heir that takes the office while its owner is there.
    const { alice, bob } = w;
    const secret = RoomSecret.generate(1);
    const chain = await alice.machine.chain.handedTo(alice.identity, { key: bob.identity.key, kind: "heir", epoch: 0 });
    const members = [alice.fingerprint, bob.fingerprint];
    const proof = await proveEpoch(bob.identity, chain, secret, members);
    await deliver(w, { body: { type: "secret", secret, members, chain: chain.bytes, proof } });
    assert.equal(alice.machine.owner, alice.fingerprint);
  },
  "succession-forged": (w) => deliverPrivately(w, { type: "succession", chain: new Uint8Array(), transfer: true }),
  "owner-unproven": async (w) => {
    const carol = await w.relay.join(await w.alice.invite(), CAROL);
    await carol.told({ type: "owner-changed", ownerId: w.bob.userId });
    await w.relay.wait(61_000);
    return carol;
  },
  "ownership-imposed": async (w) => {
    turn(w);
    await w.alice.told({ type: "owner-changed", ownerId: w.alice.userId });
  },
  "treated-as-gone": (w) => w.alice.told({ type: "owner-changed", ownerId: w.bob.userId }),
};

for (const kind of ALARM_KINDS) {
  test(`alarm: ${kind}`, async () => {
    const w = await world();
    const warned = (await scenarios[kind](w)) ?? w.alice;
    await w.relay.settle();
    const kinds = warned.alarms.map((alarm) => alarm.kind);
    assert.ok(kinds.includes(kind), `got ${kinds.join(", ") || "no alarm"}`);
    assert.deepEqual([...new Set(kinds)].filter((k) => k !== kind), []);
    if (warned.machine.phase !== "inside") return;
    // Whoever was refused gets nothing that it can read.
    w.relay.deliver = (_to, fact) => [fact];
    w.relay.answer = () => undefined;
    if (warned.machine.members.accepted.size > 0) await warned.say("are we alone?");
    assert.ok(warned.sent.every(({ to }) => to.every(({ to_user_id }) => to_user_id !== STRANGER)));
  });
}

test("an honest room raises none, through messages, rekeys, removals and hand-overs", async () => {
  const { relay, alice, bob } = await world({ transfer: true });
  const carol = await relay.join(await alice.invite("forever"), CAROL);
  await alice.say("one");
  await bob.say("two");
  await carol.say("three", alice);
  await alice.wishes("rekey");
  await bob.say("four");
  await alice.wishes("handOverTo", bob.fingerprint);
  assert.ok(bob.machine.governs && !alice.machine.governs);
  await alice.say("five");
  await bob.wishes("remove", carol.fingerprint);
  await bob.say("six");
  await relay.wait(130_000);
  assert.deepEqual([alice.alarms, bob.alarms, carol.alarms], [[], [], []]);
  assert.deepEqual(bob.heard, ["one", "five"]);
  assert.deepEqual(alice.heard, ["two", "three", "four", "six"]);
  assert.deepEqual(carol.heard, ["one", "two", "four", "five"]);
  assert.equal(carol.ended(), "removed");
  assert.equal(alice.machine.epochs.current.epoch, bob.machine.epochs.current.epoch);
});

test("a member that returns after two hours with a gap reads and writes again, without an alarm", async () => {
  const { relay, alice, bob } = await world();
  const carol = await relay.join(await alice.invite(), CAROL);
  await alice.say("before");
  await bob.sleep();
  await alice.wishes("rekey");
  await carol.say("lost on bob");
  await alice.wishes("rekey");
  await relay.wait(7_200_000, 60_000);
  await bob.wake({ gap: true });
  await relay.wait(10_000);
  await alice.say("after");
  await bob.say("back");
  assert.equal(bob.machine.epochs.current.epoch, 2);
  assert.equal(bob.heard.at(-1), "after");
  assert.deepEqual([alice.heard.at(-1), carol.heard.at(-1)], ["back", "back"]);
  assert.deepEqual([alice.alarms, bob.alarms, carol.alarms], [[], [], []]);
});

test("an idle room sends nothing but the owner's beat", async () => {
  const { relay, alice, bob } = await world();
  await alice.say("one");
  await relay.wait(180_000);
  for (const person of [alice, bob]) person.commands = [];
  await relay.wait(600_000, 5_000);
  assert.ok(alice.commands.filter(({ cmd }) => cmd === "send-messages").length <= 2, JSON.stringify(alice.commands.map(({ cmd }) => cmd)));
  assert.deepEqual(bob.commands.filter(({ cmd }) => cmd !== "set-card"), []);
});

test("a wrong clock alarms nobody and keeps nobody out", async () => {
  const relay = new Relay();
  const alice = await relay.create(ALICE);
  const link = await alice.invite("one-time", { expiresInS: 60 });
  const bob = await relay.holder(link, BOB);
  bob.skew = 86_400_000;
  await relay.admit(bob);
  await bob.say("here");
  const carol = await relay.join(await alice.invite("one-time", { expiresInS: 60 }), CAROL);
  await carol.say("hello");
  assert.deepEqual(bob.heard, ["hello"]);
  assert.deepEqual([alice.alarms, bob.alarms, carol.alarms], [[], [], []]);
});

test("leaving wipes the room's secret", async () => {
  const { alice } = await world();
  const { bytes } = alice.machine.epochs.current;
  assert.ok(bytes.some((byte) => byte !== 0));
  alice.machine.end("left");
  assert.ok(bytes.every((byte) => byte === 0));
});
