/** The page: one conversation, asked in the box at the bottom, followed as it is answered. */

import { showAccount, signInLink } from "./account.js";
import { ChatClient, ChatError, newId } from "./client.js";
import { Composer } from "./composer.js";
import { button, byId, element } from "./dom.js";
import { AnswerView, questionView } from "./message.js";
import { notes } from "./notes.js";
import {
  announce,
  conversationInAddress,
  earlier,
  follower,
  later,
  leaveConversation,
  messages,
  show,
  showWelcome,
  title,
  welcome,
} from "./page.js";
import { errorWords } from "./words.js";

/** @typedef {import("./client.js").ChatEvent} ChatEvent */
/** @typedef {import("./client.js").ChatRequest} ChatRequest */
/** @typedef {import("./client.js").FollowOptions} FollowOptions */
/** @typedef {import("./client.js").Message} Message */

/**
 * A question and its answer on the page. `follow` gives the events, again each time it is called.
 * @typedef {{conversationId: string, turnId: string, prompt: string, question: HTMLElement,
 *   answer: AnswerView, follow: (options: FollowOptions) => AsyncIterable<ChatEvent>}} Turn
 */

const NEWEST = 50;

const client = new ChatClient();
const composer = new Composer({ onAsk: ask, onStop: stop });

let conversationId = "";
/** Whether the backend has not yet heard of the conversation that is shown. */
let unknown = false;
/** What is shown now; aborted when something else is to be shown. */
let shown = new AbortController();
/** @type {Turn | null} */
let running = null;
/** The newest turn, where it was refused and is nowhere but here. @type {Turn | null} */
let refused = null;
let stopWanted = false;
/** @type {string | null} */
let cursor = null;

/**
 * Asks a question in the conversation that is shown, or in a new one.
 * @param {string} prompt
 * @param {string} [replaces] the last turn, where this one is to stand in its place
 */
function ask(prompt, replaces) {
  if (running) return;
  if (refused) remove(refused);
  if (!conversationId) {
    conversationId = newId();
    unknown = true;
    history.pushState(null, "", `#c=${conversationId}`);
    title(prompt);
  }
  const request = { conversationId, turnId: newId(), userPrompt: prompt, replaces };
  notes.pending.write(request);
  void follow(turnOf(request));
}

/**
 * Puts a request on the page.
 * @param {ChatRequest & {conversationId: string, turnId: string}} request
 * @returns {Turn}
 */
function turnOf(request) {
  const { turnId, userPrompt: prompt } = request;
  const question = questionView(prompt);
  const answer = answerView();
  show(question, answer.root);
  follower.toEnd();
  /** @param {FollowOptions} options */
  const follow = (options) => client.run(request, options);
  return { conversationId: request.conversationId, turnId, prompt, question, answer, follow };
}

/**
 * Follows a turn to its end and shows it.
 * @param {Turn} turn
 */
async function follow(turn) {
  const { signal } = shown;
  const { answer } = turn;
  refused = null;
  running = turn;
  stopWanted = false;
  composer.running = true;
  announce("The answer is being written.");
  const again = () => askAgain(turn);
  const onReconnect = (/** @type {number} */ attempt) => answer.reconnecting(attempt);
  try {
    for await (const event of turn.follow({ signal, onReconnect })) {
      if (event.type === "start") begun(turn);
      answer.apply(event, { again });
    }
    announce(`The answer is finished. ${answer.spoken}`);
  } catch (error) {
    if (signal.aborted) return;
    failed(turn, asChatError(error));
  }
  running = null;
  composer.running = false;
  messages.querySelector(":scope > .busy")?.remove();
}

/**
 * The backend has taken the question.
 * @param {Turn} turn
 */
function begun(turn) {
  unknown = false;
  notes.pending.write(null);
  notes.last.write(turn.conversationId);
  if (stopWanted) stop();
}

/**
 * A turn was refused, or its connection could not be taken up again.
 * @param {Turn} turn
 * @param {ChatError} error
 */
function failed(turn, error) {
  const words = errorWords(error);
  const helps = [];
  if (words.again) {
    const wait = Math.min(error.retryAfter ?? 0, 60);
    helps.push(later(button("Try again", () => retry(turn), "again"), wait));
  } else {
    // Nothing of it is kept: the question goes back into the box.
    notes.pending.write(null);
    refused = turn;
    if (!composer.text) composer.text = turn.prompt;
    if (unknown) {
      conversationId = "";
      leaveConversation("replace");
    }
  }
  if (words.signIn) helps.push(signInLink());
  if (error.code === "not_found") helps.push(button("New chat", newChat, "again"));
  if (error.code === "conversation_busy") void showBusy(turn, words.text);
  else turn.answer.fail(words.text, ...helps);
  announce(words.text);
}

/**
 * Follows a turn anew; the backend knows it by its id and never runs it twice.
 * @param {Turn} turn
 */
function retry(turn) {
  if (running) return;
  const answer = answerView();
  turn.answer.root.replaceWith(answer.root);
  turn.answer = answer;
  void follow(turn);
}

/**
 * Asks the last question again, in the place of its answer.
 * @param {{turnId: string, prompt: string, question: HTMLElement, answer: AnswerView}} turn
 */
function askAgain(turn) {
  if (running) return;
  remove(turn);
  ask(turn.prompt, turn.turnId);
}

/**
 * Another window asks in this conversation: shows what it does.
 * @param {Turn} turn
 * @param {string} text
 */
async function showBusy(turn, text) {
  remove(turn);
  await open(turn.conversationId);
  if (running) messages.append(element("p", { className: "notice busy" }, text));
  follower.grown();
}

async function stop() {
  if (!running) return;
  const turn = running;
  stopWanted = true;
  try {
    await client.stop(turn.conversationId, turn.turnId);
  } catch (error) {
    // It has not begun yet: `begun` stops it then.
    if (error instanceof ChatError && error.code === "not_found") return;
    composer.stopFailed();
    announce("The answer could not be stopped. Try again.");
  }
}

/**
 * Shows a conversation: its newest messages, and the answer that is being written.
 * @param {string} id empty for a new one
 */
async function open(id) {
  clear();
  conversationId = id;
  const { signal } = shown;
  if (!id) {
    showWelcome();
    return;
  }
  const pending = notes.pending.read();
  const asked = pending?.conversationId === id ? pending : null;
  try {
    const conversation = await client.conversation(id, { signal });
    const page = await client.messages(id, { limit: NEWEST, signal });
    title(conversation.title);
    notes.last.write(id);
    const turns = load(page.items);
    setCursor(page.nextCursor);
    follower.toEnd();
    const newest = turns.at(-1);
    if (asked && page.items.every((message) => message.turnId !== asked.turnId)) resume(asked);
    else {
      notes.pending.write(null);
      if (newest?.answer.running) void follow(newest);
    }
  } catch (error) {
    if (signal.aborted) return;
    const problem = asChatError(error);
    if (asked && problem.code === "not_found") resume(asked);
    else cannotOpen(id, problem);
  }
}

/**
 * Sends a question that was under way when the page was left; as the same turn, so at most once.
 * @param {ChatRequest} request
 */
function resume(request) {
  title(request.userPrompt);
  void follow(turnOf(/** @type {Parameters<typeof turnOf>[0]} */ (request)));
}

/**
 * @param {string} id
 * @param {ChatError} error
 */
function cannotOpen(id, error) {
  const words = errorWords(error);
  if (error.code === "not_found" && notes.last.read() === id) notes.last.write(null);
  let text = `The conversation could not be loaded. ${error.message}`;
  /** @type {HTMLElement} */
  let help = button("Try again", () => void open(id), "again");
  if (error.code === "not_found") {
    text = words.text;
    help = button("New chat", newChat, "again");
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
 * @returns {Turn[]} oldest first
 */
function load(items, above = false) {
  /** @type {Turn[]} */
  const turns = [];
  const views = [];
  let question = element("article");
  let prompt = "";
  for (const message of items.toReversed()) {
    if (message.role === "user") {
      prompt = message.content;
      question = questionView(prompt);
      views.push(question);
    } else if (message.role === "assistant") {
      const turn = storedTurn(message, prompt, question);
      turns.push(turn);
      views.push(turn.answer.root);
    }
  }
  if (above) messages.prepend(...views);
  else show(...views);
  return turns;
}

/**
 * @param {Message} message
 * @param {string} prompt
 * @param {HTMLElement} question
 * @returns {Turn}
 */
function storedTurn(message, prompt, question) {
  const { turnId } = message;
  const id = conversationId;
  const answer = answerView();
  /** @param {FollowOptions} options */
  const follow = (options) => client.attach(id, turnId, options);
  const turn = { conversationId: id, turnId, prompt, question, answer, follow };
  answer.load(message, prompt ? { again: () => askAgain(turn) } : {});
  return turn;
}

async function showEarlier() {
  if (!cursor) return;
  const { signal } = shown;
  earlier.disabled = true;
  try {
    const page = await client.messages(conversationId, { limit: NEWEST, cursor, signal });
    follower.holding(() => {
      load(page.items, true);
      setCursor(page.nextCursor);
    });
    announce("Earlier messages are shown.");
  } catch (error) {
    if (signal.aborted) return;
    announce(errorWords(asChatError(error)).text);
    earlier.textContent = "Earlier messages could not be loaded. Try again";
    earlier.disabled = false;
  }
}

/** @param {string | null} next */
function setCursor(next) {
  cursor = next;
  earlier.hidden = next === null;
  earlier.disabled = false;
  earlier.textContent = "Show earlier messages";
}

function newChat() {
  if (location.hash) leaveConversation("push");
  void open("");
  composer.focus();
}

function clear() {
  shown.abort();
  shown = new AbortController();
  running = null;
  refused = null;
  composer.running = false;
  conversationId = "";
  unknown = false;
  messages.replaceChildren();
  welcome.hidden = true;
  setCursor(null);
  title("");
}

/** @param {{question: HTMLElement, answer: AnswerView}} turn */
function remove(turn) {
  turn.question.remove();
  turn.answer.root.remove();
}

function answerView() {
  return new AnswerView({ onRender: () => follower.grown() });
}

/** @param {unknown} error */
function asChatError(error) {
  if (error instanceof ChatError) return error;
  console.error(error);
  return new ChatError("page_error", "Something went wrong in this page. Reload it to go on.");
}

byId("new", HTMLButtonElement).addEventListener("click", newChat);
earlier.addEventListener("click", () => void showEarlier());
for (const suggestion of welcome.querySelectorAll("button")) {
  suggestion.addEventListener("click", () => ask(suggestion.textContent?.trim() ?? ""));
}
addEventListener("popstate", () => {
  if (conversationInAddress() !== conversationId) void open(conversationInAddress());
});
void showAccount(client);
void open(conversationInAddress());
composer.focus();
