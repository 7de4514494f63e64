/** The fixed parts of the page: where messages go, its title and address, what is announced. */

import { byId } from "./dom.js";
import { Follower } from "./scroll.js";

const NAME = document.title;
const announcer = byId("announcer", HTMLElement);
const heading = byId("title", HTMLElement);

export const welcome = byId("welcome", HTMLElement);
export const messages = byId("messages", HTMLElement);
export const earlier = byId("earlier", HTMLButtonElement);
export const follower = new Follower(byId("jump", HTMLButtonElement));

/**
 * Adds views at the end of the conversation.
 * @param {...HTMLElement} views
 */
export function show(...views) {
  welcome.hidden = true;
  messages.append(...views);
}

/**
 * The conversation's title, by its first line, above it and on the tab.
 * @param {string} text
 */
export function title(text) {
  const line = firstLine(text);
  heading.textContent = line;
  document.title = line ? `${line} · ${NAME}` : NAME;
}

/**
 * What a conversation is called before the backend names it.
 * @param {string} text
 */
export function firstLine(text) {
  return (/.*/.exec(text.trim())?.[0] ?? "").slice(0, 80);
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

/** @param {string} id */
export function addressOf(id) {
  return `#c=${id}`;
}

/**
 * Takes the conversation out of the address.
 * @param {"push" | "replace"} how whether Back leads to it
 */
export function leaveConversation(how) {
  const path = location.pathname + location.search;
  if (how === "push") history.pushState(null, "", path);
  else history.replaceState(null, "", path);
}
