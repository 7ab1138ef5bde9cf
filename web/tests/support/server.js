/**
 * The real server, built from this working copy, on a free port with a development certificate of its own; and the terminal client against it.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The binary: as given, or built now (which takes no time when it is up to date). */
function binary() {
  if (process.env.SUBROSA_BIN) return process.env.SUBROSA_BIN;
  execFileSync("cargo", ["build", "--quiet", "--locked", "--bin", "subrosa"], { cwd: root, stdio: "inherit" });
  return join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug", "subrosa");
}

/** Runs a server. @param {string[]} options of `subrosa serve` */
export async function startServer(options = []) {
  const program = binary();
  const folder = mkdtempSync(join(tmpdir(), "subrosa-web-"));
  const server = spawn(program, ["serve", "--listen", "127.0.0.1:0", ...options], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  const welcome = await until(server.stdout, /public key\): \S+\n/);
  const port = /listens on 127\.0\.0\.1:(\d+)/.exec(welcome)[1];
  const pin = /public key\): (\S+)/.exec(welcome)[1];
  const origin = `https://localhost:${port}`;
  const run = (...args) => execFileSync(program, args, { encoding: "utf8" });
  return { origin, port, pin, program, run, pid: server.pid, kill: () => server.kill(), stop };

  async function stop() {
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true });
  }
}

/** Collects a stream until it matches. */
function until(stream, pattern) {
  return new Promise((resolve, reject) => {
    let text = "";
    stream.on("data", (data) => {
      text += data;
      if (pattern.test(text)) resolve(text);
    });
    stream.once("end", () => reject(new Error(`ended before ${pattern}: ${text}`)));
  });
}

/** `subrosa chat` in a pipe: lines in, lines out. */
export function chat(server, args) {
  const child = spawn(server.program, ["chat", ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let text = "";
  const waiting = new Set();
  const more = (data) => {
    text += data;
    for (const check of [...waiting]) check();
  };
  child.stdout.on("data", more);
  child.stderr.on("data", more);
  return {
    say: (line) => child.stdin.write(`${line}\n`),
    /** Waits until all that was printed so far matches. */
    sees: (pattern) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => (waiting.delete(check), reject(new Error(`no ${pattern} in:\n${text}`))), 20_000);
        const check = () => {
          const found = pattern.exec(text);
          if (!found) return;
          clearTimeout(late);
          waiting.delete(check);
          resolve(found);
        };
        waiting.add(check);
        check();
      }),
    stop: () => child.kill("SIGKILL"),
  };
}
