/** How questions and answers look. */

import { button, element, morph } from "./dom.js";
import { isSafeLink, renderMarkdown, secure } from "./markdown.js";
import { endWords, errorWords, usageWords } from "./words.js";

/** @typedef {import("./client.js").ChatEvent} ChatEvent */
/** @typedef {import("./client.js").Citation} Citation */
/** @typedef {import("./client.js").Message} Message */
/** @typedef {import("./client.js").ToolCall} ToolCall */
/** @typedef {import("./client.js").Usage} Usage */

/** Rendering takes at most this part of the time, however long the answer is. */
const RENDERING_SHARE = 0.25;

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export function questionView(text) {
  return element(
    "article",
    { className: "message question" },
    element("h2", { className: "hidden" }, "You asked"),
    element("div", { className: "text" }, text),
  );
}

/** An answer, while it runs and after. */
export class AnswerView {
  /** @param {{onRender: () => void}} options `onRender` is called when it may have grown */
  constructor({ onRender }) {
    this.text = "";
    this.running = true;
    this.#onRender = onRender;
    this.#body.append(waiting());
    this.root.append(
      element("h2", { className: "hidden" }, "Answer"),
      this.#reasoning,
      this.#body,
      this.#tools,
      this.#citations,
      this.#notice,
      this.#usage,
    );
  }

  root = element("article", { className: "message answer running" });
  #body = element("div", { className: "text" });
  #thoughts = element("div", { className: "thoughts" });
  #thinking = element("summary", {}, "Thinking …");
  #reasoning = element("details", { hidden: true }, this.#thinking, this.#thoughts);
  #tools = element("ul", { className: "tools", hidden: true });
  #citations = element("ol", { className: "citations", hidden: true });
  #notice = element("div", { className: "notice", hidden: true });
  #usage = element("p", { className: "usage", hidden: true });
  #onRender;
  /** What was stored when the page was loaded: shown until the stream has come as far. */
  #known = "";
  /** @type {ReturnType<typeof errorWords> | null} */
  #error = null;
  #frame = 0;
  #notBefore = 0;

  /**
   * Shows a stored answer.
   * @param {Message} message
   * @param {{again?: () => void}} actions
   */
  load(message, actions) {
    this.#cite(message.citations ?? []);
    (message.toolCalls ?? []).forEach((call) => this.#call(call));
    if (message.state === "running") {
      this.#known = message.content;
      this.#render();
      return;
    }
    this.text = message.content;
    this.#end(message.finishReason, message.usage, actions);
  }

  /**
   * Shows what happened.
   * @param {ChatEvent} event
   * @param {{again?: () => void}} actions
   */
  apply(event, actions) {
    switch (event.type) {
      case "start":
        this.#reset();
        break;
      case "delta":
        this.text += event.text;
        this.#thinking.textContent = "Thoughts";
        this.#schedule();
        break;
      case "reasoning":
        this.#thoughts.append(event.text);
        this.#reasoning.hidden = false;
        this.#onRender();
        break;
      case "citations":
        this.#cite(event.documents);
        break;
      case "tool_call":
        this.#call(event);
        break;
      case "error":
        this.#error = errorWords(event);
        break;
      case "end":
        this.text = event.result.response ?? this.text;
        this.#end(event.finishReason, event.usage, actions);
    }
  }

  /**
   * Says in words what went wrong, and offers what helps.
   * @param {string} text
   * @param {...Node} helps
   */
  fail(text, ...helps) {
    this.#settle();
    this.#say(text, "error", helps);
  }

  /**
   * Says that the connection is being taken up again; 0: it works again.
   * @param {number} attempt
   */
  reconnecting(attempt) {
    if (attempt) this.#say("The connection was lost. Trying again …", "passing", []);
    else this.#notice.hidden = true;
  }

  /** The words of a screen reader's announcement. */
  get spoken() {
    const said = this.#notice.hidden ? "" : (this.#notice.textContent ?? "");
    return `${this.#body.textContent} ${said}`.trim();
  }

  #reset() {
    this.text = "";
    this.#error = null;
    this.#thoughts.textContent = "";
    this.#tools.textContent = "";
    this.#citations.textContent = "";
    for (const part of [this.#reasoning, this.#tools, this.#citations, this.#notice]) {
      part.hidden = true;
    }
  }

  /**
   * @param {Message["finishReason"]} reason
   * @param {Usage | null | undefined} usage
   * @param {{again?: () => void}} actions
   */
  #end(reason, usage, { again }) {
    this.#settle();
    const words = this.#error ?? endWords(reason);
    if (words) {
      const helps = words.again && again ? [button("Try again", again, "again")] : [];
      this.#say(words.text, reason === "error" ? "error" : "end", helps);
    }
    const told = usageWords(usage);
    this.#usage.textContent = told;
    this.#usage.hidden = told === null;
    this.#onRender();
  }

  /** Nothing more will come. */
  #settle() {
    this.running = false;
    this.#known = "";
    this.#thinking.textContent = "Thoughts";
    this.root.classList.remove("running");
    this.#render();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame((now) => {
      this.#frame = 0;
      if (now < this.#notBefore) this.#schedule();
      else this.#render();
    });
  }

  #render() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const begun = performance.now();
    const text = this.#known.startsWith(this.text) ? this.#known : this.text;
    if (text) morph(this.#body, renderMarkdown(text));
    else this.#body.replaceChildren(...(this.running ? [waiting()] : []));
    const took = performance.now() - begun;
    this.#notBefore = begun + took / RENDERING_SHARE;
    this.#onRender();
  }

  /**
   * @param {string} text
   * @param {"error" | "end" | "passing"} tone
   * @param {Node[]} helps
   */
  #say(text, tone, helps) {
    this.#notice.className = `notice ${tone}`;
    this.#notice.replaceChildren(element("p", {}, text), ...helps);
    this.#notice.hidden = false;
    this.#onRender();
  }

  /** @param {Citation[]} documents */
  #cite(documents) {
    this.#citations.replaceChildren(...documents.map((document, n) => citation(document, n + 1)));
    this.#citations.hidden = documents.length === 0;
  }

  /** @param {ToolCall} call */
  #call({ name, arguments: given }) {
    this.#tools.append(element("li", {}, "Tool ", element("code", {}, `${name}(${given})`)));
    this.#tools.hidden = false;
  }
}

/**
 * @param {Citation} document
 * @param {number} number
 */
function citation({ title, url, id }, number) {
  const name = title || id || (isSafeLink(url) ? url : `Document ${number}`);
  if (!isSafeLink(url)) return element("li", {}, name);
  const link = element("a", { href: url }, name);
  const item = element("li", {}, link);
  secure(link);
  return item;
}

/** What stands where the first word will be. */
function waiting() {
  const dots = element("div", { className: "waiting" });
  dots.setAttribute("role", "img");
  dots.setAttribute("aria-label", "Waiting for the answer");
  dots.append(element("span"), element("span"), element("span"));
  return dots;
}
