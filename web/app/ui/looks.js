/**
 * The language and the theme, as chosen on the page. Nothing is stored: the choice lasts as long as the page. The default is the browser's setting.
 */
import { select } from "./dom.js";
import { followWishes, language, LANGUAGE_NAMES, t } from "./i18n.js";

/** @param {() => void} changed shows the page anew */
export function languageChoice(changed) {
  const control = select(Object.entries(LANGUAGE_NAMES), language());
  control.addEventListener("change", async () => {
    await followWishes([control.value]);
    changed();
  });
  return control;
}

export function themeChoice() {
  const { dataset } = document.documentElement;
  const control = select([["", t("look.system")], ["light", t("look.light")], ["dark", t("look.dark")]], dataset.theme ?? "");
  control.addEventListener("change", () => {
    if (control.value) dataset.theme = control.value;
    else delete dataset.theme;
  });
  return control;
}
