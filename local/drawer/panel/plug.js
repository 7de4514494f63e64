/** "Pull the plug": what can be broken now, and what can be armed for the next question. */

import { api } from "./api.js";
import { button, counted, element, part } from "./dom.js";

/** @typedef {import("./api.js").Armed} Armed */
/** @typedef {import("./api.js").State} State */
/** @typedef {import("./api.js").Worker} Worker */

export class PlugView {
  /**
   * `act` does something, says what came of it, and has the state read again.
   * @param {(work: () => Promise<string>) => void} act
   */
  constructor(act) {
    this.#act = act;
    this.#now.append(this.#cut, this.#release, this.#workers);
    this.#disarm.hidden = true;
    this.#armed.append(this.#armedText, this.#disarm);
    this.root.append(
      element("h4", {}, "Now"),
      this.#now,
      element("h4", {}, "For the next answer"),
      this.#armed,
      this.#faults,
    );
  }

  root = part("Pull the plug");
  #act;
  #now = element("div", { className: "drawer-buttons" });
  #workers = element("div", { className: "drawer-workers" });
  #cut = button("Cut the connection", () => this.#act(cut));
  #release = button("Let a held answer go on", () => this.#act(release));
  #armed = element("div", { className: "drawer-armed", tabIndex: -1 });
  #armedText = element("span", {}, "Nothing is armed.");
  #disarm = button("Disarm", () => this.#act(() => this.#disarmed()));
  #faults = element("div", { className: "drawer-faults" });
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();

  /** @param {State} state */
  show(state) {
    const own = state.model === "own";
    this.#release.hidden = own;
    this.#armed.hidden = own;
    this.#showWorkers(state);
    if (own) {
      const text = "A model of your own is asked. Faults are the simulator's, so there are none.";
      this.#faults.replaceChildren(element("p", { className: "drawer-soft" }, text));
      return;
    }
    if (!this.#buttons.size) this.#makeFaults(state);
    this.#showArmed(state.armed);
  }

  /** @param {State} state */
  #makeFaults({ faults }) {
    for (const group of new Set(faults.map((fault) => fault.group))) {
      const list = element("ul");
      for (const { name, title, about } of faults.filter((fault) => fault.group === group)) {
        const id = `drawer-about-${name}`;
        const made = button(title, () => this.#act(() => this.#toggle(name)));
        made.setAttribute("aria-describedby", id);
        this.#buttons.set(name, made);
        list.append(element("li", {}, made, element("p", { id }, about)));
      }
      this.#faults.append(element("details", {}, element("summary", {}, group), list));
    }
  }

  /** @param {Armed[]} armed */
  #showArmed(armed) {
    const names = new Set(armed.map((one) => one.name));
    for (const [name, made] of this.#buttons) {
      made.setAttribute("aria-pressed", String(names.has(name)));
    }
    const titles = armed.map((one) => one.title).join(", ");
    this.#armedText.textContent = titles ? `Armed: ${titles}` : "Nothing is armed.";
    this.#armed.classList.toggle("drawer-on", armed.length > 0);
    // A button that goes takes the focus along.
    if (!armed.length && this.#disarm === document.activeElement) this.#armed.focus();
    this.#disarm.hidden = armed.length === 0;
  }

  /** @param {string} name */
  async #toggle(name) {
    const pressed = this.#buttons.get(name)?.getAttribute("aria-pressed") === "true";
    if (pressed) return this.#disarmed();
    const { armed } = await api.arm(name);
    this.#showArmed(armed);
    return "Armed: ask a question.";
  }

  async #disarmed() {
    const { armed } = await api.disarm();
    this.#showArmed(armed);
    return "Disarmed.";
  }

  /** @param {State} state */
  #showWorkers({ host, workers }) {
    if (host === "func") {
      const text = "Core Tools runs the app, and its workers cannot be killed from here.";
      this.#workers.replaceChildren(element("p", { className: "drawer-soft" }, text));
      return;
    }
    // Made once, so that the focus stays where it is.
    while (this.#workers.children.length < workers.length) {
      this.#workers.append(this.#workerRow(this.#workers.children.length));
    }
    workers.forEach((worker, index) => {
      const row = this.#workers.children[index];
      if (!row) return;
      const note = row.querySelector("span");
      const process = worker.ready ? `process ${worker.pid}` : "starting …";
      if (note) note.textContent = `Worker ${index}, ${process}`;
      for (const made of row.querySelectorAll("button")) {
        made.setAttribute("aria-disabled", String(!worker.ready));
      }
    });
  }

  /** @param {number} index */
  #workerRow(index) {
    /** @param {string} label @param {"kill" | "terminate"} way @param {string} done */
    const end = (label, way, done) => {
      const made = button(label, () => {
        if (made.getAttribute("aria-disabled") === "true") return;
        this.#act(async () => {
          await api.end(index, way);
          return `Worker ${index} was ${done}; a new one starts.`;
        });
      });
      made.setAttribute("aria-label", `${label} worker ${index}`);
      return made;
    };
    const kill = end("Kill", "kill", "killed");
    const stop = end("Stop", "terminate", "stopped");
    stop.title = "By SIGTERM, and killed after 5 s";
    return element("div", { className: "drawer-worker" }, element("span"), kill, stop);
  }
}

async function cut() {
  const { cut: count } = await api.cut();
  return count ? `Cut ${counted(count, "stream")}.` : "No answer is under way: nothing to cut.";
}

async function release() {
  const { released } = await api.release();
  return released ? `${counted(released, "answer")} let go on.` : "No answer is held.";
}
