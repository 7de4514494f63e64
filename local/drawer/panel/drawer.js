/**
 * The local drawer: breaks things on purpose, and shows what the last turn sent and cost.
 *
 * The page loads it where it is served by `make run`, and only there.
 */

import { api } from "./api.js";
import { button, element } from "./dom.js";
import { Measure } from "./measure.js";
import { MessagesView } from "./messages.js";
import { PlugView } from "./plug.js";
import { TurnView } from "./turn.js";

/** @typedef {import("./measure.js").Detail} Detail */

const STYLES = "/api/local/drawer.css";
const NOTE = "local-drawer";
/** How often things are looked at while something is going on. */
const LOOK_MS = 1000;
/** And while a fault waits for a question, which may come from elsewhere. */
const LOOK_ARMED_MS = 4000;

/**
 * Fills the empty element `host` with the drawer.
 * @param {{host: HTMLElement, client?: unknown}} page `client` is the page's, for later use
 */
export async function mount({ host }) {
  await styled();
  new Drawer(host).begin();
}

class Drawer {
  /** @param {HTMLElement} host */
  constructor(host) {
    this.#panel.setAttribute("aria-label", "Local drawer");
    this.#tab.setAttribute("aria-controls", this.#panel.id);
    this.#said.setAttribute("role", "status");
    const close = button("×", () => this.#close(), "drawer-close");
    close.setAttribute("aria-label", "Close the drawer");
    this.#panel.append(
      element("div", { className: "drawer-head" }, element("h2", {}, "Local drawer"), close),
      this.#said,
      this.#plug.root,
      this.#turn.root,
      this.#messages.root,
    );
    host.classList.add("drawer");
    host.append(this.#tab, this.#panel);
    host.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented || this.#panel.hidden) return;
      // The page has a use of its own for the key.
      event.preventDefault();
      this.#close();
    });
  }

  #tab = button("Local", () => (this.#panel.hidden ? this.#open() : this.#close()), "drawer-tab");
  #panel = element("section", { id: "drawer-panel", className: "drawer-panel", tabIndex: -1 });
  #said = element("p", { className: "drawer-said" });
  #act = (/** @type {() => Promise<string>} */ work) => void this.#do(work);
  #plug = new PlugView(this.#act);
  #turn = new TurnView();
  #messages = new MessagesView(this.#act);
  /** @type {Measure | null} */
  #measure = null;
  #looking = false;
  #lookAgain = false;
  #timer = 0;

  begin() {
    document.addEventListener("chat:asked", (event) => this.#asked(detailOf(event)));
    document.addEventListener("chat:event", (event) => this.#saw(detailOf(event)));
    document.addEventListener("chat:settled", (event) => this.#settled(detailOf(event)));
    document.addEventListener("visibilitychange", () => this.#look());
    this.#show(localStorage.getItem(NOTE) === "open");
  }

  /** @param {boolean} open */
  #show(open) {
    this.#panel.hidden = !open;
    this.#tab.setAttribute("aria-expanded", String(open));
    this.#look();
  }

  #open() {
    localStorage.setItem(NOTE, "open");
    this.#show(true);
    this.#panel.focus();
  }

  #close() {
    localStorage.setItem(NOTE, "closed");
    this.#show(false);
    this.#tab.focus();
  }

  /** @param {Detail} detail */
  #asked(detail) {
    this.#measure = new Measure(detail);
    this.#say("");
    this.#look();
  }

  /** @param {Detail} detail */
  #saw(detail) {
    if (this.#measure?.turnId !== detail.turnId) this.#measure = new Measure(detail);
    this.#measure.saw(detail);
  }

  /** @param {Detail} detail */
  #settled(detail) {
    if (this.#measure?.turnId === detail.turnId) this.#measure.running = false;
    this.#look();
  }

  /**
   * Does what a button is for, and says what came of it.
   * @param {() => Promise<string>} work
   */
  async #do(work) {
    try {
      this.#say(await work());
    } catch (error) {
      this.#say(error instanceof Error ? error.message : String(error), true);
    }
    this.#look();
  }

  /**
   * @param {string} text
   * @param {boolean} [wrong]
   */
  #say(text, wrong = false) {
    this.#said.textContent = text;
    this.#said.classList.toggle("drawer-wrong", wrong);
  }

  /** Reads everything anew, and goes on doing so while something is going on. */
  #look() {
    clearTimeout(this.#timer);
    if (this.#panel.hidden || document.visibilityState === "hidden") return;
    if (this.#looking) this.#lookAgain = true;
    else void this.#read();
  }

  async #read() {
    this.#looking = true;
    let pause = 0;
    try {
      const [state, last] = await Promise.all([api.state(), api.last()]);
      this.#plug.show(state);
      this.#turn.show(last, this.#measure);
      this.#messages.show(last);
      const starting = state.workers.some((worker) => !worker.ready);
      if (starting || this.#measure?.running) pause = LOOK_MS;
      else if (state.armed.length) pause = LOOK_ARMED_MS;
    } catch (error) {
      this.#say(error instanceof Error ? error.message : String(error), true);
    }
    this.#looking = false;
    const again = this.#lookAgain;
    this.#lookAgain = false;
    if (again) this.#look();
    else if (pause) this.#timer = setTimeout(() => this.#look(), pause);
  }
}

/** Adds the stylesheet, and waits until it counts: nothing is shown bare. */
async function styled() {
  const link = element("link", { rel: "stylesheet", href: STYLES });
  const there = new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
  });
  document.head.append(link);
  await there;
}

/** @param {Event} event @returns {Detail} */
function detailOf(event) {
  return /** @type {CustomEvent<Detail>} */ (event).detail;
}
