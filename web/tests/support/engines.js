/**
 * The three engines behind one small interface: Chromium, Firefox by its own protocol (Marionette), WebKit by WebDriver. Pages are driven from within,
 * through what people see: labels, names of buttons, texts.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openBrowser } from "./browser.js";

const WAIT_MS = 60_000;
const STEP_MS = 100;

/** A page in an engine: `run` calls a function in it, with arguments that are JSON. */
class Driven {
  constructor(engine, { goto, run, reload, close }) {
    Object.assign(this, { engine, goto, run, reload, close });
  }

  /** Calls a function in the page until it gives something true. */
  async until(what, act, ...args) {
    let last;
    for (const end = Date.now() + WAIT_MS; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, STEP_MS))) {
      last = await this.run(act, ...args).catch((error) => void (last = error));
      if (last) return last;
    }
    const text = await this.run(() => document.body.innerText).catch(String);
    throw new Error(`${this.engine}: ${what} did not come; the page says:\n${text}`);
  }

  sees(words) {
    return this.until(`“${words}”`, (words) => document.body.innerText.includes(words), words);
  }

  press(name) {
    return this.until(`the button “${name}”`, (name) => {
      const isShown = (element) => element.getClientRects().length > 0 && !element.disabled;
      const root = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document;
      const named = (element) => (element.getAttribute("aria-label") ?? element.textContent).trim().startsWith(name);
      const button = [...root.querySelectorAll("button, a")].find((element) => isShown(element) && named(element));
      button?.click();
      return button !== undefined;
    }, name);
  }

  fill(label, value) {
    return this.until(`the field “${label}”`, (label, value) => {
      const named = (element) => (element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? "").startsWith(label);
      const field = [...document.querySelectorAll("input, textarea, select")].find((element) => element.getClientRects().length > 0 && named(element));
      if (!field) return false;
      field.value = value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
      return true;
    }, label, value);
  }
}

export const ENGINES = {
  async chromium(server) {
    const { person, close } = await openBrowser(server);
    const page = await person();
    const run = (act, ...args) => page.evaluate(`(${act})(...${JSON.stringify(args)})`);
    return new Driven("Chromium", { goto: (url) => page.goto(url), run, reload: () => page.reload(), close });
  },

  async firefox() {
    const folder = mkdtempSync(join(tmpdir(), "subrosa-firefox-"));
    const prefs = { "marionette.port": 0, "datareporting.policy.dataSubmissionEnabled": false, "browser.shell.checkDefaultBrowser": false };
    writeFileSync(join(folder, "user.js"), Object.entries(prefs).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`).join(""));
    const args = ["--headless", "--marionette", "--no-remote", "--profile", folder, "about:blank"];
    const browser = spawn(firefox(), args, { stdio: "ignore" });
    const port = await eventually("Firefox", () => readFileSync(join(folder, "MarionetteActivePort"), "utf8").trim());
    const ask = await marionette(Number(port));
    await ask("WebDriver:NewSession", { acceptInsecureCerts: true, unhandledPromptBehavior: "accept" });
    await ask("WebDriver:SetTimeouts", { script: WAIT_MS, pageLoad: WAIT_MS });
    return new Driven("Firefox", {
      goto: (url) => ask("WebDriver:Navigate", { url }),
      run: async (act, ...given) => (await ask("WebDriver:ExecuteAsyncScript", { script: script(act), args: [given] })).value,
      reload: () => ask("WebDriver:Refresh", {}),
      close: () => ended(browser, folder),
    });
  },

  async webkit() {
    const port = await freePort();
    const screen = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x900x24"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    const display = await new Promise((resolve) => screen.stdio[3].once("data", (number) => resolve(`:${String(number).trim()}`)));
    const environment = { ...process.env, DISPLAY: display, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1", LIBGL_ALWAYS_SOFTWARE: "1" };
    const driver = spawn("WebKitWebDriver", [`--port=${port}`], { stdio: "ignore", env: environment });
    const call = async (method, path, body) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
      const { value } = await answer.json();
      if (!answer.ok) throw new Error(`${value.error}: ${value.message}`);
      return value;
    };
    await eventually("WebKit's driver", () => call("GET", "/status"));
    const { sessionId } = await call("POST", "/session", { capabilities: { alwaysMatch: { acceptInsecureCerts: true, unhandledPromptBehavior: "accept" } } });
    const session = `/session/${sessionId}`;
    await call("POST", `${session}/timeouts`, { script: WAIT_MS, pageLoad: WAIT_MS });
    return new Driven("WebKit", {
      goto: (url) => call("POST", `${session}/url`, { url }),
      run: (act, ...given) => call("POST", `${session}/execute/async`, { script: script(act), args: [given] }),
      reload: () => call("POST", `${session}/refresh`, {}),
      close: async () => {
        await call("DELETE", session).catch(() => {});
        await Promise.all([ended(driver), ended(screen)]);
      },
    });
  },
};

/** What of this is not installed here. */
export function missing() {
  const programs = ["Xvfb", "WebKitWebDriver"].filter((program) => spawnSync("which", [program]).status !== 0);
  return firefox() === undefined ? [...programs, "firefox-esr"] : programs;
}

const firefox = () => ["/usr/bin/firefox-esr", "/usr/bin/firefox"].find((path) => existsSync(path));

/** An asynchronous script of WebDriver around a function of ours. */
const script = (act) => `
  const [given, done] = arguments;
  Promise.resolve().then(() => (${act})(...given)).then(done, (error) => done({ thrown: String(error) }));`;

/** Firefox's own protocol: `LENGTH:JSON`, commands `[0, id, name, parameters]`, answers `[1, id, error, result]`. */
async function marionette(port) {
  const socket = connect(port, "127.0.0.1");
  const waiting = new Map();
  let buffer = Buffer.alloc(0);
  let greeted;
  const greeting = new Promise((resolve) => (greeted = resolve));
  socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    for (;;) {
      const colon = buffer.indexOf(":");
      const length = Number(buffer.subarray(0, colon));
      if (colon < 0 || buffer.length < colon + 1 + length) return;
      const message = JSON.parse(buffer.subarray(colon + 1, colon + 1 + length).toString());
      buffer = buffer.subarray(colon + 1 + length);
      if (!Array.isArray(message)) {
        greeted();
        continue;
      }
      const [, id, error, result] = message;
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(`${error.error}: ${error.message}`));
      else resolve(result);
    }
  });
  socket.on("error", (error) => {
    for (const { reject } of waiting.values()) reject(error);
  });
  await greeting;
  let last = 0;
  return (name, parameters) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      const json = JSON.stringify([0, id, name, parameters]);
      socket.write(`${Buffer.byteLength(json)}:${json}`);
    });
}

/** Tries until it does not fail. */
async function eventually(what, act) {
  let last;
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, STEP_MS))) {
    try {
      return await act();
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`${what} did not start: ${last}`);
}

function freePort() {
  const listener = createServer();
  return new Promise((resolve) =>
    listener.listen(0, "127.0.0.1", () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    }),
  );
}

async function ended(child, folder) {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await gone;
  clearTimeout(late);
  if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
