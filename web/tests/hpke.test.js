/** X-Wing and HPKE against their public vectors, and chains that never give out an index twice. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { fromBase64, randomBytes, toBase64 } from "../app/sealed/bytes.js";
import { SealedError } from "../app/sealed/error.js";
import { openPsk, schedule, sealPsk } from "../app/sealed/hpke.js";
import { kem } from "../app/sealed/kem.js";
import { noble } from "../app/sealed/kem-noble.js";
import { MAX_INDEX, SenderChain, step, stepTo } from "../app/sealed/ratchet.js";

const readFile = (name) => JSON.parse(readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url), "utf8")).cases;

const hex = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));

for (const [i, c] of readFile("x-wing").entries()) {
  test(`X-Wing: vector ${i + 1}`, async () => {
    const { publicKey, privateKey } = await noble.fromSeed(hex(c.seed));
    assert.deepEqual(publicKey, hex(c.pk));
    assert.deepEqual(await noble.decapsulate(privateKey, hex(c.ct)), hex(c.ss));
    const { enc, shared } = await noble.encapsulate(publicKey);
    assert.deepEqual(await noble.decapsulate(privateKey, enc), shared);
  });
}

for (const c of readFile("hpke")) {
  test(`HPKE: ${c.name}`, async () => {
    const suite = { kem: c.kem, kdf: c.kdf, aead: c.aead };
    const secret = await schedule(fromBase64(c.shared_secret), fromBase64(c.info), fromBase64(c.psk), fromBase64(c.psk_id), suite, 16);
    const key = await crypto.subtle.importKey("raw", secret.key, "AES-GCM", false, ["encrypt"]);
    const how = { name: "AES-GCM", iv: secret.nonce, additionalData: fromBase64(c.aad) };
    const sealed = new Uint8Array(await crypto.subtle.encrypt(how, key, fromBase64(c.plain)));
    assert.equal(toBase64(sealed), c.expect.ok.ciphertext);
  });
}

test("what is sealed opens with the same context and with no other", async () => {
  const { publicKey, privateKey } = await (await kem()).generate();
  const context = { info: randomBytes(5), aad: randomBytes(6), psk: randomBytes(32), pskId: randomBytes(7) };
  const plain = randomBytes(48);
  const sealed = await sealPsk(publicKey, context, plain);
  assert.deepEqual(await openPsk(privateKey, context, sealed), plain);
  for (const field of Object.keys(context)) {
    const other = { ...context, [field]: randomBytes(32) };
    await assert.rejects(openPsk(privateKey, other, sealed), { id: "hand-does-not-open" }, field);
  }
  for (const at of [0, 1088, 1120, sealed.length - 1]) {
    const broken = sealed.slice();
    broken[at] ^= 1;
    await assert.rejects(openPsk(privateKey, context, broken), { id: "hand-does-not-open" }, `${at}`);
  }
});

test("an X25519 result of zeros and a key of the wrong size are refused", async () => {
  const { publicKey, privateKey } = await noble.generate();
  const weak = publicKey.slice();
  weak.fill(0, 1184);
  await assert.rejects(noble.encapsulate(weak), SealedError);
  await assert.rejects(noble.encapsulate(publicKey.slice(1)), SealedError);
  const { enc } = await noble.encapsulate(publicKey);
  enc.fill(0, 1088);
  await assert.rejects(noble.decapsulate(privateKey, enc), { id: "hand-does-not-open" });
});

test("a chain gives out each index once, even when it is asked many times at once", async () => {
  const first = randomBytes(32);
  const chain = new SenderChain(3, first.slice());
  const tickets = await Promise.all(Array.from({ length: MAX_INDEX + 1 }, () => chain.take()));
  assert.deepEqual(tickets.map(({ index }) => index), Array.from({ length: 128 }, (_, i) => i));
  assert.equal(new Set(tickets.map(({ keys }) => toBase64(keys.commit))).size, 128);
  assert.ok(chain.isUsedUp);
  assert.throws(() => chain.take(), RangeError);
  // A receiver that skips comes to the same keys.
  const { keys, chain: kept } = await stepTo({ generation: 3, index: 0, state: first }, 100);
  assert.deepEqual(keys.commit, tickets[100].keys.commit);
  assert.equal(kept.index, 101);
  assert.deepEqual((await step(kept.state)).keys.commit, tickets[101].keys.commit);
});
