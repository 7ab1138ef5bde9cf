/** Invites as people carry them: whatever a messenger, a mail program or a hand does to a link, it is found where nothing of it was lost. */
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { findLink } from "../app/client/find-link.js";
import { linkToUrl } from "../app/sealed/link.js";
import { Relay } from "./support/double.js";

const HERE = "https://localhost:1";
let link;
before(async () => {
  const alice = await new Relay().create("alice");
  link = linkToUrl(await alice.invite());
});

const every = (n, text, mark) => text.replace(new RegExp(`(.{${n}})`, "g"), `$1${mark}`);
const WAYS = {
  "as it is": (l) => l,
  "spaces around": (l) => ` \n${l}\n `,
  "a tracking parameter": (l) => l.replace("/#", "/?fbclid=IwAR2xyz#"),
  "parameters behind the code": (l) => `${l}?utm_source=mail&x=1`,
  "a parameter appended to the code": (l) => `${l}&fbclid=1`,
  "lines of a mail": (l) => every(76, l, "\n"),
  "lines of a quoted mail": (l) => every(70, l, "\r\n> > "),
  "quoted-printable": (l) => every(70, l, "=\r\n"),
  "spaces instead of line breaks": (l) => every(76, l, " "),
  "very short lines": (l) => every(10, l, "\n"),
  "angle brackets": (l) => `<${l}>`,
  "round brackets and a full stop": (l) => `(${l}).`,
  "quotation marks": (l) => `“${l}”`,
  "markdown": (l) => `[come in](${l})`,
  "within a sentence": (l) => `Join me: ${l} see you there tomorrow`,
  "within a sentence, wrapped": (l) => `Come to ${every(76, l, "\n")} at five`,
  "within a sentence without spaces": (l) => `请点击${l}，谢谢`,
  "capitals in the scheme and the host": (l) => l.replace("https://localhost", "HTTPS://LocalHost"),
  "a full stop behind the host": (l) => l.replace("localhost", "localhost."),
  "no scheme": (l) => l.replace("https://", ""),
  "no slash": (l) => l.replace("/#", "#"),
  "the code alone": (l) => l.split("#")[1],
  "soft hyphens": (l) => every(50, l, "\u00ad"),
  "zero-width spaces": (l) => every(30, l, "\u200b"),
  "%23 for the hash": (l) => l.replace("#", "%23"),
  "an HTML entity for the hash": (l) => l.replace("#", "&#35;"),
  "encoded as a parameter": (l) => encodeURIComponent(l),
  "encoded twice": (l) => encodeURIComponent(encodeURIComponent(l)),
  "behind the address of a link checker": (l) => `https://safe.example/?url=${encodeURIComponent(l)}&data=05`,
  "a broken one before the whole one": (l) => `${l.slice(0, -8)}\n\nsorry, again:\n${l}`,
};

for (const [way, bend] of Object.entries(WAYS)) {
  test(`an invite is found: ${way}`, async () => {
    assert.equal((await findLink(bend(link), HERE)).url, link);
  });
}

test("what is no invite, or not a whole one, is refused for what it is", async () => {
  const refusal = (text) => findLink(text, HERE).then(() => "found", (error) => error.id);
  assert.equal(await refusal(""), "bad-link");
  assert.equal(await refusal("Hello, where is the link?"), "bad-link");
  assert.equal(await refusal("https://example.org/#section-2"), "bad-base64");
  assert.equal(await refusal(link.slice(0, -8)), "bad-length");
  assert.equal(await refusal(link + "AAAA"), "bad-length");
  assert.equal(await refusal("x".repeat(70_000)), "bad-link");
});

test("a long text without an invite is given up soon", { timeout: 5_000 }, async () => {
  await assert.rejects(findLink("word#abcdefghijklmnopqrstuvwxyz ".repeat(2_000), HERE));
});
