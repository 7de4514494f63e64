/** A question and its answer on the page, and how its events come. */

import { AnswerView } from "./answer.js";
import { QuestionView, ResultsView } from "./question.js";

/** @typedef {import("./client/client.js").ChatEvent} ChatEvent */
/** @typedef {import("./client/client.js").FollowOptions} FollowOptions */
/** @typedef {import("./extras.js").Result} Result */

/**
 * What a turn may ask of the conversation that it is in.
 * @typedef {{onAgain: (turn: Turn, prompt: string) => void, onMore: () => void,
 *   onRender: () => void}} Acts
 */

/** `follow` gives the events, from the beginning, each time it is called. */
export class Turn {
  question;
  answer;
  /** Ends the following, not the turn. */
  abort = new AbortController();
  /** Whether it is followed but no longer shown. */
  away = false;
  /** The turn in whose place this one stands, until this one has begun. @type {Turn | null} */
  replaced = null;
  #acts;
  /** Whether it answers a question, which can be asked again. */
  #asked;

  /**
   * @param {{conversationId: string, turnId: string, prompt: string, results?: Result[],
   *   follow: (options: FollowOptions) => AsyncIterable<ChatEvent>, acts: Acts}} parts `results`:
   *   what another program brought for the calls before it, instead of a prompt
   */
  constructor({ conversationId, turnId, prompt, results = [], follow, acts }) {
    this.conversationId = conversationId;
    this.turnId = turnId;
    this.prompt = prompt;
    this.follow = follow;
    this.#acts = acts;
    this.#asked = results.length === 0;
    this.question = this.#asked
      ? new QuestionView(prompt, { onEdit: (text) => acts.onAgain(this, text) })
      : new ResultsView(results);
    this.answer = this.#newAnswer();
  }

  /** Both views, in their order. */
  get views() {
    return [this.question.root, this.answer.root];
  }

  /** Puts an answer that has not begun in the place of the one that is shown. */
  renew() {
    const before = this.answer;
    this.answer = this.#newAnswer();
    before.root.replaceWith(this.answer.root);
    this.answer.root.classList.add("newest");
    this.abort = new AbortController();
  }

  /** @param {boolean} newest whether it is the conversation's last, which can be asked again */
  setNewest(newest) {
    this.views.forEach((view) => view.classList.toggle("newest", newest && this.#asked));
  }

  /** @param {boolean} busy whether its answer is being written */
  setBusy(busy) {
    this.views.forEach((view) => view.classList.toggle("busy", busy));
  }

  /** Takes it off the page. */
  remove() {
    this.views.forEach((view) => view.remove());
  }

  #newAnswer() {
    const { onAgain, onMore, onRender } = this.#acts;
    return new AnswerView({ onRender, onMore, onAgain: () => onAgain(this, this.prompt) });
  }
}
