/** People in browsers, on the real server: the whole life of a room. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";

import { assertNoProblems, create, enterName, join, linkOf, makeLink, openBrowser, openMember, PHONE, reads, say, sees, stored } from "../support/browser.js";
import { layCable } from "../support/cable.js";
import { filmOf } from "../support/film.js";
import { startServer } from "../support/server.js";

let server, chromium, folder;
let films = 0;
before(async () => {
  server = await startServer(["--notice", "Be kind to each other."]);
  folder = mkdtempSync(path(tmpdir(), "subrosa-camera-"));
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => (chromium = await openBrowser(server)));
afterEach(async () => {
  await chromium.close();
  assertNoProblems(chromium.problems);
});

/** A browser whose camera sees what a page shows of an element. */
async function browserThatSees(element) {
  const film = path(folder, `${films++}.y4m`);
  writeFileSync(film, filmOf(await element.screenshot()));
  return openBrowser(server, [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-video-capture=${film}`,
  ]);
}

test("one opens a room, another joins by the code on the screen, and both are heard", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  await sees(alice, "From the host: Be kind to each other.");
  await makeLink(alice);
  const code = alice.getByRole("img", { name: "Invite as a code to scan" });
  const camera = await browserThatSees(code);
  try {
    const bob = await camera.person(PHONE);
    await bob.goto(`${server.origin}/`);
    await bob.getByRole("button", { name: "Scan a code" }).click();
    await bob.getByRole("heading", { name: "Tea at four" }).waitFor();
    await sees(bob, "This invite works once.");
    // Who owns the room is shown before joining; alice sees the same words of herself.
    const words = await bob.locator(".words").innerText();
    await enterName(bob, "Bob");
    await reads(alice, "Bob is here.");
    await alice.keyboard.press("Escape");
    await say(bob, "Hello from the phone:\nsee https://example.org/tea.");
    await reads(alice, "Hello from the phone");
    const link = alice.getByRole("link", { name: "https://example.org/tea" });
    assert.equal(await link.getAttribute("rel"), "noopener noreferrer");
    assert.equal(await link.getAttribute("href"), "https://example.org/tea");
    await say(alice, "<b>And hello back.</b>");
    await reads(bob, "<b>And hello back.</b>");
    await alice.locator(".mine").getByText("sent", { exact: true }).waitFor();
    await alice.getByRole("button", { name: "More" }).click();
    await alice.getByRole("button", { name: "My fingerprint" }).click();
    assert.equal(await alice.locator("dialog .words").innerText(), words);
    assertNoProblems(camera.problems);
  } finally {
    await camera.close();
  }
});

test("a member is verified by scanning the code on their screen, and a wrong code is a warning", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const link = await linkOf(alice, { kind: "forever" });
  const mallory = await chromium.person();
  await join(mallory, link, "Mallory");
  await alice.getByRole("button", { name: "More" }).click();
  await alice.getByRole("button", { name: "My fingerprint" }).click();
  const camera = await browserThatSees(alice.getByRole("img", { name: "Your fingerprint as a code to scan" }));
  try {
    const bob = await camera.person();
    await join(bob, link, "Bob");
    let dialog = await openMember(bob, "Mallory");
    await dialog.getByRole("button", { name: "Scan their code" }).click();
    await dialog.getByText("this code is NOT that of Mallory").waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    dialog = await openMember(bob, "Alice");
    await dialog.getByRole("button", { name: "Scan their code" }).click();
    await dialog.getByText("the code is that of Alice").waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await bob.getByRole("complementary").getByText("owner · verified").waitFor();
    assertNoProblems(camera.problems);
  } finally {
    await camera.close();
  }
});

test("the invite leaves the address bar and the history, and looking at it spends nothing", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const link = await linkOf(alice);
  const bob = await chromium.person();
  await bob.goto(link);
  await bob.getByRole("heading", { name: "Tea at four" }).waitFor();
  assert.equal(bob.url(), `${server.origin}/`);
  assert.equal(await bob.evaluate(() => history.length), 2);
  await bob.goto(link);
  await enterName(bob, "Bob");
  await reads(alice, "Bob is here.");
  const carol = await chromium.person();
  await carol.goto(link);
  await carol.getByLabel("Your name").fill("Carol");
  await carol.getByRole("button", { name: "Join the room" }).click();
  await sees(carol, "The invite does not open the room.");
});

test("a revoked link is dead, and so is every link after a reset", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const first = await makeLink(alice);
  await alice.getByRole("button", { name: "Withdraw" }).first().click();
  await alice.getByText("Links that no longer work: 1").waitFor();
  await alice.getByRole("button", { name: "Close" }).click();
  const second = await makeLink(alice, { kind: "forever" });
  await alice.getByRole("button", { name: "Reset all links" }).click();
  await alice.getByRole("dialog", { name: "Reset all links" }).getByRole("button", { name: "Reset all links" }).click();
  await reads(alice, "All older links have stopped working.");
  for (const link of [first, second]) {
    const bob = await chromium.person();
    await bob.goto(link);
    await bob.getByLabel("Your name").fill("Bob");
    await bob.getByRole("button", { name: "Join the room" }).click();
    await sees(bob, "The invite does not open the room.");
  }
  await alice.getByRole("button", { name: "Close" }).click();
  const carol = await chromium.person();
  await join(carol, await linkOf(alice), "Carol");
  await say(carol, "fresh");
  await reads(alice, "fresh");
});

test("private words reach one, a removed member reads nothing more, and the room is handed over", async () => {
  const [alice, bob, carol] = [await chromium.person(), await chromium.person(PHONE), await chromium.person()];
  await create(alice, server, { stay: "transfer" });
  const link = await linkOf(alice, { kind: "forever" });
  await join(bob, link, "Bob");
  await join(carol, link, "Carol");
  await openMember(carol, "Bob").then((dialog) => dialog.getByRole("button", { name: "Write privately" }).click());
  await say(carol, "between us");
  await reads(bob, "between us");
  await bob.getByText("only for you").waitFor();
  await carol.getByRole("button", { name: "Write to everyone again" }).click();
  await say(carol, "to all");
  await reads(alice, "to all");
  assert.equal(await alice.getByText("between us").count(), 0);

  await openMember(alice, "Carol").then((dialog) => dialog.getByRole("button", { name: "Remove from the room" }).click());
  await alice.getByRole("button", { name: "Remove from the room" }).click();
  await sees(carol, "You were removed from the room.");
  await reads(bob, "Carol was removed.");
  await reads(bob, "The room's key was changed.");
  await say(alice, "without carol");
  await reads(bob, "without carol");

  await openMember(alice, "Bob").then((dialog) => dialog.getByRole("button", { name: "Make owner" }).click());
  await alice.getByRole("button", { name: "Make owner" }).click();
  await reads(bob, "You own the room now.");
  await reads(alice, "Bob owns the room now: it was handed over.");
  const dave = await chromium.person();
  await join(dave, await linkOf(bob), "Dave");
  await say(dave, "by bob's invite");
  await reads(alice, "by bob's invite");

  // The owner leaves. The server's word alone makes nobody the owner: the heir decides.
  await bob.getByRole("button", { name: "Leave" }).click();
  await bob.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await sees(bob, "You have left, and this page has forgotten the room.");
  await alice.getByRole("dialog").getByRole("button", { name: "Take over the room" }).click();
  await reads(alice, "You own the room now.");
  await reads(dave, "Alice owns the room now: an heir whom the owner before had named.");
  await say(dave, "still here");
  await reads(alice, "still here");
  // One line says what the server told of the owner, and nothing else is alarming.
  for (const page of [alice, dave]) {
    const alarms = await page.locator(".log .alarm").allTextContents();
    assert.ok(alarms.length === 1 && alarms[0].includes("The server says that Bob"), alarms.join("\n"));
  }
});

test("nothing is stored, during and after, and a closed room ends for all", async () => {
  const [alice, bob] = [await chromium.person(), await chromium.person()];
  await create(alice, server);
  await join(bob, await linkOf(alice), "Bob");
  await say(bob, "gone tomorrow");
  await reads(alice, "gone tomorrow");
  const nothing = { local: 0, session: 0, databases: 0, caches: 0, cookies: "", workers: 0, address: `${server.origin}/`, history: null };
  assert.deepEqual(await stored(bob), nothing);
  await alice.getByRole("button", { name: "Leave" }).click();
  await alice.getByRole("button", { name: "Close the room for everyone" }).click();
  await sees(alice, "The room was closed.");
  await sees(bob, "The room was closed.");
  await bob.getByRole("button", { name: "Wipe now" }).click();
  await bob.getByRole("heading", { name: "Open a room" }).waitFor();
  for (const page of [alice, bob]) {
    assert.deepEqual(await stored(page), nothing);
    assert.equal(await page.getByText("gone tomorrow").count(), 0);
    assert.deepEqual(await page.context().cookies(), []);
  }
});

test("the panic key wipes everything and leaves a blank page; the others see a leave", async () => {
  const [alice, bob, carol] = [await chromium.person(), await chromium.person(), await chromium.person()];
  await create(alice, server);
  const link = await linkOf(alice, { kind: "forever" });
  await join(bob, link, "Bob");
  await join(carol, link, "Carol");
  await bob.keyboard.press("F8");
  await bob.waitForURL("about:blank");
  await reads(alice, "Bob has left.");
  for (let i = 0; i < 3; i++) await carol.keyboard.press("Escape");
  await carol.waitForURL("about:blank");
  await reads(alice, "Carol has left.");
});

test("a lost connection shows, what is said meanwhile is kept, and both sides go on", async (t) => {
  const cable = await layCable(server.port);
  t.after(() => cable.stop());
  const alice = await chromium.person();
  // Bob's browser tells of the failed connections in its console, as browsers do.
  const far = await openBrowser({ ...server, origin: `https://localhost:${cable.port}` });
  t.after(() => far.close());
  const bob = await far.person();
  await create(alice, server);
  await join(bob, (await linkOf(alice)).replace(server.port, cable.port), "Bob");
  await say(bob, "before");
  await reads(alice, "before");
  cable.cut();
  await bob.getByText("Connection lost. Reconnecting…").waitFor();
  await say(alice, "while you were away");
  await alice.getByText("kept for Bob until they are back").waitFor();
  await say(bob, "from the tunnel");
  await bob.getByText("sending").waitFor();
  cable.mend();
  await bob.evaluate(() => window.dispatchEvent(new Event("online")));
  await reads(bob, "while you were away");
  await reads(alice, "from the tunnel");
  await bob.getByText("Connected").waitFor();
  assert.equal(await alice.getByText("from the tunnel").count(), 1);
  assert.equal(await alice.locator(".alarm").count(), 0);
  assert.deepEqual(far.problems.filter((problem) => !problem.includes("WebSocket connection to")), []);
});

test("unread messages are counted in the title", async () => {
  const [alice, bob] = [await chromium.person(), await chromium.person()];
  await create(alice, server);
  await join(bob, await linkOf(alice), "Bob");
  await bob.evaluate(() => Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true }));
  await say(alice, "one");
  await say(alice, "two");
  await bob.waitForFunction(() => document.title === "(2) Subrosa");
  await bob.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { value: "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await bob.waitForFunction(() => document.title === "Subrosa");
});

test("an invite of another server is not followed, and a spoilt one is refused", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const link = await linkOf(alice);
  const bob = await chromium.person();
  await bob.goto(`${server.origin}/`);
  await bob.getByLabel("Invite link").fill(link.replace(/localhost:\d+/, "elsewhere.example"));
  await bob.getByRole("button", { name: "Continue" }).click();
  await sees(bob, "This invite leads to another server: elsewhere.example");
  await bob.getByRole("button", { name: "Back" }).click();
  await bob.getByLabel("Invite link").fill(link.slice(0, -8));
  await bob.getByRole("button", { name: "Continue" }).click();
  await sees(bob, "That is not a complete invite link.");
});

test("the browser's language is followed", async () => {
  for (const [locale, words] of [["de-AT", "Einen Raum öffnen"], ["es-MX", "Abrir una sala"], ["fr-CH", "Ouvrir un salon"], ["pt-BR", "Abrir uma sala"], ["zh-CN", "创建房间"], ["sv-SE", "Open a room"]]) {
    const page = await chromium.person({ locale });
    await page.goto(`${server.origin}/`);
    await page.getByRole("heading", { name: words }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), words === "Open a room" ? "en" : locale.slice(0, 2));
  }
});
