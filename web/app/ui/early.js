/**
 * What is fetched first, while the rest is on its way: the table of the browser's language.
 */
import { followWishes } from "./i18n.js";

export const wishedLanguage = followWishes(navigator.languages);
