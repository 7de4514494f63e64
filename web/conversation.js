/** The conversation that is shown: asked, followed as it is answered, read back. */

import { signInLink } from "./account.js";
import { newId } from "./client/client.js";
import { button, element } from "./dom.js";
import { asChatError } from "./failures.js";
import { notes } from "./notes.js";
import {
  addressOf,
  announce,
  earlier,
  firstLine,
  follower,
  later,
  leaveConversation,
  messages,
  show,
  title,
  welcome,
} from "./page.js";
import { batch } from "./settling.js";
import { Turn } from "./turn.js";
import { errorWords, GO_ON } from "./words.js";

/** @typedef {import("./client/client.js").ChatClient} ChatClient */
/** @typedef {import("./client/client.js").ChatError} ChatError */
/** @typedef {import("./client/client.js").ChatEvent} ChatEvent */
/** @typedef {import("./client/client.js").ChatRequest} ChatRequest */
/** @typedef {import("./client/client.js").FollowOptions} FollowOptions */
/** @typedef {import("./client/client.js").Message} Message */
/** @typedef {import("./composer.js").Composer} Composer */
/** @typedef {import("./extras.js").Result} Result */
/** @typedef {import("./library.js").Library} Library */
/** @typedef {import("./tabs.js").Tabs} Tabs */
/** @typedef {ChatRequest & {userPrompt: string, conversationId: string, turnId: string}} Asked */

const NEWEST = 50;
/** So many answers are followed to their end after the page has turned to another conversation. */
const MOST_AWAY = 2;

export class Conversation {
  /** Empty for a new one. */
  id = "";
  /** Whether the backend has not yet heard of it. */
  #unknown = false;
  /** What is loaded for it; aborted when something else is to be shown. */
  #shown = new AbortController();
  /** Those that are on the page, oldest first. @type {Turn[]} */
  #turns = [];
  /** @type {Turn | null} */
  #running = null;
  /** The newest turn, where it was refused and is nowhere but here. @type {Turn | null} */
  #refused = null;
  /** @type {Turn[]} */
  #away = [];
  #stopWanted = false;
  /** @type {string | null} */
  #cursor = null;
  #client;
  #library;
  #tabs;
  #onShown;
  /** @type {Composer | null} */
  #composer = null;

  /**
   * @param {{client: ChatClient, library: Library, tabs: Tabs, onShown: (id: string) => void}}
   *   parts `onShown` is told which conversation is shown, whenever that changes
   */
  constructor({ client, library, tabs, onShown }) {
    this.#client = client;
    this.#library = library;
    this.#tabs = tabs;
    this.#onShown = onShown;
    tabs.hear((word) => {
      if (word.type === "asked") this.#askedElsewhere(word);
    });
    earlier.addEventListener("click", () => void this.#showEarlier());
    // Who scrolls up need not ask.
    const near = new IntersectionObserver(
      (entries) => entries.at(-1)?.isIntersecting && void this.#showEarlier(),
      { rootMargin: "800px 0px 0px" },
    );
    near.observe(earlier);
    // What has failed for want of a network goes on by itself when that is back.
    addEventListener("online", () => {
      const turn = this.#turns.at(-1);
      if (turn && turn.answer.lost) this.#retry(turn);
    });
  }

  /** @param {Composer} composer */
  use(composer) {
    this.#composer = composer;
  }

  get running() {
    return this.#running !== null;
  }

  /**
   * Asks a question here, or in a new conversation.
   * @param {string} prompt
   * @param {Turn} [replaced] the last turn, where this one is to stand in its place
   */
  ask(prompt, replaced) {
    if (this.#running) return;
    if (this.#refused) this.#take(this.#refused);
    if (!this.id) {
      this.id = newId();
      this.#unknown = true;
      history.pushState(null, "", addressOf(this.id));
      title(prompt);
      this.#onShown(this.id);
    }
    /** @type {Asked} */
    const request = { conversationId: this.id, turnId: newId(), userPrompt: prompt };
    if (replaced) request.replaces = replaced.turnId;
    const action = this.#composer?.action;
    if (action) request.action = action;
    notes.pending.write(request);
    void this.#follow(this.#request(request));
  }

  /** Opens the last question for changes. */
  editLast() {
    const turn = this.#turns.at(-1);
    if (!this.#running && turn) turn.question.edit((text) => this.#again(turn, text));
  }

  /** Stops the answer that is being written. */
  async stop() {
    const turn = this.#running;
    if (!turn) return;
    this.#stopWanted = true;
    try {
      await this.#client.stop(turn.conversationId, turn.turnId);
    } catch (error) {
      // It has not begun yet: `#begun` stops it then.
      if (asChatError(error).code === "not_found") return;
      this.#composer?.stopFailed();
      announce("The answer could not be stopped. Try again.");
    }
  }

  /**
   * Shows a conversation: its newest messages, and the answer that is being written.
   * @param {string} id empty for a new one
   */
  async open(id) {
    this.#clear(id);
    const { signal } = this.#shown;
    if (!id) {
      welcome.hidden = false;
      return;
    }
    const pending = notes.pending.read();
    const asked = pending?.conversationId === id ? /** @type {Asked} */ (pending) : null;
    const wait = placeholder();
    messages.append(wait);
    try {
      const [conversation, page] = await Promise.all([
        this.#client.conversation(id, { signal }),
        this.#client.messages(id, { limit: NEWEST, signal }),
      ]);
      title(conversation.title);
      void this.#library.learn(conversation);
      this.#load(page.items);
      wait.remove();
      this.#setCursor(page.nextCursor);
      follower.toEnd();
      const newest = this.#turns.at(-1);
      if (asked && this.#turns.every(({ turnId }) => turnId !== asked.turnId)) this.#resume(asked);
      else {
        notes.pending.write(null);
        if (newest?.answer.running) void this.#follow(newest);
      }
    } catch (error) {
      if (signal.aborted) return;
      wait.remove();
      const problem = asChatError(error);
      if (asked && problem.code === "not_found") this.#resume(asked);
      else this.#cannotOpen(id, problem);
    }
  }

  /** Looks whether somebody went on with this conversation elsewhere, and shows it. */
  async refresh() {
    const { id } = this;
    const { signal } = this.#shown;
    if (!id || this.#unknown || this.#running || this.#refused) return;
    try {
      const { items } = await this.#client.messages(id, { limit: 2, signal });
      const newest = items.find(({ role }) => role === "assistant");
      const idle = !signal.aborted && !this.#running;
      if (newest && idle && newest.turnId !== this.#turns.at(-1)?.turnId) await this.open(id);
    } catch {
      // It was only a look.
    }
  }

  /**
   * Puts a request on the page.
   * @param {Asked} request
   */
  #request(request) {
    const replaced = this.#turns.find(({ turnId }) => turnId === request.replaces) ?? null;
    if (replaced) this.#take(replaced);
    const { conversationId, turnId, userPrompt: prompt } = request;
    /** @param {FollowOptions} options */
    const follow = (options) => this.#client.run(request, options);
    const turn = this.#turn({ conversationId, turnId, prompt, follow });
    turn.replaced = replaced;
    turn.views.forEach((view) => view.classList.add("fresh"));
    this.#setTurns([...this.#turns, turn]);
    show(...turn.views);
    follower.toEnd();
    tell("chat:asked", { conversationId, turnId, prompt });
    return turn;
  }

  /**
   * Follows a turn to its end and shows it.
   * @param {Turn} turn
   */
  async #follow(turn) {
    const { signal } = turn.abort;
    const { conversationId, turnId } = turn;
    this.#refused = null;
    this.#stopWanted = false;
    this.#setRunning(turn);
    this.#library.setLive(conversationId, true);
    announce("The answer is being written.");
    const onReconnect = (/** @type {number} */ attempt) => turn.answer.reconnecting(attempt);
    try {
      for await (const event of turn.follow({ signal, onReconnect })) {
        tell("chat:event", { conversationId, turnId, event });
        if (event.type === "start") this.#begun(turn);
        if (!turn.away) turn.answer.apply(event);
      }
      if (!turn.away) announce(`The answer is finished. ${turn.answer.spoken}`);
    } catch (error) {
      if (!signal.aborted && !turn.away) this.#failed(turn, asChatError(error));
    } finally {
      this.#library.setLive(conversationId, false);
      tell("chat:settled", { conversationId, turnId });
    }
    if (turn.away) this.#away = this.#away.filter((other) => other !== turn);
    else if (this.#running === turn) this.#setRunning(null);
  }

  /**
   * The backend has taken the question.
   * @param {Turn} turn
   */
  #begun(turn) {
    const { conversationId, turnId, prompt, replaced } = turn;
    if (!turn.away) this.#unknown = false;
    if (notes.pending.read()?.turnId === turnId) notes.pending.write(null);
    this.#library.asked(conversationId, firstLine(prompt));
    this.#tabs.tell({ type: "asked", conversationId, turnId, prompt, replaces: replaced?.turnId });
    turn.replaced = null;
    if (this.#stopWanted && turn === this.#running) void this.stop();
  }

  /**
   * A turn was refused, or its connection could not be taken up again.
   * @param {Turn} turn
   * @param {ChatError} error
   */
  #failed(turn, error) {
    const words = errorWords(error);
    const helps = [];
    if (words.again) {
      const wait = Math.min(error.retryAfter ?? 0, 60);
      helps.push(later(button("Try again", () => this.#retry(turn)), wait));
    } else {
      // Nothing of it is kept: the question goes back into the box, what it was to replace back
      // into its place.
      notes.pending.write(null);
      if (turn.replaced) this.#putBack(turn.replaced, turn);
      this.#refused = turn;
      if (this.#composer && !this.#composer.text) this.#composer.text = turn.prompt;
      if (this.#unknown) {
        this.id = "";
        leaveConversation("replace");
        this.#onShown("");
      }
    }
    if (words.signIn) helps.push(signInLink());
    if (error.code === "not_found") helps.push(button("New chat", () => this.startNew()));
    if (error.code === "conversation_busy") void this.#showBusy(turn, words.text);
    else turn.answer.fail(words.text, ...helps);
    turn.answer.lost = error.code === "connection_lost";
    announce(words.text);
  }

  /** Turns to a new conversation. */
  startNew() {
    if (location.hash) leaveConversation("push");
    void this.open("");
    this.#composer?.focus();
  }

  /**
   * Follows a turn anew; the backend knows it by its id and never runs it twice.
   * @param {Turn} turn
   */
  #retry(turn) {
    if (this.#running) return;
    turn.renew();
    void this.#follow(turn);
  }

  /**
   * Asks the last question again, changed or not, in the place of its answer.
   * @param {Turn} turn
   * @param {string} prompt
   */
  #again(turn, prompt) {
    if (this.#running) return;
    if (turn === this.#refused) this.ask(prompt);
    else this.ask(prompt, turn);
  }

  /**
   * Another window asks in this conversation: shows what it does.
   * @param {Turn} turn
   * @param {string} text
   */
  async #showBusy(turn, text) {
    this.#take(turn);
    await this.open(turn.conversationId);
    if (this.#running) messages.append(element("p", { className: "notice busy" }, text));
    follower.grown();
  }

  /**
   * A turn has begun in another tab.
   * @param {{conversationId: string, turnId: string, prompt: string, replaces?: string}} asked
   */
  #askedElsewhere({ conversationId, turnId, prompt, replaces }) {
    const known = this.#turns.some((turn) => turn.turnId === turnId);
    if (conversationId !== this.id || this.#running || known) return;
    if (this.#refused) this.#take(this.#refused);
    const replaced = this.#turns.find((turn) => turn.turnId === replaces);
    if (replaced) this.#take(replaced);
    const turn = this.#turn({ conversationId, turnId, prompt });
    this.#setTurns([...this.#turns, turn]);
    show(...turn.views);
    follower.grown();
    void this.#follow(turn);
  }

  /**
   * Sends a question that was under way when the page was left; as the same turn, so at most once.
   * @param {Asked} request
   */
  #resume(request) {
    if (!this.#turns.length) title(request.userPrompt);
    void this.#follow(this.#request(request));
  }

  /**
   * @param {string} id
   * @param {ChatError} error
   */
  #cannotOpen(id, error) {
    const words = errorWords(error);
    let text = `The conversation could not be loaded. ${error.message}`;
    /** @type {HTMLElement} */
    let help = button("Try again", () => void this.open(id));
    if (error.code === "not_found") {
      void this.#library.forget(id);
      text = words.text;
      help = button("New chat", () => this.startNew());
    } else if (words.signIn) {
      text = "Please sign in to read this conversation.";
      help = signInLink();
    }
    show(element("div", { className: "notice error" }, element("p", {}, text), help));
    announce(text);
  }

  /**
   * Puts stored messages on the page.
   * @param {Message[]} items newest first
   * @param {boolean} [above] above what is there
   */
  #load(items, above = false) {
    /** @type {Turn[]} */
    const turns = [];
    let prompt = "";
    /** @type {Result[]} */
    let results = [];
    /** The names of tools, by the ids of their calls. @type {Map<string | undefined, string>} */
    const names = new Map();
    for (const message of items.toReversed()) {
      const { role, content, turnId } = message;
      if (role === "user") prompt = content;
      else if (role === "tool") results.push({ name: names.get(message.toolCallId), content });
      else {
        if (results.length) turns.at(-1)?.answer.answered();
        const turn = this.#turn({ conversationId: this.id, turnId, prompt, results });
        turn.answer.load(message);
        turns.push(turn);
        message.toolCalls?.forEach(({ id, name }) => names.set(id, name));
        [prompt, results] = ["", []];
      }
    }
    // The newest stays outside: it may grow, and be replaced.
    const newest = above ? undefined : turns.at(-1);
    const settled = turns.filter((turn) => turn !== newest).flatMap((turn) => turn.views);
    if (above) messages.prepend(batch(settled));
    else show(batch(settled), ...(newest?.views ?? []));
    this.#setTurns(above ? [...turns, ...this.#turns] : turns);
  }

  /**
   * @param {{conversationId: string, turnId: string, prompt: string, results?: Result[],
   *   follow?: (options: FollowOptions) => AsyncIterable<ChatEvent>}} parts
   */
  #turn({ conversationId, turnId, prompt, results, follow }) {
    const attach = (/** @type {FollowOptions} */ options) => {
      return this.#client.attach(conversationId, turnId, options);
    };
    const acts = {
      onAgain: (/** @type {Turn} */ turn, /** @type {string} */ text) => this.#again(turn, text),
      onMore: () => this.ask(GO_ON),
      onRender: () => follower.grown(),
    };
    return new Turn({ conversationId, turnId, prompt, results, follow: follow ?? attach, acts });
  }

  async #showEarlier() {
    const cursor = this.#cursor;
    if (!cursor || earlier.disabled) return;
    const { signal } = this.#shown;
    const focused = document.activeElement === earlier;
    earlier.disabled = true;
    try {
      const page = await this.#client.messages(this.id, { limit: NEWEST, cursor, signal });
      follower.holding(() => {
        this.#load(page.items, true);
        this.#setCursor(page.nextCursor);
      });
      if (focused) keepFocus();
      announce("Earlier messages are shown.");
    } catch (error) {
      if (signal.aborted) return;
      announce(errorWords(asChatError(error)).text);
      earlier.textContent = "Earlier messages could not be loaded. Try again";
      earlier.disabled = false;
    }
  }

  /** @param {string | null} next */
  #setCursor(next) {
    this.#cursor = next;
    earlier.hidden = next === null;
    earlier.disabled = false;
    earlier.textContent = "Show earlier messages";
  }

  /** @param {string} id what is to be shown now */
  #clear(id) {
    this.#shown.abort();
    this.#shown = new AbortController();
    if (this.#running) this.#leave(this.#running);
    // Shown again, it is followed anew, from what is stored.
    for (const turn of this.#away) if (turn.conversationId === id) turn.abort.abort();
    this.#setRunning(null);
    this.#refused = null;
    this.#setTurns([]);
    this.#unknown = false;
    this.id = id;
    messages.replaceChildren();
    welcome.hidden = true;
    this.#setCursor(null);
    title("");
    this.#onShown(id);
  }

  /**
   * Follows a turn on, so that its answer is finished, but shows it no longer.
   * @param {Turn} turn
   */
  #leave(turn) {
    turn.away = true;
    this.#away.push(turn);
    if (this.#away.length > MOST_AWAY) this.#away.shift()?.abort.abort();
  }

  /** @param {Turn[]} turns */
  #setTurns(turns) {
    const newest = turns.at(-1);
    if (newest !== this.#turns.at(-1)) this.#turns.at(-1)?.setNewest(false);
    newest?.setNewest(true);
    this.#turns = turns;
  }

  /** @param {Turn | null} turn */
  #setRunning(turn) {
    this.#running?.setBusy(false);
    turn?.setBusy(true);
    this.#running = turn;
    if (this.#composer) this.#composer.running = turn !== null;
    if (!turn) messages.querySelector(":scope > .busy")?.remove();
  }

  /**
   * Takes a turn off the page.
   * @param {Turn} turn
   */
  #take(turn) {
    turn.remove();
    this.#setTurns(this.#turns.filter((other) => other !== turn));
    if (turn === this.#refused) this.#refused = null;
  }

  /**
   * Puts a turn back, before another one.
   * @param {Turn} turn
   * @param {Turn} before
   */
  #putBack(turn, before) {
    before.question.root.before(...turn.views);
    this.#setTurns(this.#turns.toSpliced(this.#turns.indexOf(before), 0, turn));
    before.replaced = null;
  }
}

/** The button for earlier messages had the focus, and may be gone: they have it then. */
function keepFocus() {
  if (!earlier.hidden) {
    earlier.focus({ preventScroll: true });
    return;
  }
  messages.tabIndex = -1;
  messages.focus({ preventScroll: true });
  messages.addEventListener("blur", () => messages.removeAttribute("tabindex"), { once: true });
}

/** What stands where messages are being loaded; seen only where that takes a while. */
function placeholder() {
  const made = element("div", { className: "bones" }, element("span"), element("span"), element("span"));
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", "Loading the conversation");
  return made;
}

/**
 * Lets others know, such as the drawer of the local stack.
 * @param {string} name
 * @param {Record<string, unknown>} detail
 */
function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail: { ...detail, at: performance.now() } }));
}
