/** How an answer looks, while it runs and after. */

import { copy } from "./copying.js";
import { button, element, iconButton } from "./dom.js";
import { callView, linkCitations, sourcesView, waitingView } from "./extras.js";
import { closed, MarkdownView } from "./markdown.js";
import { aboutWords, endWords, errorWords, thoughtWords } from "./words.js";

/** @typedef {import("./client/client.js").ChatEvent} ChatEvent */
/** @typedef {import("./client/client.js").Citation} Citation */
/** @typedef {import("./client/client.js").Retrieval} Retrieval */
/** @typedef {import("./client/client.js").Message} Message */
/** @typedef {import("./client/client.js").ToolCall} ToolCall */

/** Rendering takes at most this part of the time, however long the answer is. */
const RENDERING_SHARE = 0.25;
/** A screen reader is given so much of an answer at once; the rest it can read on the page. */
const SPOKEN_CHARACTERS = 600;

export class AnswerView {
  root = element("article", { className: "message answer running" });
  text = "";
  running = true;
  /** Whether it failed because nobody could be reached. */
  lost = false;
  #body = element("div", { className: "text" });
  #thoughts = element("div", { className: "thoughts" });
  #thinking = element("summary", {}, "Thinking …");
  #reasoning = element("details", { hidden: true, className: "thinking" }, this.#thinking, this.#thoughts);
  #calls = element("div", { className: "calls", hidden: true });
  #sources = element("section", { className: "sources", hidden: true });
  #notice = element("div", { className: "notice", hidden: true });
  #acts = element("div", { className: "acts" });
  #usage = element("p", { className: "usage", hidden: true });
  #markdown = new MarkdownView(this.#body, { finish: (block) => linkCitations(block, this.#sources) });
  #onRender;
  #onAgain;
  #onMore;
  /** What was stored when the page was loaded: shown until the stream has come as far. */
  #known = "";
  /** @type {ReturnType<typeof errorWords> | null} */
  #error = null;
  #about = { model: "", createdAt: new Date().toISOString() };
  #thinkingSince = 0;
  #frame = 0;
  #notBefore = 0;

  /**
   * @param {{onRender: () => void, onAgain: () => void, onMore: () => void}} options `onRender` is
   *   called when it may have grown, `onAgain` when it is to be asked again, `onMore` when it is to
   *   go on
   */
  constructor({ onRender, onAgain, onMore }) {
    this.#onRender = onRender;
    this.#onAgain = onAgain;
    this.#onMore = onMore;
    this.#body.append(waitingView());
    // What scrolls can be reached by keyboard.
    this.#thoughts.tabIndex = 0;
    this.#thoughts.setAttribute("role", "group");
    this.#thoughts.setAttribute("aria-label", "Thoughts");
    this.root.setAttribute("aria-busy", "true");
    this.root.append(
      element("h2", { className: "hidden" }, "Answer"),
      this.#reasoning,
      this.#body,
      this.#calls,
      this.#sources,
      this.#notice,
      this.#acts,
      this.#usage,
    );
  }

  /**
   * Shows a stored answer.
   * @param {Message} message
   */
  load(message) {
    this.#about.createdAt = message.createdAt;
    if (message.reasoning) this.#think(message.reasoning);
    this.#cite(message.citations ?? [], message.retrieval);
    (message.toolCalls ?? []).forEach((call) => this.#call(call));
    if (message.state === "running") {
      this.#known = message.content;
      this.#render();
      return;
    }
    this.text = message.content;
    if (message.error) this.#error = errorWords(message.error);
    this.#end(message.finishReason, message.usage);
  }

  /**
   * Shows what happened.
   * @param {ChatEvent} event
   */
  apply(event) {
    switch (event.type) {
      case "start":
        this.#reset();
        this.#about.model = event.model;
        break;
      case "delta":
        this.text += event.text;
        this.#thought();
        this.#schedule();
        break;
      case "reasoning":
        this.#think(event.text);
        this.#onRender();
        break;
      case "citations":
        this.#cite(event.documents, event);
        break;
      case "tool_call":
        this.#call(event);
        break;
      case "error":
        this.#error = errorWords(event);
        break;
      case "end":
        // Its name is the action's, or whoever began the turn chose it.
        this.text = Object.values(event.result)[0] ?? this.text;
        this.#end(event.finishReason, event.usage);
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

  /** Its calls were made by another program: the next turn has what they gave. */
  answered() {
    this.#notice.hidden = true;
  }

  /** The words of a screen reader's announcement. */
  get spoken() {
    const said = this.#notice.hidden ? "" : (this.#notice.firstChild?.textContent ?? "");
    const text = (this.#body.innerText ?? "").trim();
    if (text.length <= SPOKEN_CHARACTERS) return `${text} ${said}`.trim();
    const cut = text.slice(0, SPOKEN_CHARACTERS).replace(/\s+\S*$/, "");
    return `${cut} … The rest is in the conversation. ${said}`.trim();
  }

  #reset() {
    this.text = "";
    this.#error = null;
    this.#thoughts.textContent = "";
    this.#calls.textContent = "";
    this.#cite([]);
    for (const part of [this.#reasoning, this.#calls, this.#notice]) part.hidden = true;
  }

  /**
   * @param {Message["finishReason"]} reason
   * @param {Message["usage"] | null} usage
   */
  #end(reason, usage) {
    this.#settle();
    // Where the filter stopped an answer that had begun, the question was not refused.
    const stopped = reason === "content_filter" && this.text !== "";
    const words = (stopped ? null : this.#error) ?? endWords(reason);
    if (words) {
      const helps = [];
      if (words.again) helps.push(button("Try again", this.#onAgain, "last-only"));
      if (words.more) helps.push(button("Go on", this.#onMore, "last-only"));
      this.#say(words.text, reason === "error" ? "error" : "end", helps);
    }
    this.#usage.textContent = aboutWords({ ...this.#about, usage });
    this.#showActs();
    this.#onRender();
  }

  #showActs() {
    const acts = [];
    if (this.text) {
      const pressed = iconButton("copy", "Copy the answer", () => void copy(pressed, this.text));
      acts.push(pressed);
    }
    acts.push(iconButton("again", "Ask again", this.#onAgain, "last-only"));
    const about = iconButton("info", "Usage", () => {
      this.#usage.hidden = !this.#usage.hidden;
      about.setAttribute("aria-expanded", String(!this.#usage.hidden));
      this.#onRender();
    });
    about.setAttribute("aria-expanded", "false");
    acts.push(about);
    this.#acts.replaceChildren(...acts);
  }

  /** Nothing more will come. */
  #settle() {
    this.running = false;
    this.#known = "";
    this.#thought();
    this.root.classList.remove("running");
    this.root.removeAttribute("aria-busy");
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
    if (text) this.#markdown.show(this.running ? closed(text) : text);
    else this.#body.replaceChildren(...(this.running ? [waitingView()] : []));
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

  /** @param {string} text */
  #think(text) {
    this.#thinkingSince ||= performance.now();
    this.#thoughts.append(text);
    this.#reasoning.hidden = false;
  }

  /** The thoughts are over: the answer has begun, or is. */
  #thought() {
    if (!this.#reasoning.classList.contains("thinking")) return;
    const seconds = this.running && this.#thinkingSince
      ? (performance.now() - this.#thinkingSince) / 1000
      : 0;
    this.#reasoning.classList.remove("thinking");
    this.#thinking.textContent = thoughtWords(seconds);
  }

  /**
   * @param {Citation[]} documents
   * @param {Retrieval} [retrieval]
   */
  #cite(documents, retrieval) {
    this.#sources.replaceChildren(...sourcesView(documents, retrieval));
    this.#sources.hidden = !this.#sources.hasChildNodes();
  }

  /** @param {ToolCall} call */
  #call(call) {
    this.#calls.append(callView(call));
    this.#calls.hidden = false;
  }
}
