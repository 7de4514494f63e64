/** Long conversations: what is far from sight costs neither layout nor paint. */

import { element } from "./dom.js";

/**
 * A page of messages that the browser leaves out while it is out of sight. It has to be laid out
 * once before, so that its size is known, and nothing jumps when one scrolls there.
 * @param {HTMLElement[]} views
 */
export function batch(views) {
  const made = element("div", { className: "batch" }, ...views);
  requestAnimationFrame(() => requestAnimationFrame(() => made.classList.add("settled")));
  return made;
}
