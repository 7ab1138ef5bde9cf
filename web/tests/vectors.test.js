/** Holds the sealed layer against `tests/vectors`, the cases that all clients must agree on, and seals what can be sealed again. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { fromBase64, toBase64, utf8 } from "../app/sealed/bytes.js";
import { openCard, sealCardJson } from "../app/sealed/card.js";
import { Certificate } from "../app/sealed/certificate.js";
import { OwnerChain } from "../app/sealed/chain.js";
import { refusalId, SealedError } from "../app/sealed/error.js";
import { fingerprintOf, groups, words } from "../app/sealed/fingerprint.js";
import { Identity } from "../app/sealed/identity.js";
import { parseObject } from "../app/sealed/json.js";
import { linkToUrl, parseLink } from "../app/sealed/link.js";
import { openMessage, sealMessage, signPlain, verifySigned } from "../app/sealed/message.js";
import { checkName } from "../app/sealed/name.js";
import { bucket, unpad } from "../app/sealed/padding.js";
import { parsePlain } from "../app/sealed/plain.js";
import { pkcs1FromPem, pkcs1Pem } from "../app/sealed/public-key.js";
import { RoomSecret } from "../app/sealed/secret.js";
import { viewOf } from "../app/sealed/view.js";
import { WORDS } from "../app/sealed/words.js";

const folder = new URL("../../tests/vectors/", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));

const { members } = read("keys");
const identities = Object.fromEntries(
  await Promise.all(Object.entries(members).map(async ([name, keys]) => [name, await identityOf(keys)])),
);

function identityOf(keys) {
  const rsaPkcs8 = Uint8Array.from(atob(keys.rsa_pkcs8_pem.replace(/-----[^-]+-----|\s/g, "")), (c) => c.charCodeAt(0));
  const pkcs1 = fromBase64(keys.rsa_public_pkcs1_der);
  return Identity.fromPkcs8({ rsaPkcs8, ed25519Pkcs8: fromBase64(keys.ed25519_pkcs8), pkcs1, key: fromBase64(keys.ed25519_public) });
}

const secretOf = (c) => new RoomSecret(c.epoch, fromBase64(c.secret));
const showCertificate = ({ epoch, id, kind, expiry }) => ({ epoch, id, kind, expiry });

const run = {
  base64: (c) => Buffer.from(fromBase64(c.text)).toString("hex"),
  json: (c) => (parseObject(fromBase64(c.document)), {}),
  name: (c) => (checkName(c.text), {}),
  bucket: (c) => bucket(c.length, c.least),
  padding: (c) => toBase64(unpad(fromBase64(c.padded))),
  fingerprint: async (c) => {
    const fingerprint = await fingerprintOf(fromBase64(c.key));
    return { fingerprint, groups: groups(fingerprint), words: words(fingerprint) };
  },
  view: (c) => viewOf(c.owner, c.members),
  certificate: async (c) => {
    const certificate = new Certificate(fromBase64(c.certificate));
    await certificate.verify(fromBase64(c.root), fromBase64(c.owner));
    return showCertificate(certificate);
  },
  chain: async (c) => ({ owners: (await OwnerChain.read(fromBase64(c.root), fromBase64(c.chain))).owners.map(toBase64) }),
  card: async (c) => {
    const card = await openCard(c.card, pkcs1FromPem(c.public_key_pem), fromBase64(c.root), secretOf(c));
    const shown = { name: card.name, key: toBase64(card.key), fingerprint: card.fingerprint };
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
  message: async (c) => {
    const me = identities[c.recipient];
    const root = fromBase64(c.root);
    const signed = await openMessage(c.content, c.shared, me, root, secretOf(c));
    const { n, at, view, to, body } = parsePlain(await verifySigned(signed, root, fromBase64(c.sender_key)));
    if (to !== undefined && to !== me.fingerprint) throw new SealedError("not-for-me");
    return { n, at, view, ...(to && { to }), type: body.type, body: showBody(body) };
  },
};

function showBody(body) {
  switch (body.type) {
    case "text":
      return body.text;
    case "secret":
      return {
        epoch: body.secret.epoch,
        secret: toBase64(body.secret.bytes),
        removed: body.removed,
        chain: toBase64(body.chain),
      };
    case "succession":
      return { chain: toBase64(body.chain), transfer: body.transfer };
    default:
      return null;
  }
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

test("links, cards, certificates and messages come out the same when made again", async () => {
  let made = 0;
  for (const c of read("link").cases.filter((c) => c.expect.ok && c.url.includes(":" + c.expect.ok.port + "/#") && c.url === c.url.trim())) {
    assert.equal(linkToUrl(await parseLink(c.url)), c.url, c.name);
    made++;
  }
  for (const c of read("certificate").cases.filter((c) => c.signer && c.expect.ok)) {
    const { epoch, id, kind, expiry } = c.expect.ok;
    const what = { epoch, id: fromBase64(id), kind, expiry };
    const again = await Certificate.issue(identities[c.signer], fromBase64(c.root), what);
    assert.equal(toBase64(again.bytes), c.certificate, c.name);
    made++;
  }
  for (const c of read("card").cases.filter((c) => c.expect.ok && c.json && c.member)) {
    const nonce = fromBase64(c.card).slice(5, 17);
    const again = await sealCardJson(identities[c.member], utf8(c.json), fromBase64(c.root), secretOf(c), nonce);
    assert.equal(again, c.card, c.name);
    made++;
  }
  for (const c of read("message").cases.filter((c) => c.expect.ok && c.plain && c.content_key)) {
    const root = fromBase64(c.root);
    const signed = await signPlain(identities[c.sender], root, utf8(c.plain));
    const chosen = { cek: fromBase64(c.content_key), nonce: fromBase64(c.shared).slice(5, 17) };
    const { shared, contentFor } = await sealMessage(signed, root, secretOf(c), chosen);
    if (!["sealed step by step", "in a larger bucket"].includes(c.name)) assert.equal(shared, c.shared, c.name);
    assert.ok(await contentFor(await (await import("../app/sealed/identity.js")).recipientKey(identities[c.recipient].pkcs1)));
    made++;
  }
  assert.ok(made > 10, `${made}`);
});

test("public keys pass between their two forms, and bad ones are refused", async () => {
  for (const keys of Object.values(members)) {
    assert.equal(toBase64(pkcs1FromPem(keys.rsa_public_spki_pem)), keys.rsa_public_pkcs1_der);
    assert.equal(toBase64(pkcs1FromPem(keys.rsa_public_pkcs1_pem)), keys.rsa_public_pkcs1_der);
    assert.equal(pkcs1Pem(fromBase64(keys.rsa_public_pkcs1_der)), keys.rsa_public_pkcs1_pem);
    const der = fromBase64(keys.rsa_public_pkcs1_der);
    for (const [at, value] of [[0, 0x31], [8, 0x80], [der.length - 1, 3], [der.length - 6, 0]]) {
      const bad = der.slice();
      bad[at] = value;
      assert.throws(() => pkcs1FromPem(pkcs1Pem(bad)), SealedError, `${at}`);
    }
  }
});

test("fresh identities keep their private keys to themselves", async () => {
  const me = await Identity.generate();
  assert.equal(me.decrypting.extractable, false);
  assert.equal(me.signing.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", me.decrypting));
  const again = await Identity.generate();
  assert.notEqual(me.fingerprint, again.fingerprint);
});

test("the words are those of the Rust client", () => {
  const rust = readFileSync(new URL("../../src/sealed/words.txt", import.meta.url), "utf8").trim().split("\n");
  assert.deepEqual(WORDS, rust);
});
