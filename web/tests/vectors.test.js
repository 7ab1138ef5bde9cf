/** Holds the sealed layer against `tests/vectors`, the cases that all clients must agree on, and seals what can be sealed again. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { fromBase64, toBase64, utf8 } from "../app/sealed/bytes.js";
import { writeBody } from "../app/sealed/body.js";
import { openCard, sealCardJson } from "../app/sealed/card.js";
import { Certificate } from "../app/sealed/certificate.js";
import { OwnerChain } from "../app/sealed/chain.js";
import { refusalId, SealedError } from "../app/sealed/error.js";
import { fingerprintOf, groups, words } from "../app/sealed/fingerprint.js";
import { openHand, openPrivateKey, readContent } from "../app/sealed/hand.js";
import { checkKey, Identity, verify } from "../app/sealed/identity.js";
import { parseObject } from "../app/sealed/json.js";
import { noble } from "../app/sealed/kem-noble.js";
import { linkToUrl, parseLink } from "../app/sealed/link.js";
import { openPrivate, openRoom, readShared } from "../app/sealed/message.js";
import { checkName, skeleton } from "../app/sealed/name.js";
import { openNote } from "../app/sealed/note.js";
import { bucket, unpad } from "../app/sealed/padding.js";
import { readPlain } from "../app/sealed/plain.js";
import { step } from "../app/sealed/ratchet.js";
import { readRoster, verifyEpoch } from "../app/sealed/roster.js";
import { saidHash } from "../app/sealed/said.js";
import { RoomSecret } from "../app/sealed/secret.js";
import { viewOf } from "../app/sealed/view.js";
import { WORDS } from "../app/sealed/words.js";

const folder = new URL("../../tests/vectors/", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));

const { members } = read("keys");
const identities = Object.fromEntries(
  await Promise.all(
    Object.entries(members).map(async ([name, keys]) => {
      return [name, await Identity.fromPkcs8(fromBase64(keys.ed25519_pkcs8), fromBase64(keys.ed25519_public))];
    }),
  ),
);

const secretOf = (c) => new RoomSecret(c.epoch, fromBase64(c.secret));
const keysOf = (c, epoch = c.epoch) => new RoomSecret(epoch, fromBase64(c.secret)).keys();
const chainOf = (c) => OwnerChain.read(fromBase64(c.root), fromBase64(c.chain));
const senderOf = async (c) => ({ key: fromBase64(c.sender_key), fingerprint: await fingerprintOf(fromBase64(c.sender_key)) });
const showCertificate = ({ epoch, id, kind, expiry, links }) => ({ epoch, id, kind, expiry, links });

/** A recipient's leaf of the generation that a `content` names. */
async function holder(c, generation) {
  const { fingerprint, leaf } = members[c.recipient];
  const { privateKey } = await noble.fromSeed(fromBase64(leaf.seed));
  return { fingerprint, generation, privateKey };
}

function showPlain(plain, said) {
  const { n, at, body, view, after, to, gone, timer, marks, quiet, bytes } = plain;
  return {
    ...{ n, at, type: body.type, body: body.type === "unknown" ? null : writeBody(body), said, view, after },
    ...(to !== undefined && { to }),
    ...(gone !== undefined && { gone }),
    ...(timer !== undefined && { timer, marks: marks ?? false }),
    ...(quiet && { quiet }),
    ...(bytes && { bytes: toBase64(bytes) }),
  };
}

const run = {
  base64: (c) => Buffer.from(fromBase64(c.text)).toString("hex"),
  json: (c) => (parseObject(fromBase64(c.document)), {}),
  name: (c) => (checkName(c.text), {}),
  skeleton: (c) => skeleton(c.text),
  bucket: (c) => bucket(c.length, c.least),
  padding: (c) => toBase64(unpad(fromBase64(c.padded))),
  key: (c) => (checkKey(fromBase64(c.key)), {}),
  signature: async (c) => (await verify(fromBase64(c.key), fromBase64(c.message), fromBase64(c.signature)), {}),
  fingerprint: async (c) => {
    const fingerprint = await fingerprintOf(fromBase64(c.key));
    return { fingerprint, groups: groups(fingerprint), words: words(fingerprint) };
  },
  view: async (c) => viewOf(c.owner, await keysOf(c), c.members),
  certificate: async (c) => {
    const certificate = new Certificate(fromBase64(c.certificate));
    await certificate.verify(await chainOf(c));
    return showCertificate(certificate);
  },
  chain: async (c) => {
    const { links } = await chainOf(c);
    return { links: links.map(({ key, kind, epoch }) => ({ key: toBase64(key), right: kind, epoch })) };
  },
  proof: async (c) => {
    await verifyEpoch(await chainOf(c), secretOf(c), readRoster(fromBase64(c.members)), fromBase64(c.proof));
    return {};
  },
  card: async (c) => {
    const card = await openCard(c.card, fromBase64(c.root), secretOf(c));
    const leaf = { leaf_generation: card.leaf.generation, leaf: toBase64(card.leaf.publicKey) };
    const shown = { name: card.name, key: toBase64(card.key), fingerprint: card.fingerprint, ...leaf };
    return card.invite ? { ...shown, invite: showCertificate(card.invite) } : shown;
  },
  link: async (c) => {
    const link = await parseLink(c.url);
    return {
      host: link.host,
      port: link.port,
      pin: link.pin && toBase64(link.pin),
      room_id: link.roomId,
      join_key: link.joinKey,
      epoch: link.secret.epoch,
      secret: toBase64(link.secret.bytes),
      root: toBase64(link.chain.root),
      room_name: link.roomName,
      certificate: showCertificate(link.certificate),
      owners: link.chain.owners.map(toBase64),
    };
  },
  step: async (c) => {
    const { next, keys } = await step(fromBase64(c.chain_key));
    const { ok } = c.expect;
    // The key is the browser's: it shows by what it seals.
    const same = await crypto.subtle.importKey("raw", fromBase64(ok.key), "AES-GCM", false, ["encrypt"]);
    const seal = async (key) => toBase64(new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv: keys.nonce }, key, utf8("tea"))));
    assert.equal(await seal(keys.key), await seal(same));
    return { next: toBase64(next), key: ok.key, nonce: toBase64(keys.nonce), commit: toBase64(keys.commit) };
  },
  hand: async (c) => {
    const { kind, generation, bytes } = readContent(c.content);
    if (kind !== "room") throw new SealedError("bad-kind");
    const from = { root: fromBase64(c.root), keys: await keysOf(c), place: { generation: c.generation, index: c.index }, sender: await senderOf(c) };
    const { said, state } = await openHand(bytes, await holder(c, generation), from);
    return { said, chain_key: toBase64(state) };
  },
  message: async (c) => {
    const outside = readShared(c.shared);
    if (outside.kind !== "room") throw new SealedError("bad-kind");
    const { keys } = await step(fromBase64(c.chain_key));
    const plain = readPlain(await openRoom(outside, keys, fromBase64(c.root), fromBase64(c.sender_key)), undefined);
    return showPlain(plain, await hashOf(c, plain));
  },
  private: async (c) => {
    const [outside, sender] = [readShared(c.shared), await senderOf(c)];
    const { kind, generation, bytes } = readContent(c.content);
    if (kind !== "private" || outside.kind !== "private") throw new SealedError("bad-kind");
    const [me, root] = [await holder(c, generation), fromBase64(c.root)];
    const state = await openPrivateKey(bytes, me, { root, keys: await keysOf(c, outside.epoch), sender: sender.fingerprint });
    const { keys } = await step(state);
    const plain = readPlain(await openPrivate(outside, keys, root, sender, me.fingerprint), me.fingerprint);
    return showPlain(plain, await hashOf(c, plain));
  },
  note: async (c) => {
    const outside = readShared(c.shared);
    if (outside.kind !== "note") throw new SealedError("bad-kind");
    const note = await openNote(outside, fromBase64(c.sender_key), fromBase64(c.root), await keysOf(c));
    const { to, epoch, lacks, leaf } = note;
    return { to, epoch, lacks, leaf_generation: leaf.generation, leaf: toBase64(leaf.publicKey) };
  },
};

async function hashOf(c, plain) {

  return saidHash((await senderOf(c)).fingerprint, plain.core);
}

for (const [object, outcome] of Object.entries(run)) {
  const { cases } = read(object);
  test(`${object}: ${cases.length} vectors`, async () => {
    assert.ok(cases.length > 0);
    for (const c of cases) {
      let found;
      try {
        found = { ok: await outcome(c) };
      } catch (error) {
        found = { error: refusalId(error) };
      }
      assert.deepEqual(found, c.expect, c.name);
    }
  });
}

test("links, cards and certificates come out the same when made again", async () => {
  let made = 0;
  for (const c of read("link").cases.filter((c) => c.expect.ok && c.url.includes(":" + c.expect.ok.port + "/#") && c.url === c.url.trim())) {
    assert.equal(linkToUrl(await parseLink(c.url)), c.url, c.name);
    made++;
  }
  for (const c of read("certificate").cases.filter((c) => c.signer && c.expect.ok)) {
    const { epoch, id, kind, expiry, links } = c.expect.ok;
    const chain = await chainOf(c);
    const signedFor = new OwnerChain(chain.root, chain.prefix(links));
    const again = await Certificate.issue(identities[c.signer], signedFor, { epoch, id: fromBase64(id), kind, expiry });
    assert.equal(toBase64(again.bytes), c.certificate, c.name);
    made++;
  }
  for (const c of read("card").cases.filter((c) => c.expect.ok && c.json && c.member)) {
    const nonce = fromBase64(c.card).slice(5, 17);
    const leaf = { generation: c.expect.ok.leaf_generation, publicKey: fromBase64(c.expect.ok.leaf) };
    const again = await sealCardJson(identities[c.member], utf8(c.json), leaf, fromBase64(c.root), secretOf(c), nonce);
    assert.equal(again, c.card, c.name);
    made++;
  }
  assert.ok(made > 10, `${made}`);
});

test("fresh identities keep their private keys to themselves", async () => {
  const me = await Identity.generate();
  assert.equal(me.signing.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", me.signing));
  const again = await Identity.generate();
  assert.notEqual(me.fingerprint, again.fingerprint);
});

test("the words are those of the Rust client", () => {
  const rust = readFileSync(new URL("../../src/sealed/words.txt", import.meta.url), "utf8").trim().split("\n");
  assert.deepEqual(WORDS, rust);
});
