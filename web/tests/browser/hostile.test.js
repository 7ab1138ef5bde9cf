/** A relay that lies to a page: what it does to the frames on their way, and what the person is told. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { assertNoProblems, create, join, linkOf, makeLink, openBrowser, reads, say } from "../support/browser.js";
import { startServer } from "../support/server.js";

let server, chromium;
before(async () => (server = await startServer()));
after(() => server.stop());
beforeEach(async () => (chromium = await openBrowser(server)));
afterEach(async () => {
  await chromium.close();
  assertNoProblems(chromium.problems);
});

/** A page behind a relay that does what `lie` says with each frame for it: a list of frames to hand on in its place. */
async function deceived() {
  const relay = { lie: (frame) => [frame], toServer: [], inject: () => {} };
  const page = await chromium.person(undefined, (page) =>
    page.routeWebSocket(/\/v1$/, (socket) => {
      const server = socket.connectToServer();
      relay.inject = (frame) => socket.send(JSON.stringify(frame));
      socket.onMessage((text) => {
        relay.toServer.push(JSON.parse(text));
        server.send(text);
      });
      server.onMessage((text) => {
        for (const frame of relay.lie(JSON.parse(text))) socket.send(JSON.stringify(frame));
      });
    }),
  );
  return { relay, page };
}

/** Alice's room behind such a relay, with bob in it, who is not deceived. */
async function room() {
  const { relay, page: alice } = await deceived();
  await create(alice, server);
  const link = await linkOf(alice, { kind: "forever" });
  const bob = await chromium.person();
  await join(bob, link, "Bob");
  await reads(alice, "Bob is here.");
  return { relay, alice, bob, link, roomId: relay.toServer.find(({ cmd }) => cmd === "room-key-forever").data.room_id };
}

/** Waits for a warning, which screen readers are told at once. */
async function warned(page, words) {
  await page.locator(".log .alarm", { hasText: words }).waitFor();
  await page.getByRole("alert").filter({ hasText: words }).waitFor({ state: "attached" });
}

/** Lets the time of a page pass, in steps that its clock believes. */
async function pass(page, ms) {
  for (let passed = 0; passed < ms; passed += 10_000) await page.clock.fastForward(10_000);
}

const isMessage = (frame) => frame.cmd === "send-message";
const isJoin = (frame) => frame.cmd.startsWith("user-joined");

test("an intruder gets nothing", async () => {
  const { relay, alice, bob, roomId: room_id } = await room();
  const { card } = relay.toServer.find(({ cmd }) => cmd === "create-room").data;
  relay.inject({
    cmd: "user-joined-forever",
    data: { room_id, room_name: "", user_id: "intruder", username: "", card: card.replace(/.{8}$/, "AAAAAAAA"), version: 2 },
  });
  await warned(alice, "Intruder: Someone unknown does not know this room's secret, and was refused.");
  await say(alice, "between us two");
  await reads(bob, "between us two");
  const recipients = relay.toServer.filter(({ cmd }) => cmd === "send-messages").flatMap(({ data }) => data.to);
  assert.ok(recipients.length > 0 && recipients.every(({ to_user_id }) => to_user_id !== "intruder"));
});

test("a message that is repeated is shown once", async () => {
  const { relay, alice, bob } = await room();
  let first;
  relay.lie = (frame) => {
    if (!isMessage(frame)) return [frame];
    const again = first ? [first] : [];
    first ??= frame;
    return [frame, ...again];
  };
  await say(bob, "only once");
  await say(bob, "and then this");
  await warned(alice, "came twice or in the wrong order. It was dropped.");
  assert.equal(await alice.locator(".message", { hasText: "only once" }).count(), 1);
});

test("a message that is kept back is missed", async () => {
  const { relay, alice, bob } = await room();
  await say(bob, "arrives first");
  await reads(alice, "arrives first");
  let kept = 1;
  relay.lie = (frame) => (isMessage(frame) && kept-- > 0 ? [] : [frame]);
  await say(bob, "never arrives");
  await say(bob, "arrives next");
  await warned(alice, "Messages of Bob are missing: 1");
  await reads(alice, "arrives next");
});

test("a message that is changed does not open", async () => {
  const { relay, alice, bob } = await room();
  relay.lie = (frame) => {
    if (isMessage(frame)) frame.data.shared = frame.data.shared.replace(/.{4}$/, "AAAA");
    return [frame];
  };
  await say(bob, "changed on its way");
  await warned(alice, "does not open: it was changed on its way, or sent so. It was dropped.");
});

test("a message in another's name is not theirs", async () => {
  const { relay, alice, bob, link } = await room();
  const carol = await chromium.person();
  await join(carol, link, "Carol");
  await reads(alice, "Carol is here.");
  const ids = [];
  relay.lie = (frame) => {
    if (!isMessage(frame)) return [frame];
    if (!ids.includes(frame.data.user_id)) ids.push(frame.data.user_id);
    return [{ ...frame, data: { ...frame.data, user_id: ids[0] } }];
  };
  await say(bob, "I am Bob");
  await reads(alice, "I am Bob");
  await say(carol, "I am Bob, too");
  await warned(alice, "came twice or in the wrong order. It was dropped.");
  assert.equal(await alice.locator(".message", { hasText: "I am Bob, too" }).count(), 0);
});

test("a swapped identity is seen, and never used", async () => {
  const alice = await chromium.person();
  await create(alice, server);
  const bob = await chromium.person();
  await join(bob, await linkOf(alice), "Bob");
  await makeLink(alice);
  await alice.getByRole("button", { name: "Reset all links" }).click();
  await alice.getByRole("dialog", { name: "Reset all links" }).getByRole("button", { name: "Reset all links" }).click();
  await reads(bob, "The room's key was changed.");
  await alice.getByRole("button", { name: "Close" }).click();
  // A newcomer to whom bob is shown with a card from before asks for the list again; there alice has another identity.
  const { relay, page: carol } = await deceived();
  relay.lie = (frame) => {
    const users = frame.data?.users ?? [];
    if (frame.cmd === "joined") users.find(({ user_id }) => user_id !== frame.data.owner_id).card = "AgAAAAAA";
    const { card } = relay.toServer.find(({ cmd }) => cmd.startsWith("join-room"))?.data ?? {};
    if (frame.cmd === "list-members") users.find(({ user_id }) => user_id === frame.data.owner_id).card = card;
    return [frame];
  };
  await join(carol, await linkOf(alice), "Carol");
  await reads(carol, "Someone is not here yet");
  await warned(carol, "shows another identity than before");
  await say(carol, "to the old identity");
  await reads(alice, "to the old identity");
});

test("members who are shown different rooms find out", async () => {
  const { relay, alice, bob, link } = await room();
  await alice.clock.install();
  relay.lie = (frame) => (isJoin(frame) ? [] : [frame]);
  const carol = await chromium.person();
  await join(carol, link, "Carol");
  await reads(bob, "Carol is here.");
  await say(bob, "hello, all three");
  await reads(alice, "hello, all three");
  await pass(alice, 70_000);
  await warned(alice, "sees other people in this room than you do.");
});

test("an owner whom only the relay names is not believed", async () => {
  const { relay, alice, bob, roomId: room_id } = await room();
  relay.inject({ cmd: "owner-changed", data: { room_id, owner_id: "somebody", version: 2 } });
  await warned(alice, "The server treats you as gone and names another owner.");
  // She goes on owning the room.
  assert.ok(await linkOf(alice));
  await say(alice, "still here");
  await reads(bob, "still here");
});

test("a server that breaks the protocol is left", async () => {
  const { relay, alice } = await room();
  relay.inject({ cmd: "sent", data: {} });
  await alice.getByText("your place is gone").first().waitFor();
});
