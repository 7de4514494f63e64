/** "Messages sent": exactly what the model was sent in the last turn. */

import { button, counted, element, part } from "./dom.js";

/** @typedef {import("./api.js").Last} Last */
/** @typedef {import("./api.js").SentMessage} SentMessage */

export class MessagesView {
  /** @param {(work: () => Promise<string>) => void} act */
  constructor(act) {
    this.#copy = button("Copy as JSON", () => act(() => this.#copied()));
    this.#copy.hidden = true;
    this.root.append(this.#note, this.#list, this.#parameters, this.#copy);
    this.#parameters.append(element("summary", {}, "Parameters"), this.#values);
  }

  root = part("Messages sent");
  #note = element("p", { className: "drawer-soft" });
  #list = element("ol", { className: "drawer-messages" });
  #values = element("pre");
  #parameters = element("details", { hidden: true });
  #copy;
  #shown = "";
  /** @type {SentMessage[]} */
  #messages = [];

  /** @param {Last} last */
  show({ turn, model }) {
    const messages = model?.messages ?? [];
    this.#note.textContent = note(turn !== null, model);
    this.#copy.hidden = this.#parameters.hidden = messages.length === 0;
    // What is open stays open while the same messages are shown.
    const shown = JSON.stringify([messages, model?.parameters]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#messages = messages;
    const counts = model?.messageTokens ?? [];
    this.#list.replaceChildren(...messages.map((one, index) => view(one, counts[index] ?? 0)));
    this.#values.textContent = JSON.stringify(model?.parameters ?? {}, null, 2);
  }

  async #copied() {
    await navigator.clipboard.writeText(JSON.stringify(this.#messages, null, 2)).catch(() => {
      throw new Error("The browser did not let them be copied.");
    });
    return `${counted(this.#messages.length, "message")} copied.`;
  }
}

/**
 * @param {boolean} asked
 * @param {Last["model"]} model
 */
function note(asked, model) {
  if (!asked) return "What the model is sent is shown here.";
  if (!model) return "A model of your own is asked: what it was sent is not seen here.";
  if (!model.asked) return "The model was not asked.";
  const again = model.asked > 1 ? " The last of them is shown." : "";
  return `${counted(model.messages?.length ?? 0, "message")} to ${model.deployment}.${again}`;
}

/**
 * @param {SentMessage} message
 * @param {number} tokens
 */
function view({ role, content }, tokens) {
  const text = typeof content === "string" ? content : JSON.stringify(content, null, 2);
  const [line = ""] = text.trim().split("\n", 1);
  const summary = element(
    "summary",
    {},
    element("b", {}, role),
    element("span", { className: "drawer-preview" }, line),
    element("small", {}, counted(tokens, "token")),
  );
  return element("li", {}, element("details", {}, summary, element("pre", {}, text)));
}
