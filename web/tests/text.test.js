/** The message tables: every language has every key, with the same values in it, and every key is used. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import { ALARM_KINDS } from "../app/client/room/alarms.js";
import { LANGUAGES } from "../app/ui/i18n.js";
import { splitAddresses } from "../app/ui/linkify.js";
import { TABLE as EN } from "../app/ui/text/en.js";

const folder = new URL("../app/ui/", import.meta.url);
const values = (text) => [...text.matchAll(/\{\w+\}/g)].map(([value]) => value);

test("there is a table for each language, and no other", () => {
  const files = readdirSync(new URL("text/", folder)).sort();
  assert.deepEqual(files, ["en", ...LANGUAGES].sort().map((language) => `${language}.js`));
});

for (const language of LANGUAGES) {
  test(`${language} is complete`, async () => {
    const { TABLE } = await import(new URL(`text/${language}.js`, folder));
    assert.deepEqual(Object.keys(TABLE), Object.keys(EN));
    for (const [key, text] of Object.entries(EN)) {
      assert.notEqual(TABLE[key].trim(), "", key);
      // A language may name somebody twice, but it must name the same.
      assert.deepEqual([...new Set(values(TABLE[key]))].sort(), [...new Set(values(text))].sort(), key);
    }
  });
}

test("every alarm has a sentence", () => {
  for (const kind of ALARM_KINDS) assert.ok(EN[`alarm.${kind}`], kind);
});

test("every key is used", () => {
  const source = readdirSync(folder)
    .filter((name) => name.endsWith(".js"))
    .map((name) => readFileSync(new URL(name, folder), "utf8"))
    .join("\n");
  const made = ["connecting", "live", "doubtful", "away", "endsIn.10", "endsIn.1"].map((state) => `room.${state}`);
  made.push(...["left", "removed", "lost"].map((reason) => `event.${reason}`));
  const families = ["create.life.", "invite.expires.", "invite.state.", "notify.", "ended.", "alarm."];
  for (const family of [...families, "room.", "event."]) assert.ok(["t", "phrase"].some((name) => source.includes(`${name}(\`${family}\${`)), family);
  const isUsed = (key) => source.includes(`"${key}"`) || made.includes(key) || families.some((family) => key.startsWith(family));
  const unused = Object.keys(EN).filter((key) => !isUsed(key));
  assert.deepEqual(unused, []);
});

test("web addresses are found in text, without the sentence's own marks", () => {
  const urls = (text) => splitAddresses(text).flatMap(({ url }) => url ?? []);
  assert.deepEqual(urls("see https://a.example/x?y=1#z, and http://b.example."), ["https://a.example/x?y=1#z", "http://b.example"]);
  assert.deepEqual(urls("(https://a.example/b) https://c.example/d_(e)"), ["https://a.example/b", "https://c.example/d_(e)"]);
  for (const text of ["javascript:alert(1)", "data:text/html,x", "https://user@evil.example/", "https://", "ftp://a.example"]) {
    assert.deepEqual(urls(text), [], text);
  }
  for (const text of ["a https://a.example b", "", "https://a.example"]) {
    assert.equal(splitAddresses(text).map((part) => part.text).join(""), text);
  }
});
