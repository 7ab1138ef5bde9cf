/**
 * Fetches the table of the browser's language first, while the other modules are still loading.
 */
import { followWishes } from "./i18n.js";

export const wishedLanguage = followWishes(navigator.languages);
