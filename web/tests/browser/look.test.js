/** Every screen by axe's rules, light and dark, on a phone and a desktop; the pictures for the README; and the headers that the server gives. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { assertNoProblems, create, enterName, join, linkOf, makeLink, openBrowser, openMember, PHONE, DESKTOP, reads, say } from "../support/browser.js";
import { startServer } from "../support/server.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** The screens whose pictures are kept, by `SCREENSHOTS=1 npm test`. */
const PICTURES = [
  ...["start-desktop-light", "room-desktop-light", "room-desktop-dark", "member-desktop-light", "invite-desktop-light"],
  ...["start-phone-light", "join-phone-light", "join-phone-dark", "room-phone-light", "room-phone-dark", "invite-phone-dark"],
];
const docs = new URL("../../../docs/", import.meta.url);

let server, chromium;
before(async () => (server = await startServer()));
after(() => server.stop());
beforeEach(async () => (chromium = await openBrowser(server)));
afterEach(async () => {
  await chromium.close();
  assertNoProblems(chromium.problems);
});

/** What axe has against a page as it is now. */
async function violations(page) {
  await page.evaluate(`if (!window.axe) { ${axe} }`);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** Checks a screen, and takes its picture when pictures are wanted. */
async function look(page, name) {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)));
  assert.deepEqual(await violations(page), [], name);
  if (!process.env.SCREENSHOTS || !PICTURES.includes(name)) return;
  mkdirSync(docs, { recursive: true });
  await page.screenshot({ path: new URL(`web-${name}.png`, docs).pathname });
}

for (const [size, options] of [["phone", PHONE], ["desktop", DESKTOP]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${size}, ${colorScheme}`, async () => {
      const mark = `${size}-${colorScheme}`;
      const alice = await chromium.person({ ...options, colorScheme });
      await alice.goto(`${server.origin}/`);
      await alice.getByRole("heading", { name: "Open a room" }).waitFor();
      await look(alice, `start-${mark}`);
      await create(alice, server, { room: "Garden party", name: "Alice" });
      await makeLink(alice);
      await look(alice, `invite-${mark}`);
      await alice.getByRole("button", { name: "Close" }).click();
      const link = await linkOf(alice, { kind: "forever" });
      const bob = await chromium.person({ ...options, colorScheme });
      await bob.goto(link);
      await bob.getByRole("heading", { name: "Garden party" }).waitFor();
      await look(bob, `join-${mark}`);
      await enterName(bob, "Bob");
      const carol = await chromium.person();
      await join(carol, link, "Carol");
      await reads(alice, "Carol is here.");
      await say(bob, "Shall we meet under the roses on Sunday?");
      await reads(alice, "under the roses");
      await say(alice, "Yes! I bring the cake.\nDetails: https://example.org/garden");
      await reads(bob, "I bring the cake");
      await say(carol, "And I bring the tea.");
      await reads(alice, "And I bring the tea.");
      await openMember(carol, "Alice").then((dialog) => dialog.getByRole("button", { name: "Write privately" }).click());
      await say(carol, "Dave must not know yet.");
      await reads(alice, "Dave must not know yet.");
      await say(alice, "See you all on Sunday.");
      await reads(bob, "See you all on Sunday.");
      await alice.locator(".mine").last().getByText("sent", { exact: true }).waitFor();
      await look(alice, `room-${mark}`);
      const dialog = await openMember(alice, "Bob");
      await look(alice, `member-${mark}`);
      await dialog.getByRole("button", { name: "They are the same" }).click();
      await dialog.getByText("verified").waitFor();
      await look(alice, `verified-${mark}`);
      await dialog.getByRole("button", { name: "Close" }).click();
      await look(alice, `members-${mark}`);
      if (size === "phone") await alice.getByRole("complementary").getByRole("button", { name: "Close" }).click();
      await alice.getByRole("button", { name: "More" }).click();
      await look(alice, `menu-${mark}`);
      await alice.getByRole("button", { name: "Leave" }).last().click();
      await look(alice, `leave-${mark}`);
      await alice.getByRole("button", { name: "Close the room for everyone" }).click();
      await alice.getByText("The room was closed.").first().waitFor();
      await look(alice, `ended-${mark}`);
    });
  }
}

test("everything can be done with the keyboard", async () => {
  const alice = await chromium.person();
  await alice.goto(`${server.origin}/`);
  await alice.getByRole("heading", { name: "Open a room" }).waitFor();
  const press = async (...keys) => {
    for (const key of keys) await alice.keyboard.press(key);
  };
  await press("Tab");
  await alice.keyboard.type("By keys");
  await press("Tab");
  await alice.keyboard.type("Alice");
  await press("Enter");
  await alice.getByRole("heading", { name: "By keys" }).waitFor();
  assert.equal(await alice.evaluate(() => document.activeElement?.tagName), "TEXTAREA");
  await press("Shift+Tab", "Shift+Tab", "Shift+Tab");
  const bob = await chromium.person();
  await join(bob, await linkOf(alice), "Bob");
  await alice.getByRole("textbox", { name: "Write a message" }).focus();
  await alice.keyboard.type("first");
  await press("Shift+Enter");
  await alice.keyboard.type("second");
  await press("Enter");
  await reads(bob, "first\nsecond".split("\n")[1]);
});

test("nothing moves by itself after the first picture", async () => {
  const page = await chromium.person();
  await page.addInitScript(() => {
    window.shift = 0;
    window.shifted = [];
    new PerformanceObserver((list) => {
      for (const { value, sources } of list.getEntries()) {
        window.shift += value;
        window.shifted.push(...sources.map(({ node }) => node?.outerHTML?.slice(0, 80) ?? node?.textContent));
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  await create(page, server);
  await makeLink(page);
  const { shift, shifted } = await page.evaluate(() => ({ shift: window.shift, shifted: window.shifted }));
  assert.ok(shift < 0.02, `${shift}: ${shifted.join("\n")}`);
});

test("the rules that the page is served under hold", async () => {
  const page = await chromium.person();
  await page.goto(`${server.origin}/`);
  const refused = await page.evaluate(async () => {
    const names = [];
    document.addEventListener("securitypolicyviolation", (event) => names.push(event.effectiveDirective));
    const script = document.createElement("script");
    try {
      script.text = "window.broken = true";
    } catch {
      names.push("trusted types");
    }
    await fetch("https://example.org/").catch(() => names.push("fetch"));
    try {
      setTimeout("window.broken = true");
    } catch {
      names.push("evaluation");
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
    return { names, broken: window.broken };
  });
  assert.deepEqual(refused.broken, undefined);
  for (const rule of ["trusted types", "fetch", "evaluation"]) assert.ok(refused.names.includes(rule), refused.names.join());
  // These were provoked.
  chromium.problems.length = 0;
});
