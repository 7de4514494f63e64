/** The box for the question, with its buttons. */

import { byId, element } from "./dom.js";
import { notes } from "./notes.js";

/** The action that always exists. */
const DEFAULT = "default";

/**
 * Enter asks, Shift+Enter makes a new line, Arrow Up in an empty box changes the last question;
 * what is typed survives a reload.
 */
export class Composer {
  #form = byId("composer", HTMLFormElement);
  #box = byId("question", HTMLTextAreaElement);
  #send = byId("send", HTMLButtonElement);
  #stop = byId("stop", HTMLButtonElement);
  #action = byId("action", HTMLLabelElement);
  #running = false;
  #onAsk;
  #onEdit;

  /**
   * @param {{onAsk: (question: string) => void, onStop: () => void, onEdit: () => void}} options
   */
  constructor({ onAsk, onStop, onEdit }) {
    this.#onAsk = onAsk;
    this.#onEdit = onEdit;
    this.#box.value = notes.draft.read() ?? "";
    this.#box.addEventListener("input", () => this.#typed());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    this.#stop.addEventListener("click", () => {
      this.#stop.disabled = true;
      onStop();
    });
    this.#typed();
  }

  /** @param {boolean} running whether an answer is being written */
  set running(running) {
    const had = document.activeElement === this.#stop;
    this.#running = running;
    this.#stop.hidden = !running;
    this.#stop.disabled = false;
    this.#send.hidden = running;
    // A button that goes takes the focus with it.
    if (had || document.activeElement === document.body) this.focus();
  }

  /** @param {string} question */
  set text(question) {
    this.#box.value = question;
    this.#typed();
  }

  get text() {
    return this.#box.value;
  }

  focus() {
    // On a touch screen it would bring up the keyboard, over what is to be read.
    if (matchMedia("(pointer: fine)").matches) this.#box.focus({ preventScroll: true });
  }

  /** The action that was chosen; undefined for the default one. */
  get action() {
    const chosen = this.#action.hidden ? "" : this.#select.value;
    return chosen && chosen !== DEFAULT ? chosen : undefined;
  }

  /**
   * Offers the actions, where there are several.
   * @param {{name: string, title: string, description: string}[]} actions
   */
  offer(actions) {
    const select = this.#select;
    select.replaceChildren(
      ...actions.map(({ name, title }) => element("option", { value: name }, title || name)),
    );
    const chosen = notes.action.read();
    const known = actions.some(({ name }) => name === chosen);
    select.value = known && chosen ? chosen : DEFAULT;
    const describe = () => {
      const action = actions.find(({ name }) => name === select.value);
      select.title = action?.description ?? "";
      byId("action-about", HTMLElement).textContent = select.title;
    };
    select.setAttribute("aria-describedby", "action-about");
    select.onchange = () => {
      notes.action.write(select.value === DEFAULT ? null : select.value);
      describe();
    };
    describe();
    this.#action.hidden = actions.length < 2;
  }

  get #select() {
    return /** @type {HTMLSelectElement} */ (this.#action.querySelector("select"));
  }

  /** The stop did not work: it can be pressed again. */
  stopFailed() {
    this.#stop.disabled = false;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // While an input method composes, Enter chooses a word; Safari says so by the code 229 only.
    const composing = event.isComposing || event.keyCode === 229;
    if (event.key === "ArrowUp" && !this.#box.value && !this.#running) {
      event.preventDefault();
      this.#onEdit();
      return;
    }
    if (event.key !== "Enter" || event.shiftKey || composing) return;
    event.preventDefault();
    this.#ask();
  }

  #ask() {
    const question = this.#box.value;
    if (this.#running || !question.trim()) return;
    this.text = "";
    this.#onAsk(question);
  }

  #typed() {
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight}px`;
    this.#send.disabled = !this.#box.value.trim();
    notes.draft.write(this.#box.value || null);
  }
}
