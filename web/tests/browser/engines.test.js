/** Chromium, Firefox and WebKit in one room: each opens a room, and in each the others join, talk, are verified, reload and leave. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ENGINES, missing } from "../support/engines.js";
import { startServer } from "../support/server.js";

let server;
const people = {};
const lacking = missing();
before(async () => {
  server = await startServer();
  for (const name of lacking.length > 0 ? [] : Object.keys(ENGINES)) people[name] = await ENGINES[name](server);
});
after(async () => {
  await Promise.allSettled(Object.values(people).map((page) => page.close()));
  await server.stop();
});

/** `./check` installs what is missing and insists; by hand one may do without. */
const skip = lacking.length > 0 && !process.env.ALL_ENGINES ? `not installed: ${lacking.join(", ")}` : false;

for (const owner of Object.keys(ENGINES)) {
  test(`a room that ${owner} opens`, { skip, timeout: 300_000 }, async () => {
    const host = people[owner];
    const guests = Object.keys(ENGINES).filter((name) => name !== owner);
    await host.goto(`${server.origin}/`);
    await host.fill("Room name", "All engines");
    await host.fill("Your name", owner);
    await host.press("Open the room");
    const link = await host.until("the first link", () => {
      const field = document.querySelector(".welcome input.link-text:not([disabled])");
      return field?.value;
    });
    await host.press("Invite");
    await host.fill("The link works", "forever");
    await host.press("Make the link");
    const forever = await host.until("another link", (first) => {
      const field = document.querySelector("dialog input.link-text");
      return field && field.value !== first && field.value;
    }, link);
    await host.press("Close");
    for (const [i, name] of guests.entries()) {
      const guest = people[name];
      await guest.goto(i === 0 ? link : forever);
      await guest.fill("Your name", name);
      await guest.press("Join the room");
      await guest.sees("Connected");
      await host.sees(`${name} is here.`);
    }
    const all = [owner, ...guests];
    for (const name of all) {
      await people[name].fill("Write a message", `Hello from ${name}`);
      await people[name].press("Send");
      for (const other of all) await people[other].sees(`Hello from ${name}`);
    }
    for (const name of all) {
      const page = people[name];
      const other = all.find((one) => one !== name);
      await page.press(other[0].toUpperCase() + other);
      await page.press("They are the same");
      await page.sees("verified");
      await page.press("Close");
    }
    const warnings = await host.run(() => document.querySelectorAll(".log .alarm").length);
    assert.equal(warnings, 0);
    for (const name of guests) {
      await people[name].press("Leave");
      await people[name].press("Leave");
      await people[name].sees("You have left, and this page has forgotten the room.");
      await host.sees(`${name} has left.`);
      await people[name].reload();
      await people[name].sees("Open a room");
    }
    await host.press("Leave");
    await host.press("Close the room for everyone");
    await host.sees("The room was closed.");
  });
}
