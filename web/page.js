/** The fixed parts of the page: where messages go, its title and address, what is announced. */

import { byId } from "./dom.js";
import { notes } from "./notes.js";
import { Follower } from "./scroll.js";

const NAME = document.title;
const announcer = byId("announcer", HTMLElement);

export const welcome = byId("welcome", HTMLElement);
export const messages = byId("messages", HTMLElement);
export const earlier = byId("earlier", HTMLButtonElement);
export const follower = new Follower(byId("jump", HTMLButtonElement));

/** What stands where no conversation is. */
export function showWelcome() {
  welcome.hidden = false;
  const last = notes.last.read();
  const back = byId("last", HTMLAnchorElement);
  back.hidden = last === null;
  if (last) back.href = `#c=${last}`;
}

/**
 * Adds views at the end of the conversation.
 * @param {...HTMLElement} views
 */
export function show(...views) {
  welcome.hidden = true;
  messages.append(...views);
}

/**
 * The title of the tab: the conversation's, by its first line.
 * @param {string} text
 */
export function title(text) {
  const line = text.trim().split("\n")[0].slice(0, 80);
  document.title = line ? `${line} · ${NAME}` : NAME;
}

/**
 * Has a screen reader say it, once it has said what it is saying.
 * @param {string} text
 */
export function announce(text) {
  announcer.textContent = text;
}

/**
 * Lets a button be pressed only after so many seconds, which it counts.
 * @param {HTMLButtonElement} pressed
 * @param {number} wait
 */
export function later(pressed, wait) {
  const label = pressed.textContent;
  const until = Date.now() + wait * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    pressed.disabled = left > 0;
    pressed.textContent = left > 0 ? `${label} in ${left} s` : label;
    if (left > 0) setTimeout(tick, 250);
  };
  tick();
  return pressed;
}

/** The id of the conversation that the address names; empty for none. */
export function conversationInAddress() {
  return /^#c=([\w-]{1,64})$/.exec(location.hash)?.[1] ?? "";
}

/**
 * Takes the conversation out of the address.
 * @param {"push" | "replace"} how whether Back leads to it
 */
export function leaveConversation(how) {
  history[`${how}State`](null, "", location.pathname + location.search);
}
