/** A TCP cable to the server that a test can cut, without a word to either side, and mend. */
import { connect, createServer } from "node:net";

/** @param {string} port of the server */
export function layCable(port) {
  const ends = new Set();
  let whole = true;
  let silent = false;
  const listener = createServer((near) => {
    if (!whole) return near.resetAndDestroy();
    const far = connect(Number(port), "127.0.0.1");
    for (const [from, to] of [[near, far], [far, near]]) {
      ends.add(from);
      from.on("error", () => {});
      from.on("close", () => (ends.delete(from), to.destroy()));
      from.on("data", (data) => silent || to.write(data));
      from.on("end", () => to.end());
    }
  });
  return new Promise((resolve) =>
    listener.listen(0, "127.0.0.1", () =>
      resolve({
        port: listener.address().port,
        cut() {
          whole = false;
          for (const end of ends) end.resetAndDestroy();
        },
        /** Nothing passes any more, and nobody is told. */
        silence: () => (silent = true),
        mend: () => (whole = true),
        stop() {
          this.cut();
          listener.close();
        },
      }),
    ),
  );
}
