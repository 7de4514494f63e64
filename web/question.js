/** How a question looks, and how it is changed; and what stands in the place of one. */

import { button, element, iconButton } from "./dom.js";
import { resultView } from "./extras.js";

/** @typedef {import("./extras.js").Result} Result */

/** A question; the newest one can be changed and asked anew in its place. */
export class QuestionView {
  root = element("article", { className: "message question" });
  #text = element("div", { className: "text" });
  #acts = element("div", { className: "acts" });
  #prompt;

  /**
   * @param {string} prompt
   * @param {{onEdit: (prompt: string) => void}} options `onEdit` is given the changed question
   */
  constructor(prompt, { onEdit }) {
    this.#prompt = prompt;
    this.#text.textContent = prompt;
    const edit = iconButton("pencil", "Edit the question", () => this.edit(onEdit), "last-only edit-question");
    this.#acts.append(edit);
    const heading = element("h2", { className: "hidden" }, "You asked");
    this.root.append(heading, this.#text, this.#acts);
  }

  /** @param {(prompt: string) => void} onEdit */
  edit(onEdit) {
    const box = element("textarea", { value: this.#prompt });
    box.setAttribute("aria-label", "Change the question");
    const close = () => {
      form.replaceWith(this.#text, this.#acts);
      this.#acts.querySelector("button")?.focus();
    };
    const send = () => {
      if (!box.value.trim()) return;
      close();
      onEdit(box.value);
    };
    const form = element(
      "form",
      { className: "edit" },
      box,
      element(
        "div",
        {},
        button("Cancel", close),
        element("button", { type: "submit", className: "primary" }, "Ask again"),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
      else if (event.key === "Enter" && event.target === box && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      } else return;
      // Escape would stop an answer, too.
      event.stopPropagation();
    });
    this.#text.replaceWith(form);
    this.#acts.remove();
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }
}

/** What the calls of the answer before it gave, which stands where a question would. */
export class ResultsView {
  root = element("article", { className: "message results" });

  /** @param {Result[]} results */
  constructor(results) {
    const heading = element("h2", { className: "hidden" }, "Results of tools");
    this.root.append(heading, element("div", { className: "calls" }, ...results.map(resultView)));
  }

  /** Results are not for people to change. */
  edit() {}
}
