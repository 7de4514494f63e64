/** What the page writes down in the browser; without storage it works, and forgets. */

/** @typedef {import("./client/client.js").ChatRequest} ChatRequest */
/** @typedef {import("./client/client.js").Conversation} Conversation */

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
  /** Conversations whose deletion was under way when the page was left. @type {Note<string[]>} */
  deleting: new Note("sessionStorage", "deleting"),
  /** The list, where the backend keeps none. @type {Note<Conversation[]>} */
  conversations: new Note("localStorage", "conversations"),
  /** The action that was chosen. @type {Note<string>} */
  action: new Note("localStorage", "action"),
  /** The theme that was chosen, which theme.js reads first. @type {Note<"light" | "dark">} */
  theme: new Note("localStorage", "theme"),
  /** Whether the list is put away on wide screens. @type {Note<boolean>} */
  listAway: new Note("localStorage", "list-away"),
};
