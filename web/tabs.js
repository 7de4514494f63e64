/** What the tabs of one browser tell each other. */

/**
 * `asked`: a turn has begun; `removed`: a conversation is deleted; `listed`: the list has changed.
 * @typedef {{type: "asked", conversationId: string, turnId: string, prompt: string,
 *     replaces?: string}
 *   | {type: "removed", conversationId: string}
 *   | {type: "listed"}} Word
 */

export class Tabs {
  #channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("chat") : null;

  /** @param {Word} word */
  tell(word) {
    this.#channel?.postMessage(word);
  }

  /** @param {(word: Word) => void} listener */
  hear(listener) {
    this.#channel?.addEventListener("message", ({ data }) => listener(data));
  }
}
