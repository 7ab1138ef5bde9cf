/** What people write reaches those it is for, and nobody else; keys do what they say; what a page says of itself is true. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { assertNoProblems, create, enterName, join, linkOf, makeLink, openBrowser, openMember, reads, say, sees } from "../support/browser.js";
import { layCable } from "../support/cable.js";
import { startServer } from "../support/server.js";

let server, chromium;
before(async () => (server = await startServer(["--limit", "resume_window_s=3"])));
after(() => server.stop());
beforeEach(async () => (chromium = await openBrowser(server)));
afterEach(async () => {
  await chromium.close();
  assertNoProblems(chromium.problems);
});

const box = (page) => page.getByRole("textbox", { name: /^Write/ });
const send = (page) => page.getByRole("button", { name: "Send" });

/** Alice, Bob and Carol in a room, Alice writing privately to Bob. */
async function aliceWritesToBob({ bobAt = server } = {}) {
  const [alice, carol] = [await chromium.person(), await chromium.person()];
  await create(alice, server);
  const link = await linkOf(alice, { kind: "forever" });
  const far = bobAt === server ? chromium : await openBrowser(bobAt);
  const bob = await far.person();
  await join(bob, link.replace(server.port, bobAt.port), "Bob");
  await join(carol, link, "Carol");
  await reads(alice, "Carol is here.");
  await openMember(alice, "Bob").then((dialog) => dialog.getByRole("button", { name: "Write privately" }).click());
  await box(alice).fill("Bob, Carol must not know: the key is under");
  return { alice, bob, carol, far };
}

/** However Bob goes, the draft stays his. */
async function draftStays(alice, carol, why) {
  await alice.getByRole("alert").getByText(`${why} Nothing was sent.`).waitFor();
  assert.ok(await send(alice).isDisabled());
  await box(alice).focus();
  await alice.keyboard.type(" the mat");
  await alice.keyboard.press("Enter");
  await alice.keyboard.press("Control+Enter");
  assert.equal(await box(alice).inputValue(), "Bob, Carol must not know: the key is under the mat");
  await say(carol, "still here");
  await reads(alice, "still here");
  assert.equal(await carol.getByText("must not know").count(), 0);
}

test("a private draft stays its recipient's when they leave", async () => {
  const { alice, bob, carol } = await aliceWritesToBob();
  await bob.getByRole("button", { name: "Leave" }).click();
  await bob.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await draftStays(alice, carol, "Bob has left.");
  await alice.getByRole("button", { name: "Discard" }).click();
  assert.equal(await box(alice).inputValue(), "");
  await say(alice, "to all again");
  await reads(carol, "to all again");
});

test("a private draft stays its recipient's when they are removed", async () => {
  const { alice, carol } = await aliceWritesToBob();
  await openMember(alice, "Bob").then((dialog) => dialog.getByRole("button", { name: "Remove from the room" }).click());
  await alice.getByRole("button", { name: "Remove from the room" }).click();
  await draftStays(alice, carol, "Bob was removed.");
});

test("a private draft stays its recipient's when they are lost, and goes to all only by a click and a send", async (t) => {
  const cable = await layCable(server.port);
  t.after(() => cable.stop());
  const { alice, carol, far } = await aliceWritesToBob({ bobAt: { ...server, origin: `https://localhost:${cable.port}`, port: cable.port } });
  t.after(() => far.close());
  cable.cut();
  await draftStays(alice, carol, "Bob lost the connection and is gone.");
  await alice.getByRole("button", { name: "Write to everyone" }).click();
  assert.equal(await carol.getByText("must not know").count(), 0);
  await box(alice).fill("it is about a surprise");
  await send(alice).click();
  await reads(carol, "it is about a surprise");
});

test("there is one draft for each recipient", async () => {
  const { alice, bob, carol } = await aliceWritesToBob();
  await alice.getByRole("button", { name: "Write to everyone again" }).click();
  assert.equal(await box(alice).inputValue(), "");
  await box(alice).fill("Hello all");
  await openMember(alice, "Carol").then((dialog) => dialog.getByRole("button", { name: "Write privately" }).click());
  await box(alice).fill("only Carol");
  await alice.getByRole("button", { name: "Draft for Bob" }).click();
  assert.equal(await box(alice).inputValue(), "Bob, Carol must not know: the key is under");
  await send(alice).click();
  await reads(bob, "must not know");
  await alice.getByRole("button", { name: "Draft for Carol" }).click();
  await send(alice).click();
  await reads(carol, "only Carol");
  await alice.getByRole("button", { name: "Draft for everyone" }).click();
  await send(alice).click();
  for (const page of [bob, carol]) await reads(page, "Hello all");
  assert.equal(await carol.getByText("must not know").count(), 0);
  assert.equal(await bob.getByText("only Carol").count(), 0);
});

test("an Enter that belongs to a composition sends nothing, in any browser's order of events", async () => {
  const [alice, bob] = [await chromium.person(), await chromium.person()];
  await create(alice, server);
  await join(bob, await linkOf(alice), "Bob");
  await box(alice).fill("你好");
  // Chromium and Firefox say so; Safari ends the composition first and keeps only the code of a key that was taken.
  await box(alice).evaluate((input) => {
    for (const init of [{ isComposing: true }, { keyCode: 229 }]) {
      input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...init }));
    }
  });
  await say(bob, "and?");
  await reads(alice, "and?");
  assert.equal(await box(alice).inputValue(), "你好");
  await box(alice).press("Enter");
  await reads(bob, "你好");
});

test("Escape that is held, that closes something or that composes does not wipe", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const held = async () => {
    for (let i = 0; i < 5; i++) await alice.keyboard.down("Escape");
    await alice.keyboard.up("Escape");
  };
  await held();
  await alice.getByRole("button", { name: "Invite" }).first().click();
  await held();
  await alice.getByRole("dialog").waitFor({ state: "detached" });
  // Three presses within a second, each of which closes something or begins the count anew.
  await alice.getByRole("button", { name: "Search" }).click();
  await alice.getByRole("button", { name: "More" }).click();
  for (let i = 0; i < 3; i++) await alice.keyboard.press("Escape");
  await box(alice).evaluate((input) => {
    for (const init of [{ isComposing: true }, { keyCode: 229 }, { repeat: true }]) {
      input.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, ...init }));
    }
  });
  await alice.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_100)));
  await alice.getByRole("heading", { name: "Tea at four" }).waitFor();
  // Three within a second: a busy machine may need more than one try.
  while (alice.url() !== "about:blank") for (let i = 0; i < 3; i++) await alice.keyboard.press("Escape");
});

for (const how of ["refused", "missing"]) {
  test(`copying tells the truth where the clipboard is ${how}`, async () => {
    const alice = await chromium.person();
    await alice.addInitScript((how) => {
      if (how === "missing") Object.defineProperty(Navigator.prototype, "clipboard", { get: () => undefined });
      else Clipboard.prototype.writeText = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
      document.execCommand = () => false;
    }, how);
    await create(alice, server);
    await makeLink(alice);
    const dialog = alice.getByRole("dialog");
    await dialog.getByRole("button", { name: "Copy" }).click();
    await dialog.getByText("Copying is not allowed here.").waitFor();
    assert.equal(await alice.getByText("Copied").count(), 0);
    assert.ok(await alice.evaluate(() => document.activeElement.matches("input.link-text") && document.activeElement.selectionEnd > 100));
  });
}

test("copying works, and says so", async () => {
  const alice = await chromium.person();
  await alice.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await create(alice, server);
  const link = await makeLink(alice);
  let copied;
  await alice.exposeFunction("copiedText", (text) => (copied = text));
  await alice.evaluate(() => {
    const write = navigator.clipboard.writeText.bind(navigator.clipboard);
    navigator.clipboard.writeText = (text) => (window.copiedText(text), write(text));
  });
  await alice.getByRole("dialog").getByRole("button", { name: "Copy" }).click();
  await alice.getByRole("dialog").getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(copied, link);
});

test("a bent invite is found in the field, and one that is opened in a room asks first", async () => {
  const [alice, bob] = [await chromium.person(), await chromium.person()];
  await create(alice, server, { room: "First" });
  const first = await linkOf(alice, { kind: "forever" });
  const dora = await chromium.person();
  await create(dora, server, { room: "Second", name: "Dora" });
  const second = await linkOf(dora);
  await bob.goto(`${server.origin}/`);
  await bob.getByLabel("Invite link").fill(`Join me:\n<${first.replace("localhost", "LOCALHOST").replace(/(.{76})/g, "$1\n")}>.`);
  await bob.getByRole("button", { name: "Continue" }).click();
  await enterName(bob, "Bob");
  await bob.evaluate((hash) => (location.hash = hash), new URL(second).hash);
  const dialog = bob.getByRole("dialog", { name: "Another invite" });
  await dialog.getByText("You are in “First”.").waitFor();
  assert.equal(new URL(bob.url()).hash, "");
  await dialog.getByRole("button", { name: "Stay here" }).click();
  await say(bob, "I am still here");
  await reads(alice, "I am still here");
  await bob.evaluate((hash) => (location.hash = hash), new URL(second).hash);
  await dialog.getByRole("button", { name: "Leave this room and look at it" }).click();
  await bob.getByRole("heading", { name: "Second" }).waitFor();
  await reads(alice, "Bob has left.");
});

test("a room that ends stays to be read, lets the draft be copied, and wipes itself", async () => {
  const [alice, bob] = [await chromium.person(), await chromium.person()];
  await bob.clock.install();
  await create(alice, server, { stay: "close" });
  await join(bob, await linkOf(alice), "Bob");
  await say(alice, "read this again");
  await reads(bob, "read this again");
  await box(bob).fill("half an answer");
  await alice.getByRole("button", { name: "Leave" }).click();
  await sees(alice, "The room ends for everyone, and everything in it is gone.");
  await alice.getByRole("button", { name: "Close the room for everyone" }).click();
  await bob.getByRole("heading", { name: "The room was closed." }).waitFor();
  await reads(bob, "read this again");
  assert.equal(await bob.getByLabel("Draft for everyone").inputValue(), "half an answer");
  await bob.getByRole("button", { name: "Copy what I was writing" }).waitFor();
  await bob.clock.runFor(61_000);
  await bob.getByRole("heading", { name: "Open a room" }).waitFor();
  assert.equal(await bob.getByText("read this again").count(), 0);
  await bob.getByText("The room was closed.").first().waitFor();
});

test("the title names no room, unless that is chosen, and a room with an end says when", async () => {
  const alice = await chromium.person();
  await alice.goto(`${server.origin}/`);
  await alice.clock.install();
  const form = alice.locator("form", { has: alice.getByRole("heading", { name: "Open a room" }) });
  await form.getByLabel("Room name").fill("Tea at four");
  await form.getByLabel("Your name").fill("Alice");
  await form.getByLabel("The room lasts").selectOption("3600");
  await form.getByRole("button", { name: "Open the room" }).click();
  await alice.getByText(/^ends /).waitFor();
  assert.equal(await alice.title(), "Subrosa");
  await alice.getByRole("button", { name: "More" }).click();
  await alice.getByLabel("Show the room's name in the browser").click();
  assert.equal(await alice.title(), "Tea at four · Subrosa");
  await alice.keyboard.press("Escape");
  await alice.clock.fastForward(51 * 60_000);
  await reads(alice, "The room ends in ten minutes.");
});

test("a wrong clock is told and shuts nobody out", async () => {
  const [alice, bob] = [await chromium.person(), await chromium.person()];
  await create(alice, server);
  const link = await linkOf(alice);
  await bob.clock.install({ time: Date.now() + 3 * 86_400_000 });
  await bob.goto(link);
  await sees(bob, "The clock of this device is 3 days ahead of the server's.");
  await enterName(bob, "Bob");
  await reads(alice, "Bob is here.");
});

test("Back closes what is open, and Forward opens nothing again", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  await alice.getByRole("button", { name: "More" }).click();
  await alice.getByRole("button", { name: "My fingerprint" }).click();
  await alice.getByRole("dialog", { name: "My fingerprint" }).waitFor();
  await alice.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
  await alice.evaluate(() => history.back());
  await alice.getByRole("dialog").waitFor({ state: "detached" });
  await alice.evaluate(() => history.forward());
  await alice.waitForFunction(() => history.state === null);
  assert.equal(await alice.getByRole("dialog").count(), 0);
  await say(alice, "x").catch(() => {});
  await alice.getByRole("heading", { name: "Tea at four" }).waitFor();
});
