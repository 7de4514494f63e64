/** What the page writes down in the browser; without storage it works, and forgets. */

/** @typedef {import("./client.js").ChatRequest} ChatRequest */

/** One named JSON value. @template T */
class Note {
  #storage;
  #name;

  /**
   * @param {"localStorage" | "sessionStorage"} storage
   * @param {string} name
   */
  constructor(storage, name) {
    this.#storage = storage;
    this.#name = `chat.${name}`;
  }

  /** @returns {T | null} */
  read() {
    try {
      return JSON.parse(window[this.#storage].getItem(this.#name) ?? "null");
    } catch {
      return null;
    }
  }

  /** @param {T | null} value null forgets */
  write(value) {
    try {
      if (value === null) window[this.#storage].removeItem(this.#name);
      else window[this.#storage].setItem(this.#name, JSON.stringify(value));
    } catch {
      // Refused by the browser, or full.
    }
  }
}

export const notes = {
  /** What is being typed in this tab. @type {Note<string>} */
  draft: new Note("sessionStorage", "draft"),
  /** What this tab asked and has no word about yet. @type {Note<ChatRequest>} */
  pending: new Note("sessionStorage", "pending"),
  /** The conversation that was used last. @type {Note<string>} */
  last: new Note("localStorage", "last"),
};
