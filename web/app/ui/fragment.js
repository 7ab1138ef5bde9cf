/**
 * Takes an invite out of the address bar and out of this page's history before anything else is loaded.
 */

let taken = "";

function take() {
  if (location.hash.length < 2) return;
  taken = location.origin + "/" + location.hash;
  history.replaceState(history.state, "", location.pathname);
}

take();

/** The invite link that the page was opened with, once. */
export function takenLink() {
  const link = taken;
  taken = "";
  return link;
}

/** Calls `found` when somebody puts an invite into the address bar of the open page. @param {(link: string) => void} found */
export function watchFragment(found) {
  addEventListener("hashchange", () => {
    take();
    const link = takenLink();
    if (link) found(link);
  });
}
