/** Copying to the clipboard, and the buttons that do it. */

import { element } from "./dom.js";
import { framedText } from "./frames.js";
import { announce } from "./page.js";

const SHOWN_MS = 2000;

/**
 * Copies, and says so on the button that was pressed.
 * @param {HTMLButtonElement} pressed
 * @param {string} text
 */
export async function copy(pressed, text) {
  const worked = await toClipboard(text);
  announce(worked ? "Copied." : "The browser did not let it be copied.");
  if (!worked) return;
  pressed.classList.add("done");
  const label = pressed.textContent;
  if (label) pressed.textContent = "Copied";
  setTimeout(() => {
    pressed.classList.remove("done");
    if (label && pressed.textContent === "Copied") pressed.textContent = label;
  }, SHOWN_MS);
}

/**
 * Hears the copy buttons of all frames below `root`.
 * @param {HTMLElement} root
 */
export function hearCopyButtons(root) {
  root.addEventListener("click", (event) => {
    const pressed = event.target instanceof Element && event.target.closest(".frame .copy");
    const framed = pressed && pressed.closest(".frame");
    if (pressed instanceof HTMLButtonElement && framed) void copy(pressed, framedText(framed));
  });
}

/**
 * @param {string} text
 * @returns {Promise<boolean>} whether it worked
 */
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return byCommand(text);
  }
}

/**
 * The old way, for pages on plain http.
 * @param {string} text
 */
function byCommand(text) {
  const focused = document.activeElement;
  const box = element("textarea", { className: "hidden", value: text });
  document.body.append(box);
  box.select();
  const worked = document.execCommand("copy");
  box.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return worked;
}
