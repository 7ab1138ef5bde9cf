/** Large rooms stay smooth: 5,000 messages and 1,000 members on screen. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertNoProblems, openBrowser } from "../support/browser.js";
import { startServer } from "../support/server.js";

let server, chromium;
before(async () => {
  server = await startServer();
  chromium = await openBrowser(server);
});
after(async () => {
  await chromium.close();
  await server.stop();
  assertNoProblems(chromium.problems);
});

/** The longest time, in milliseconds, for which scrolling through an element held the page up. */
const scrollThrough = (page, selector) =>
  page.evaluate(async (selector) => {
    const element = document.querySelector(selector);
    let longest = 0;
    for (let i = 0; i <= 30; i++) {
      element.scrollTop = (element.scrollHeight * i) / 30;
      const before = performance.now();
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      longest = Math.max(longest, performance.now() - before);
    }
    return longest;
  }, selector);

test("5,000 messages: a part is in the page, adding and scrolling stay quick, and older ones are let go", async () => {
  const page = await chromium.person();
  await page.goto(`${server.origin}/`);
  await page.getByRole("heading", { name: "Open a room" }).waitFor();
  const added = await page.evaluate(async () => {
    const { Timeline } = await import("/ui/timeline.js");
    const timeline = new Timeline();
    window.timeline = timeline;
    timeline.element.style.height = "700px";
    document.body.replaceChildren(timeline.element);
    const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const say = (i) =>
      timeline.say({ name: `Member ${i % 7}`, fingerprint: `${"ABCDEFG"[i % 7]}A`, verified: false, only: "", text: `Message ${i} `.repeat(1 + (i % 9)), written: Date.now(), mine: i % 5 === 0 });
    for (let i = 0; i < 6_000; i++) say(i);
    await frame();
    const before = performance.now();
    for (let i = 6_000; i < 6_020; i++) say(i);
    await frame();
    return { ms: (performance.now() - before) / 20, shown: document.querySelectorAll(".message").length, kept: timeline.entries.length, end: timeline.sticks };
  });
  assert.ok(added.kept <= 5_000 && added.kept > 4_000, `${added.kept}`);
  assert.ok(added.shown <= 260, `${added.shown} in the page`);
  assert.ok(added.end);
  assert.ok(added.ms < 20, `${added.ms} ms a message`);
  const longest = await scrollThrough(page, ".log");
  assert.ok(longest < 400, `${longest} ms`);
  // Scrolling up again and again reaches the beginning, and nothing is shown twice or out of order.
  const numbers = await page.evaluate(async () => {
    const { log } = window.timeline;
    for (let i = 0; i < 400 && (window.timeline.first > 0 || log.scrollTop > 0); i++) {
      log.scrollTop = Math.max(0, log.scrollTop - 3_000);
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    }
    return [...document.querySelectorAll(".message .text")].map((text) => Number(/\d+/.exec(text.textContent)[0]));
  });
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  assert.ok(numbers[0] < 1_300, `${numbers[0]}`);
  await page.getByText("This page has removed older messages.").waitFor();
});

test("1,000 members: the list opens and filters quickly", async () => {
  const page = await chromium.person();
  await page.goto(`${server.origin}/`);
  const took = await page.evaluate(async () => {
    const { MembersPanel } = await import("/ui/members-panel.js");
    const members = Array.from({ length: 1_000 }, (_, i) => ({
      name: `Member ${i}`,
      fingerprint: String(i).padEnd(43, "A"),
      verified: i % 3 === 0,
      owner: false,
    }));
    const room = { members, name: "Me", fingerprint: "A".repeat(43), owner: "A".repeat(43), isOwner: true, mismatched: new Set() };
    const before = performance.now();
    const panel = new MembersPanel(room, { openMember: () => {}, openMe: () => {}, invite: () => {} });
    panel.element.classList.add("open");
    document.body.replaceChildren(panel.element);
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const shown = performance.now() - before;
    panel.search.value = "Member 77";
    panel.list();
    return { shown, found: document.querySelectorAll(".member").length };
  });
  assert.equal(took.found, 11);
  assert.ok(took.shown < 1_500, `${took.shown} ms`);
});
