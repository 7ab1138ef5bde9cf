/** The page and the terminal client in one room: messages both ways, a removal from either side, and the room handed over and back. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { assertNoProblems, create, enterName, linkOf, openBrowser, openMember, reads, say, sees } from "../support/browser.js";
import { chat, startServer } from "../support/server.js";

let server, chromium;
const terminals = [];
before(async () => (server = await startServer()));
after(() => server.stop());
beforeEach(async () => (chromium = await openBrowser(server)));
afterEach(async () => {
  for (const terminal of terminals.splice(0)) terminal.stop();
  await chromium.close();
  assertNoProblems(chromium.problems);
});

const LINK = /https:\/\/localhost:\d+\/#[A-Za-z0-9_-]+/;

function terminal(...args) {
  const opened = chat(server, args);
  terminals.push(opened);
  return opened;
}

test("a link of `subrosa chat create` opens its room in the browser, and both sides read each other", async () => {
  const alice = terminal("create", "--as", "alice", "--name", "tea", "--server", server.origin.replace("https", "wss"), "--pin", server.pin);
  const [link] = await alice.sees(LINK);
  const bob = await chromium.person();
  await bob.goto(link);
  await bob.getByRole("heading", { name: "tea" }).waitFor();
  const words = (await bob.locator(".words").innerText()).trim().split(/\s+/);
  await enterName(bob, "Bob");
  await alice.sees(/Bob/);
  alice.say("hello from the terminal");
  await reads(bob, "hello from the terminal");
  await say(bob, "hello from the page");
  await alice.sees(/hello from the page/);
  // What the invite showed as the owner is what the members' list shows of her.
  const dialog = await openMember(bob, "alice");
  assert.deepEqual((await dialog.locator(".words").innerText()).trim().split(/\s+/), words);
  await bob.getByRole("button", { name: "Close" }).click();

  alice.say("/owner Bob");
  await reads(bob, "You own the room now.");
  const carol = terminal("join", await linkOf(bob), "--as", "carol");
  await reads(bob, "carol is here.");
  carol.say("by the browser's invite");
  await alice.sees(/by the browser's invite/);
  await reads(bob, "by the browser's invite");

  await openMember(bob, "carol").then((opened) => opened.getByRole("button", { name: "Remove from the room" }).click());
  await bob.getByRole("button", { name: "Remove from the room" }).click();
  await reads(bob, "The room's key was changed.");
  await say(bob, "carol cannot read this");
  await alice.sees(/carol cannot read this/);
  await carol.sees(/removed/i);
  await assert.rejects(Promise.race([carol.sees(/carol cannot read this/), new Promise((_, no) => setTimeout(no, 200))]));
  alice.say("after the rekey");
  await reads(bob, "after the rekey");
  assert.equal(await bob.locator(".alarm").count(), 0);
});

test("the terminal joins a browser's room, is told privately, and removes the browser once it owns the room", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const bob = terminal("join", await linkOf(alice), "--as", "bob");
  await reads(alice, "bob is here.");
  await openMember(alice, "bob").then((opened) => opened.getByRole("button", { name: "Write privately" }).click());
  await say(alice, "for the terminal only");
  await bob.sees(/for the terminal only/);
  bob.say("/tell Alice and back");
  await reads(alice, "and back");
  await alice.getByText("only for you").waitFor();
  await openMember(alice, "bob").then((opened) => opened.getByRole("button", { name: "Make owner" }).click());
  await alice.getByRole("button", { name: "Make owner" }).click();
  await reads(alice, "bob owns the room now: it was handed over.");
  bob.say("/remove Alice");
  await sees(alice, "You were removed from the room.");
});
