/** The list of conversations: the backend's, or where it keeps none, this browser's. */

import { asChatError } from "./failures.js";
import { notes } from "./notes.js";
import { Toast } from "./toasts.js";

/** @typedef {import("./client/client.js").ChatClient} ChatClient */
/** @typedef {import("./client/client.js").Conversation} Conversation */
/** @typedef {import("./tabs.js").Tabs} Tabs */

/**
 * `loading`; `kept` by the backend; `here` in this browser only, as nobody signs in;
 * `closed` to those who are not signed in; `failed` to be read.
 * @typedef {"loading" | "kept" | "here" | "closed" | "failed"} Mode
 */

const PAGE = 50;
/** So many does a browser keep; the oldest go. */
const KEPT_HERE = 500;

/** Tells of every change by the event `change`. */
export class Library extends EventTarget {
  /** @type {Mode} */
  mode = "loading";
  /** @type {string | null} */
  cursor = null;
  /** @type {Conversation[]} newest first */
  #items = [];
  /** Deleted here, and not yet on the backend. @type {Map<string, Toast>} */
  #deleting = new Map();
  /** @type {Set<string>} */
  #live = new Set();
  /**
   * The titles of those that were asked in since the list began to be read: what is read may not
   * know of it. @type {Map<string, string>}
   */
  #asked = new Map();
  /** The first reading of the list. @type {Promise<void> | null} */
  #first = null;
  #client;
  #tabs;

  /**
   * @param {ChatClient} client
   * @param {Tabs} tabs
   */
  constructor(client, tabs) {
    super();
    this.#client = client;
    this.#tabs = tabs;
    tabs.hear((word) => {
      if (word.type === "listed") void this.load();
      else if (word.type === "removed") this.#drop(word.conversationId);
    });
    addEventListener("pagehide", () => this.#finishDeletions());
  }

  /** What is to be seen, newest first. */
  get items() {
    return this.#items.filter(({ id }) => !this.#deleting.has(id));
  }

  /** @param {string} id */
  find(id) {
    return this.#items.find((item) => item.id === id);
  }

  /** @param {string} id whether an answer is being written in it */
  isLive(id) {
    return this.#live.has(id);
  }

  /** Reads the list anew. */
  load() {
    const reading = this.#load();
    this.#first ??= reading;
    return reading;
  }

  async #load() {
    this.#asked.clear();
    try {
      const page = await this.#client.conversations({ limit: PAGE });
      this.mode = "kept";
      this.#items = page.items;
      this.cursor = page.nextCursor;
    } catch (error) {
      await this.#without(asChatError(error).code);
    }
    this.#asked.forEach((title, id) => this.#toFront(id, title));
    if (this.#asked.size) this.#write();
    this.#deleteAgain();
    this.#changed();
  }

  /** Reads what is older than the oldest that is shown. */
  async more() {
    if (!this.cursor) return;
    const page = await this.#client.conversations({ limit: PAGE, cursor: this.cursor });
    const known = new Set(this.#items.map(({ id }) => id));
    this.#items.push(...page.items.filter(({ id }) => !known.has(id)));
    this.cursor = page.nextCursor;
    this.#changed();
  }

  /**
   * A question was asked in a conversation: it is the newest now.
   * @param {string} id
   * @param {string} title where it is not yet in the list
   */
  asked(id, title) {
    // Where it is there already, it goes to the end.
    this.#asked.delete(id);
    this.#asked.set(id, title);
    this.#toFront(id, title);
    this.#keep();
  }

  /**
   * What the backend says of a conversation, where this list is the browser's.
   * @param {Conversation} conversation
   */
  async learn({ id, title, createdAt, updatedAt, messageCount }) {
    await this.#first;
    if (this.mode !== "here" || this.#deleting.has(id)) return;
    const told = { id, title, createdAt, updatedAt, messageCount };
    const others = this.#items.filter((item) => item.id !== id);
    this.#items = [told, ...others].sort((a, b) => b.updatedAt.localeCompare(a.updatedAt));
    this.#keep();
  }

  /**
   * @param {string} id
   * @param {boolean} live
   */
  setLive(id, live) {
    if (live) this.#live.add(id);
    else this.#live.delete(id);
    this.#changed();
  }

  /**
   * Renames a conversation: at once here, and where that fails, back again.
   * @param {string} id
   * @param {string} title
   */
  async rename(id, title) {
    const before = this.find(id)?.title;
    this.#retitle(id, title);
    try {
      this.#retitle(id, (await this.#client.rename(id, title)).title);
    } catch (error) {
      if (before !== undefined) this.#retitle(id, before);
      const { message } = asChatError(error);
      new Toast({ text: `It could not be renamed. ${message}`, error: true });
    }
  }

  /**
   * Deletes a conversation, once nobody has undone it for some seconds: the backend's deletion is
   * for good.
   * @param {string} id
   * @param {() => void} undone
   */
  remove(id, undone) {
    const title = shortened(this.find(id)?.title ?? "The conversation");
    const undo = () => {
      this.#deleting.delete(id);
      this.#changed();
      undone();
    };
    const over = () => void this.#removeNow(id);
    this.#deleting.set(id, new Toast({ text: `“${title}” was deleted.`, label: "Undo", act: undo, over }));
    this.#changed();
  }

  /**
   * There is no such conversation; the page that shows it says so.
   * @param {string} id
   */
  async forget(id) {
    await this.#first;
    if (this.mode !== "here") return;
    this.#items = this.#items.filter((item) => item.id !== id);
    this.#keep();
  }

  /** @param {string} code of the error that the backend gave instead of a list */
  async #without(code) {
    if (code !== "unauthenticated") {
      // What was shown before is still better than nothing.
      if (this.mode === "loading") this.mode = "failed";
      return;
    }
    const open = await this.#client.actions().then(() => true, () => false);
    this.mode = open ? "here" : "closed";
    this.#items = open ? (notes.conversations.read() ?? []) : [];
    this.cursor = null;
  }

  /** @param {string} id */
  async #removeNow(id) {
    try {
      await this.#client.remove(id);
    } catch (error) {
      const { code, message } = asChatError(error);
      if (code !== "not_found") {
        this.#deleting.delete(id);
        this.#changed();
        new Toast({ text: `It could not be deleted. ${message}`, error: true });
        return;
      }
    }
    this.#drop(id);
    this.#tabs.tell({ type: "removed", conversationId: id });
  }

  /** The page is being left: nothing can be undone any more. */
  #finishDeletions() {
    const ids = [...this.#deleting.keys()];
    if (!ids.length) return;
    // The page that is opened next may read the list before these have arrived.
    notes.deleting.write(ids);
    ids.forEach((id) => void this.#client.remove(id, { keepalive: true }).catch(() => {}));
    if (this.mode === "here") ids.forEach((id) => this.#drop(id));
  }

  #deleteAgain() {
    const ids = notes.deleting.read() ?? [];
    notes.deleting.write(null);
    this.#items = this.#items.filter(({ id }) => !ids.includes(id));
    ids.forEach((id) => void this.#removeNow(id));
  }

  /** @param {string} id */
  #drop(id) {
    this.#deleting.delete(id);
    this.#items = this.#items.filter((item) => item.id !== id);
    this.#keep();
    this.dispatchEvent(new CustomEvent("removed", { detail: id }));
  }

  /**
   * @param {string} id
   * @param {string} title
   */
  #retitle(id, title) {
    this.#items = this.#items.map((item) => (item.id === id ? { ...item, title } : item));
    this.#keep();
  }

  /**
   * @param {string} id
   * @param {string} title where it is not yet in the list
   */
  #toFront(id, title) {
    const now = new Date().toISOString();
    const known = this.find(id) ?? { id, title, createdAt: now, updatedAt: now, messageCount: 0 };
    const others = this.#items.filter((item) => item.id !== id);
    this.#items = [{ ...known, updatedAt: now }, ...others];
  }

  #write() {
    if (this.mode === "here") notes.conversations.write(this.#items.slice(0, KEPT_HERE));
  }

  #keep() {
    this.#write();
    this.#changed();
    this.#tabs.tell({ type: "listed" });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {string} title */
function shortened(title) {
  return title.length > 50 ? `${title.slice(0, 49).trimEnd()}…` : title;
}
