/** The conversation as people look at it: where it stands, what of a text is shown, what stays within its place, what screen readers are told. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { assertNoProblems, create, join, linkOf, openBrowser, openMember, PHONE, reads, say } from "../support/browser.js";
import { layCable } from "../support/cable.js";
import { startServer } from "../support/server.js";

let server, chromium;
before(async () => (server = await startServer()));
after(() => server.stop());
beforeEach(async () => (chromium = await openBrowser(server)));
afterEach(async () => {
  await chromium.close();
  assertNoProblems(chromium.problems);
});

const box = (page) => page.getByRole("textbox", { name: /^Write/ });
/** How far the end of the messages is below the view, in pixels. */
const below = (page) => page.locator(".log").evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
const atEnd = (page) => page.waitForFunction(() => {
  const log = document.querySelector(".log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 2;
});

async function two(aliceLooks, bobLooks) {
  const [alice, bob] = [await chromium.person(aliceLooks), await chromium.person(bobLooks)];
  await create(alice, server);
  await join(bob, await linkOf(alice), "Bob");
  await reads(alice, "Bob is here.");
  return { alice, bob };
}

async function talk(page, other, count) {
  for (let i = 1; i <= count; i++) await say(page, `Line ${i} of a long conversation`);
  await reads(other, `Line ${count} of`);
}

test("the newest stays in view when the field grows, the keyboard opens, the phone turns, and when one sends", async () => {
  const { alice, bob } = await two(PHONE);
  await talk(bob, alice, 25);
  await atEnd(alice);
  await box(alice).fill("1\n2\n3\n4\n5\n6\n7");
  await atEnd(alice);
  for (const viewport of [{ width: 390, height: 500 }, { width: 844, height: 390 }, { width: 320, height: 844 }]) {
    await alice.setViewportSize(viewport);
    await atEnd(alice);
  }
  await alice.locator(".log").evaluate((log) => (log.scrollTop = 0));
  await alice.waitForFunction(() => !document.querySelector(".jump").hidden);
  await say(alice, "from far above");
  await atEnd(alice);
});

test("who reads above is not pulled down, and learns how much is new", async () => {
  const { alice, bob } = await two();
  await talk(bob, alice, 30);
  await alice.locator(".log").evaluate((log) => (log.scrollTop = 0));
  await alice.getByRole("button", { name: "Jump to the newest message" }).waitFor();
  await say(bob, "one more");
  await say(bob, "and another");
  await alice.getByRole("button", { name: "Jump to the newest message (2)" }).waitFor();
  assert.ok((await below(alice)) > 200);
  await alice.getByRole("button", { name: "Jump to the newest message (2)" }).click();
  await atEnd(alice);
  const line = await alice.locator(".new").evaluate((line) => line.nextElementSibling.querySelector(".text").textContent);
  assert.equal(line, "one more");
  assert.ok(await alice.locator(".jump").isHidden());
});

for (const [width, height] of [[844, 190], [320, 568], [390, 300]]) {
  test(`everything has its place at ${width} × ${height}`, async () => {
    const { alice, bob } = await two({ viewport: { width, height } });
    await talk(bob, alice, 4);
    await box(alice).fill("a\nb\nc\nd\ne\nf");
    const { boxes, wide } = await alice.evaluate(() => ({
      boxes: Object.fromEntries([".room-head", ".timeline", ".composer", ".composer button.primary"].map((name) => [name, document.querySelector(name).getBoundingClientRect().toJSON()])),
      wide: document.documentElement.scrollWidth,
    }));
    assert.ok(wide <= width, `${wide}`);
    assert.ok(boxes[".composer"].bottom <= height + 1, JSON.stringify(boxes));
    assert.ok(boxes[".composer button.primary"].bottom <= height + 1 && boxes[".composer button.primary"].right <= width, JSON.stringify(boxes));
    assert.ok(boxes[".timeline"].bottom <= boxes[".composer"].top + 1 && boxes[".timeline"].top >= boxes[".room-head"].bottom - 1, JSON.stringify(boxes));
    assert.ok(boxes[".timeline"].height >= 30, JSON.stringify(boxes));
  });
}

test("text of twice the size still fits", async () => {
  const { alice, bob } = await two({ viewport: { width: 390, height: 844 } });
  await alice.evaluate(() => (document.documentElement.style.fontSize = "200%"));
  await say(bob, "a word");
  await reads(alice, "a word");
  assert.ok((await alice.evaluate(() => document.documentElement.scrollWidth)) <= 390);
  const cut = await box(alice).evaluate((field) => field.scrollHeight > field.clientHeight + 1);
  assert.equal(cut, false);
});

test("on a phone the name and the way in are seen without scrolling", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const bob = await chromium.person(PHONE);
  await bob.goto(await linkOf(alice));
  const button = await bob.getByRole("button", { name: "Join the room" }).boundingBox();
  assert.ok(button.y + button.height < 664, JSON.stringify(button));
});

test("links show where they lead, end where a reader sees them end, and turn nothing around", async () => {
  const { alice, bob } = await two();
  const shown = async (text) => {
    await say(alice, text);
    const message = bob.locator(".message").last().locator(".text");
    await alice.locator(".mine .state").last().getByText("sent").waitFor();
    await bob.waitForFunction((count) => document.querySelectorAll(".message").length === count, await alice.locator(".message").count());
    return message.evaluate((element) => ({
      text: element.textContent,
      links: [...element.querySelectorAll("a")].map((link) => [link.textContent, link.href.replace(/\/$/, "")]),
    }));
  };
  for (const [text, links] of [
    ["https://example.org/\u202egpj.exe", ["https://example.org"]],
    ["看https://example.org/a这里有", ["https://example.org/a"]],
    ["見てhttps://example.org。次", ["https://example.org"]],
    ["https://example.org에서 봐", ["https://example.org"]],
    ["https://аpple.com/login", ["https://xn--pple-43d.com/login"]],
    ["(https://en.wikipedia.org/wiki/Rose_(novel))", ["https://en.wikipedia.org/wiki/Rose_(novel)"]],
    ["see www.example.org.", ["https://www.example.org"]],
    ["“https://example.org/x”", ["https://example.org/x"]],
    ["https://user@evil.example/", []],
    ["https://例え.jpを見て", []],
  ]) {
    const { text: seen, links: found } = await shown(text);
    assert.deepEqual(found.map(([, href]) => href), links, text);
    for (const [label, href] of found) assert.equal(label.replace(/\/$/, ""), href, text);
    assert.doesNotMatch(seen, /[\u202a-\u202e\u2066-\u2069]/, text);
  }
});

test("stacked marks stay within their message, and a text of the other direction within its place", async () => {
  const { alice, bob } = await two();
  await say(bob, `Z${"\u0335\u0328\u0321\u0337".repeat(40)}a${"\u0300\u0301\u0302".repeat(60)}`);
  await say(bob, "\u202emirrored\u202c שלום to you");
  await reads(alice, "mirrored");
  const overflow = await alice.locator(".bubble").evaluateAll((bubbles) => bubbles.map((bubble) => getComputedStyle(bubble).overflowY));
  assert.ok(overflow.every((value) => value === "clip"));
  const marks = await alice.locator(".message .text").first().evaluate((text) => text.textContent.match(/\p{M}/gu).length);
  assert.ok(marks <= 8, `${marks}`);
  assert.equal(await alice.locator(".message .text").last().evaluate((text) => getComputedStyle(text).unicodeBidi), "isolate");
});

test("formatting is built from the text, keeps its indentation, and folds what is long", async () => {
  const { alice, bob } = await two();
  await say(alice, "    def f():\n        return 1");
  await say(alice, "a **bold** and *slanted* `co*d*e`\n> said\n- one\n- two\n```\n  x = 1\n```");
  await say(alice, "2*3*4 and snake_case_name and <b>x</b> **open");
  await say(alice, "🌹🌹");
  await say(alice, "l\n".repeat(100) + "the end");
  await bob.getByRole("button", { name: "Show all (lines: 101)" }).waitFor();
  const texts = bob.locator(".message .text");
  assert.equal(await texts.nth(0).evaluate((text) => text.textContent), "    def f():\n        return 1");
  const made = await texts.nth(1).evaluate((text) => Object.fromEntries(["strong", "em", "code", "blockquote", "li", "pre"].map((tag) => [tag, [...text.querySelectorAll(tag)].map((one) => one.textContent)])));
  assert.deepEqual(made, { strong: ["bold"], em: ["slanted"], code: ["co*d*e", "  x = 1"], blockquote: ["said"], li: ["one", "two"], pre: ["  x = 1"] });
  assert.equal(await texts.nth(2).evaluate((text) => text.textContent), "2*3*4 and snake_case_name and <b>x</b> **open");
  assert.equal(await texts.nth(2).locator("strong, em, b").count(), 0);
  assert.ok(await texts.nth(3).evaluate((text) => parseFloat(getComputedStyle(text).fontSize) > 30));
  assert.equal(await texts.nth(4).getByText("the end").count(), 0);
  await bob.getByRole("button", { name: "Show all (lines: 101)" }).click();
  await texts.nth(4).getByText("the end").waitFor();
});

test("days follow arrival: a sender's wrong clock is a detail of its messages", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const link = await linkOf(alice, { kind: "forever" });
  const [bob, carol] = [await chromium.person(), await chromium.person()];
  // Only the clock is wrong; the timers run.
  await bob.addInitScript(() => {
    const now = Date.now.bind(Date);
    Date.now = () => now() - 3 * 86_400_000;
  });
  await join(bob, link, "Bob");
  await join(carol, link, "Carol");
  for (const [page, text] of [[bob, "old?"], [carol, "new"], [bob, "old again?"], [carol, "new again"]]) {
    await say(page, text);
    await reads(alice, text);
  }
  assert.equal(await alice.locator(".day").count(), 1);
  assert.match(await alice.locator(".day").innerText(), /\d{4}/);
  await alice.locator(".message", { hasText: "old again?" }).getByText("by the sender's clock").waitFor();
  assert.equal(await alice.locator(".message", { hasText: "new again" }).getByText("by the sender's clock").count(), 0);
});

test("search finds, counts and steps, from the keyboard", async () => {
  const { alice, bob } = await two();
  await talk(bob, alice, 12);
  await say(bob, "Crème brûlée");
  await reads(alice, "Crème");
  await box(alice).press("Control+f");
  await alice.getByRole("searchbox", { name: "Search the messages" }).fill("line 1");
  await alice.getByText("4 of 4").waitFor();
  await alice.keyboard.press("Enter");
  await alice.getByText("3 of 4").waitFor();
  assert.match(await alice.locator(".found .text").innerText(), /^Line 11 /);
  await alice.getByRole("searchbox", { name: "Search the messages" }).fill("creme BRULEE");
  await alice.getByText("1 of 1").waitFor();
  await alice.getByRole("searchbox", { name: "Search the messages" }).fill("nowhere");
  await alice.getByText("Nothing found").waitFor();
  await alice.keyboard.press("Escape");
  assert.ok(await alice.locator(".search-bar").isHidden());
});

test("screen readers are told of others' messages, once each, and not of one's own", async () => {
  const { alice, bob } = await two();
  await alice.evaluate(() => {
    window.told = [];
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) {
        for (const node of addedNodes) {
          const element = node.nodeType === 1 ? node : node.parentElement;
          const live = element?.closest("[aria-live], [role=status], [role=alert]");
          if (live && live.getAttribute("aria-live") !== "off") window.told.push(element.textContent);
        }
      }
    }).observe(document.body, { childList: true, subtree: true });
  });
  await say(alice, "my own words");
  await alice.locator(".mine .state").getByText("sent").waitFor();
  await say(bob, "words of bob");
  await reads(alice, "words of bob");
  const told = await alice.evaluate(() => window.told);
  assert.equal(told.filter((text) => text.includes("words of bob")).length, 1, JSON.stringify(told));
  assert.ok(!told.some((text) => /my own words|sending|sent/.test(text)), JSON.stringify(told));
});

test("many who come and go fold, the focus in the list of members stays, and verification shows at names", async () => {
  const { alice, bob } = await two();
  const { carols } = { carols: [] };
  const link = await linkOf(alice, { kind: "forever" });
  await say(bob, "before");
  const row = alice.getByRole("complementary").getByRole("button", { name: /Bob/ });
  await row.focus();
  for (let i = 0; i < 4; i++) {
    const guest = await chromium.person();
    await join(guest, link, `Guest ${i}`);
    carols.push(guest);
    await reads(alice, `Guest ${i} is here.`);
  }
  for (const guest of carols.slice(0, 3)) {
    await guest.getByRole("button", { name: "Leave" }).click();
    await guest.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  }
  await reads(alice, "Guest 2 has left.");
  assert.ok(await row.evaluate((element) => element === document.activeElement));
  await alice.getByText(/^Who came and went before \(\d\)$/).waitFor();
  assert.ok((await alice.locator(".entries > p.note:not(.day)").count()) <= 7);
  const dialog = await openMember(alice, "Bob");
  await dialog.getByRole("button", { name: "They are the same" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await alice.locator(".message .name").getByRole("img", { name: "verified" }).first().waitFor();
});

test("the state of an invite is told: waiting, used by whom, withdrawn; and the owner learns of the guest elsewhere", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  await alice.getByRole("button", { name: "Invite" }).first().click();
  const dialog = alice.getByRole("dialog", { name: "Invite somebody" });
  await dialog.getByLabel("Who it is for").fill("for mum");
  await dialog.getByRole("button", { name: "Make the link" }).click();
  const link = await dialog.getByLabel("Your link").inputValue();
  await dialog.locator("li", { hasText: "for mum" }).getByText("Waiting").waitFor();
  await alice.evaluate(() => Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true }));
  const mum = await chromium.person();
  await join(mum, link, "Mum");
  await dialog.locator("li", { hasText: "for mum" }).getByText("Used by Mum").waitFor();
  await alice.waitForFunction(() => document.title === "(1) Subrosa");
  assert.equal(await alice.getByText("Bring somebody in").count(), 0);
});

test("a dead line shows soon, in what is about to be used, and when the network says so", async (t) => {
  const cable = await layCable(server.port);
  t.after(() => cable.stop());
  const far = await openBrowser({ ...server, origin: `https://localhost:${cable.port}` });
  t.after(() => far.close());
  const alice = await far.person();
  await create(alice, { ...server, origin: `https://localhost:${cable.port}` });
  await alice.getByText("Connected").waitFor();
  await alice.locator(".welcome .code-ink").waitFor();
  cable.silence();
  await alice.evaluate(() => new Promise((resolve) => setTimeout(resolve, 3_200)));
  const began = Date.now();
  await box(alice).pressSequentially("h");
  await alice.getByText("Waiting for the network…").waitFor();
  assert.ok(Date.now() - began < 5_500, `${Date.now() - began} ms`);
  await alice.context().setOffline(true);
  await alice.getByText("Connection lost. Reconnecting…").waitFor();
});
