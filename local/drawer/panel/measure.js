/** What the page itself measured of the last turn, in milliseconds of its own clock. */

/**
 * @typedef {{promptTokens: number, completionTokens: number, totalTokens: number,
 *   estimated: boolean}} Usage
 * @typedef {{type: string, finishReason?: string, usage?: Usage}} ChatEvent
 * @typedef {{conversationId: string, turnId: string, prompt?: string, event?: ChatEvent,
 *   at?: number}} Detail
 */

export class Measure {
  turnId = "";
  running = false;
  /** @type {string | null} */
  finishReason = null;
  /** @type {Usage | null} */
  usage = null;
  /** @type {number | null} */
  #asked = null;
  /** @type {number | null} */
  #firstEvent = null;
  /** @type {number | null} */
  #firstText = null;
  /** @type {number | null} */
  #end = null;

  /** @param {Detail} detail */
  constructor({ turnId, prompt, at }) {
    this.turnId = turnId;
    this.running = true;
    // Without a prompt the page met the turn in the middle of it, after a reload for instance.
    if (prompt !== undefined) this.#asked = at ?? null;
  }

  /** @param {Detail} detail */
  saw({ event, at = 0 }) {
    if (!event) return;
    this.#firstEvent ??= at;
    if (event.type === "delta") this.#firstText ??= at;
    if (event.type === "end") {
      this.#end = at;
      this.finishReason = event.finishReason ?? null;
      this.usage = event.usage ?? null;
    }
  }

  get toFirstEvent() {
    return since(this.#asked, this.#firstEvent);
  }

  get toFirstText() {
    return since(this.#asked, this.#firstText);
  }

  get total() {
    return since(this.#asked, this.#end);
  }

  /** Tokens a second, from the first text to the end; null where that says nothing. */
  get rate() {
    const tokens = this.usage?.completionTokens ?? 0;
    const ms = since(this.#firstText, this.#end) ?? 0;
    return this.#asked !== null && tokens > 1 && ms > 0 ? (1000 * tokens) / ms : null;
  }
}

/**
 * @param {number | null} from
 * @param {number | null} to
 */
function since(from, to) {
  return from === null || to === null ? null : to - from;
}
