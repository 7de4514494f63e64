/** The list of conversations at the side. */

import { signInLink } from "./account.js";
import { button, byId, element, iconButton } from "./dom.js";
import { notes } from "./notes.js";
import { addressOf } from "./page.js";
import { ageWords } from "./words.js";

/** @typedef {import("./client/client.js").Conversation} Conversation */
/** @typedef {import("./library.js").Library} Library */

const WIDE = matchMedia("(width >= 56rem)");
const MAX_TITLE = 200;

export class Sidebar {
  #root = byId("sidebar", HTMLElement);
  #list = byId("conversations", HTMLElement);
  #opener = byId("open-sidebar", HTMLButtonElement);
  #veil = byId("veil", HTMLElement);
  #library;
  #onRemove;
  #current = "";
  /** The conversation whose title is being changed. */
  #renaming = "";

  /** @param {{library: Library, onRemove: (id: string) => void}} options */
  constructor({ library, onRemove }) {
    this.#library = library;
    this.#onRemove = onRemove;
    library.addEventListener("change", () => this.#render());
    this.#opener.addEventListener("click", () => this.#toggle());
    byId("close-sidebar", HTMLButtonElement).addEventListener("click", () => this.#toggle());
    this.#veil.addEventListener("click", () => this.close());
    this.#root.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.closest("a")) this.close();
    });
    WIDE.addEventListener("change", () => this.#settle());
    document.body.classList.toggle("list-away", notes.listAway.read() === true);
    this.#settle();
    this.#render();
  }

  /** Says which conversation is shown; empty for none. @param {string} id */
  set current(id) {
    if (id === this.#current) return;
    this.#current = id;
    this.#render();
  }

  /** Closes it where it lies over the page. */
  close() {
    if (!document.body.classList.contains("list-open")) return;
    document.body.classList.remove("list-open");
    this.#settle();
    this.#opener.focus();
  }

  /**
   * Gives a conversation's line the focus, where the list is there.
   * @param {string} id
   */
  focus(id) {
    this.#row(id)?.querySelector("a")?.focus();
  }

  #toggle() {
    const { classList } = document.body;
    if (WIDE.matches) {
      const away = classList.toggle("list-away");
      notes.listAway.write(away || null);
      this.#settle();
      if (away) this.#opener.focus();
      else byId("close-sidebar", HTMLButtonElement).focus();
    } else if (classList.contains("list-open")) {
      this.close();
    } else {
      classList.add("list-open");
      this.#settle();
      byId("close-sidebar", HTMLButtonElement).focus();
    }
  }

  /** What lies under an open list cannot be reached, and a list that is away neither. */
  #settle() {
    const { classList } = document.body;
    if (WIDE.matches) classList.remove("list-open");
    const over = classList.contains("list-open");
    const shown = over || (WIDE.matches && !classList.contains("list-away"));
    this.#root.inert = !shown;
    byId("page", HTMLElement).inert = over;
    this.#veil.hidden = !over;
    this.#opener.hidden = WIDE.matches && shown;
    byId("name", HTMLElement).hidden = shown;
    this.#opener.setAttribute("aria-expanded", String(shown));
  }

  #render() {
    if (this.#renaming && this.#library.find(this.#renaming)) return;
    this.#renaming = "";
    const focused = this.#focused();
    const { mode, items } = this.#library;
    /** @type {HTMLElement[]} */
    let views = [];
    if (mode === "loading") views = [bones()];
    else if (mode === "failed") views = this.#failed();
    else if (mode === "closed") views = [word("Sign in to see your conversations."), signInLink()];
    else views = this.#groups(items);
    if (mode === "here") {
      views.push(word("Kept in this browser only, as this chat has no sign-in."));
    }
    if (this.#library.cursor) {
      views.push(button("Show older ones", () => void this.#more(), "bare more"));
    }
    this.#list.replaceChildren(...views);
    if (focused) this.#focus(focused);
  }

  /** @param {Conversation[]} items */
  #groups(items) {
    if (!items.length) return [word("Your conversations will be here.")];
    const now = new Date();
    /** @type {HTMLElement[]} */
    const views = [];
    let age = "";
    let list = element("ul");
    for (const item of items) {
      const itsAge = ageWords(item.updatedAt, now);
      if (itsAge !== age) {
        age = itsAge;
        list = element("ul");
        views.push(element("h2", {}, age), list);
      }
      list.append(this.#item(item));
    }
    return views;
  }

  /** @param {Conversation} conversation */
  #item({ id, title }) {
    const link = element("a", { href: addressOf(id), title }, title || "Untitled");
    if (id === this.#current) link.setAttribute("aria-current", "page");
    const item = element("li", {}, link);
    item.dataset.id = id;
    if (this.#library.isLive(id)) {
      const live = element("span", { className: "live" });
      live.setAttribute("role", "img");
      live.setAttribute("aria-label", "An answer is being written");
      item.append(live);
    }
    const acts = element("div", { className: "acts" });
    acts.append(
      iconButton("pencil", "Rename", () => this.#rename(id)),
      iconButton("bin", "Delete", () => this.#remove(id)),
    );
    item.append(acts);
    return item;
  }

  /** @param {string} id */
  #rename(id) {
    const item = this.#row(id);
    const conversation = this.#library.find(id);
    if (!item || !conversation) return;
    this.#renaming = id;
    const box = element("input", { value: conversation.title, maxLength: MAX_TITLE });
    box.setAttribute("aria-label", "The conversation's title");
    const done = (/** @type {boolean} */ keep) => {
      if (this.#renaming !== id) return;
      this.#renaming = "";
      const title = box.value.trim();
      const focused = document.activeElement === box;
      if (keep && title && title !== conversation.title) void this.#library.rename(id, title);
      this.#render();
      if (focused) this.#row(id)?.querySelector("a")?.focus();
    };
    box.addEventListener("keydown", (event) => {
      if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
      event.preventDefault();
      event.stopPropagation();
      done(event.key === "Enter");
    });
    box.addEventListener("blur", () => done(true));
    item.replaceChildren(box);
    box.focus();
    box.select();
  }

  /** @param {string} id */
  #remove(id) {
    const item = this.#row(id);
    const rows = [...this.#list.querySelectorAll("li")];
    const at = rows.findIndex((row) => row === item);
    const next = rows[at + 1] ?? rows[at - 1];
    const nextId = next?.dataset.id;
    this.#onRemove(id);
    const link = nextId && this.#row(nextId)?.querySelector("a");
    if (link) link.focus();
    else byId("new", HTMLButtonElement).focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape" && document.body.classList.contains("list-open")) {
      event.stopPropagation();
      this.close();
      return;
    }
    const link = event.target instanceof HTMLAnchorElement ? event.target : null;
    const id = link?.closest("li")?.dataset.id;
    if (!link || !id) return;
    if (event.key === "F2") this.#rename(id);
    else if (event.key === "Delete") this.#remove(id);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const links = [...this.#list.querySelectorAll("a")];
      links[links.indexOf(link) + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
    } else return;
    event.preventDefault();
  }

  async #more() {
    const shown = this.#library.items.length;
    try {
      await this.#library.more();
      // The button that had the focus is gone.
      if (document.activeElement === document.body) this.focus(this.#library.items[shown]?.id ?? "");
    } catch {
      const more = this.#list.querySelector(".more");
      if (more) more.textContent = "They could not be loaded. Try again";
    }
  }

  #failed() {
    const again = button("Try again", () => void this.#library.load());
    return [word("The conversations could not be loaded."), again];
  }

  /** @param {string} id */
  #row(id) {
    return this.#list.querySelector(`li[data-id="${CSS.escape(id)}"]`)
      ?? /** @type {null} */ (null);
  }

  /** What has the focus in the list: a row, and which control of it. */
  #focused() {
    const active = document.activeElement;
    const row = active && this.#list.contains(active) && active.closest("li");
    if (!row || !row.dataset.id) return null;
    return { id: row.dataset.id, at: [...row.querySelectorAll("a, button")].indexOf(active) };
  }

  /** @param {{id: string, at: number}} focused */
  #focus({ id, at }) {
    const control = this.#row(id)?.querySelectorAll("a, button")[at];
    if (control instanceof HTMLElement) control.focus({ preventScroll: true });
  }
}

/** @param {string} text */
function word(text) {
  return element("p", { className: "word" }, text);
}

function bones() {
  const made = element("div", { className: "bones" }, element("span"), element("span"), element("span"));
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", "Loading the conversations");
  return made;
}
