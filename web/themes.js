/** The button that chooses between the system's theme, light and dark. */

import { byId } from "./dom.js";
import { notes } from "./notes.js";

/** @typedef {"light" | "dark" | null} Theme null: the system's */

/** @type {Theme[]} */
const ORDER = [null, "light", "dark"];

export function hearThemeButton() {
  const pressed = byId("theme", HTMLButtonElement);
  let theme = notes.theme.read();
  name(pressed, theme);
  pressed.addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length] ?? null;
    notes.theme.write(theme);
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    name(pressed, theme);
  });
}

/**
 * @param {HTMLButtonElement} pressed
 * @param {Theme} theme
 */
function name(pressed, theme) {
  const label = `Theme: ${theme ?? "the system's"}`;
  pressed.title = label;
  pressed.setAttribute("aria-label", label);
}
