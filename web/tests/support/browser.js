/**
 * Chromium with watched pages: their warnings and errors, breaches of their own policy, and requests to other servers go into a
 * list that must stay empty.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { extname } from "node:path";

import { chromium } from "playwright-core";

const PLACES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
export const DESKTOP = { viewport: { width: 1280, height: 800 } };

/** @param {{ origin: string, pin: string }} server @param {string[]} flags */
export async function openBrowser(server, flags = []) {
  const executablePath = PLACES.find((path) => path && existsSync(path));
  const pin = Buffer.from(server.pin, "base64url").toString("base64");
  const browser = await chromium.launch({
    executablePath,
    args: [...FLAGS, ...(process.env.WEB_FROM_DISK ? ["--disable-features=LocalNetworkAccessChecks"] : []), `--ignore-certificate-errors-spki-list=${pin}`, ...flags],
  });
  const problems = [];
  /** A person with a browser profile of their own. */
  const person = async (options = DESKTOP, prepare = async () => {}) => {
    const context = await browser.newContext({ locale: "en-GB", ignoreHTTPSErrors: Boolean(process.env.WEB_FROM_DISK), ...options });
    context.setDefaultTimeout(15_000);
    if (process.env.WEB_FROM_DISK) await serveFromDisk(context, server.origin);
    const page = await context.newPage();
    watch(page, server.origin, problems);
    await prepare(page);
    return page;
  };
  return { browser, person, problems, close: () => browser.close() };
}

const app = new URL("../../app/", import.meta.url);
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json" };

/** While one works on the client: the files as they lie here, under the headers of the server, without building it anew. */
async function serveFromDisk(context, origin) {
  let headers;
  await context.route(`${origin}/**`, async (route) => {
    if (route.request().method() !== "GET") return route.continue();
    headers ??= (await route.fetch({ url: `${origin}/` })).headers();
    const path = new URL(route.request().url()).pathname;
    const file = new URL(`.${path === "/" ? "/index.html" : path}`, app);
    if (!existsSync(file)) return route.continue();
    const { "content-length": _, "content-encoding": __, ...kept } = headers;
    await route.fulfill({ headers: { ...kept, "content-type": KINDS[extname(file.pathname)] ?? "text/plain" }, body: readFileSync(file) });
  });
}

function watch(page, origin, problems) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.stack}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) problems.push(`request: ${request.url()}`);
  });
  page.on("websocket", (socket) => {
    if (socket.url() !== `${origin.replace("https", "wss")}/v1`) problems.push(`websocket: ${socket.url()}`);
  });
}

/** @param {string[]} problems */
export function assertNoProblems(problems) {
  assert.deepEqual(problems, []);
}

/** Opens a room through the page. */
export async function create(page, server, { room = "Tea at four", name = "Alice", stay } = {}) {
  await page.goto(`${server.origin}/`);
  const form = page.locator("form", { has: page.getByRole("heading", { name: "Open a room" }) });
  await form.getByLabel("Room name").fill(room);
  await form.getByLabel("Your name").fill(name);
  if (stay) await form.getByLabel("When I leave").selectOption(stay);
  await form.getByRole("button", { name: "Open the room" }).click();
  await page.getByRole("heading", { name: room, level: 1 }).waitFor();
}

/** Makes a link and gives it; the dialog stays open. */
export async function makeLink(page, { kind = "one-time" } = {}) {
  await page.getByRole("button", { name: "Invite" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Invite somebody" });
  await dialog.getByLabel("The link works").selectOption(kind);
  await dialog.getByRole("button", { name: "Make the link" }).click();
  await dialog.getByRole("img", { name: "Invite as a code to scan" }).waitFor();
  return dialog.getByLabel("Your link").first().inputValue();
}

/** Makes a link and closes the dialog. */
export async function linkOf(page, options) {
  const link = await makeLink(page, options);
  await page.getByRole("button", { name: "Close" }).click();
  return link;
}

/** Opens a link and joins. */
export async function join(page, link, name) {
  await page.goto(link);
  await enterName(page, name);
}

export async function enterName(page, name) {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join the room" }).click();
  await page.getByRole("log", { name: "Messages" }).waitFor();
}

export async function say(page, text) {
  await page.getByRole("textbox", { name: /^Write/ }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** Waits for words in the messages. */
export const reads = (page, text) => page.getByRole("log", { name: "Messages" }).getByText(text).first().waitFor();
export const sees = (page, text) => page.getByText(text).first().waitFor();

/** Opens somebody's entry in the list of members. */
export async function openMember(page, name) {
  const panel = page.getByRole("complementary");
  if (!(await panel.isVisible())) await page.getByRole("button", { name: /^Members/ }).click();
  await panel.getByRole("button", { name: new RegExp(name) }).click();
  return page.getByRole("dialog", { name: new RegExp(name) });
}

/** What a page could have left behind in its profile. */
export const stored = (page) =>
  page.evaluate(async () => ({
    local: localStorage.length,
    session: sessionStorage.length,
    databases: (await indexedDB.databases()).length,
    caches: (await caches.keys()).length,
    cookies: document.cookie,
    workers: (await navigator.serviceWorker.getRegistrations()).length,
    address: location.href,
    history: history.state,
  }));
