/** Words at the edge of the page that go by themselves, and what can be done until then. */

import { button, byId, element } from "./dom.js";
import { announce } from "./page.js";

const SHOWN_MS = 8000;

/**
 * `over` is called once, when it goes without `act` having been pressed.
 * @typedef {{text: string, label?: string, act?: () => void, over?: () => void, error?: boolean}}
 *   ToastOptions
 */

/** The newest toast that can be taken back, for Ctrl+Z. @type {Toast[]} */
const undoable = [];

/** A running toast. Its time stands still while it is pointed at, or has the focus. */
export class Toast {
  #root;
  #options;
  #left = SHOWN_MS;
  #since = 0;
  #timer = 0;
  #ended = false;

  /** @param {ToastOptions} options */
  constructor(options) {
    this.#options = options;
    this.#root = element("div", { className: options.error ? "toast error" : "toast" });
    this.#root.append(element("p", {}, options.text));
    if (options.label) this.#root.append(button(options.label, () => this.act()));
    for (const name of ["pointerenter", "focusin"]) {
      this.#root.addEventListener(name, () => this.#hold());
    }
    for (const name of ["pointerleave", "focusout"]) {
      this.#root.addEventListener(name, () => this.#go());
    }
    byId("toasts", HTMLElement).append(this.#root);
    if (options.act) undoable.push(this);
    announce(options.label ? `${options.text} ${options.label} with Control Z.` : options.text);
    this.#go();
  }

  /** Does what its button says. */
  act() {
    if (this.#end()) this.#options.act?.();
  }

  /** Ends it now, as if its time were over. */
  finish() {
    if (this.#end()) this.#options.over?.();
  }

  #hold() {
    clearTimeout(this.#timer);
    if (this.#since) this.#left = Math.max(1000, this.#left - (performance.now() - this.#since));
    this.#since = 0;
  }

  #go() {
    this.#hold();
    this.#since = performance.now();
    this.#timer = setTimeout(() => this.finish(), this.#left);
  }

  #end() {
    if (this.#ended) return false;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#root.remove();
    const at = undoable.indexOf(this);
    if (at >= 0) undoable.splice(at, 1);
    return true;
  }
}

/** Lets Ctrl+Z (Cmd+Z) take back what the newest toast is about, unless something is typed. */
export function hearUndo() {
  addEventListener("keydown", (event) => {
    const undo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z";
    const typing = event.target instanceof Element && event.target.closest("textarea, input");
    const typed = typing && /** @type {HTMLTextAreaElement} */ (typing).value;
    if (!undo || typed || !undoable.length) return;
    event.preventDefault();
    undoable.at(-1)?.act();
  });
}
