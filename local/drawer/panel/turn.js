/** "The last turn": how long it took, what it was made of, what it asked of the store. */

import { counted, element, number, part, table } from "./dom.js";

/** @typedef {import("./api.js").Last} Last */
/** @typedef {import("./api.js").ModelSide} ModelSide */
/** @typedef {import("./api.js").StoreSide} StoreSide */
/** @typedef {import("./api.js").TokenPart} TokenPart */
/** @typedef {import("./measure.js").Measure} Measure */

/** @type {Record<string, string>} */
const NAMES = {
  system: "System prompt",
  history: "History",
  context: "Context and template",
  question: "Question",
  framing: "Framing of messages",
  reasoning: "Thoughts",
  answer: "Answer",
};
const WRITTEN = new Set(["reasoning", "answer"]);
const OWN_STORE = "A store of your own is used: its requests are not seen.";
/** What is left out where there is none of it. */
const OPTIONAL = new Set(["context", "reasoning"]);

export class TurnView {
  constructor() {
    this.root.append(this.#body);
  }

  root = part("The last turn");
  #body = element("div");

  /**
   * @param {Last} last
   * @param {Measure | null} measure what this page saw of it, if it did
   */
  show({ turn, model, store }, measure) {
    if (!turn) {
      this.#body.replaceChildren(soft("Ask a question: what it took is shown here."));
      return;
    }
    const seen = measure && measure.turnId === turn.turnId ? measure : null;
    this.#body.replaceChildren(
      facts([
        ["First event after", time(seen?.toFirstEvent)],
        ["First text after", time(seen?.toFirstText)],
        ["In all", time(seen?.total)],
        ["Tokens a second", seen?.rate ? seen.rate.toFixed(seen.rate < 10 ? 1 : 0) : "–"],
        ["Outcome", outcome(turn, seen)],
        ["Usage", usage(seen)],
        ["Model asked", model ? asked(model) : "your own model: not seen"],
        ["Connections", connections(turn)],
      ]),
      ...(model?.tokens ? tokens(model.tokens) : []),
      ...(store ? requests(store) : [soft(OWN_STORE)]),
    );
  }
}

/** @param {string} text */
function soft(text) {
  return element("p", { className: "drawer-soft" }, text);
}

/** @param {[string, string][]} pairs */
function facts(pairs) {
  const list = element("dl", { className: "drawer-facts" });
  for (const [name, value] of pairs) {
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  }
  return list;
}

/** @param {number | null | undefined} ms */
function time(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/**
 * @param {import("./api.js").LastTurn} turn
 * @param {Measure | null} seen
 */
function outcome({ status, ended }, seen) {
  if (status !== null && status >= 400) return `refused, ${status}`;
  if (seen?.finishReason) return seen.finishReason;
  return ended === null ? "running" : "ended";
}

/** @param {Measure | null} seen */
function usage(seen) {
  if (!seen?.usage) return "–";
  const { promptTokens, completionTokens, estimated } = seen.usage;
  const about = estimated ? "about " : "";
  return `${about}${number(promptTokens)} read, ${number(completionTokens)} written`;
}

/** @param {ModelSide} model */
function asked({ asked: times, outcomes = [], state }) {
  if (!times) return "not asked";
  const said = outcomes.map((one) => one ?? state ?? "running").join(", then ");
  return `${times === 1 ? "once" : `${times} times`}: ${said}`;
}

/** @param {import("./api.js").LastTurn} turn */
function connections({ connections: count, cut }) {
  return cut ? `${number(count)}, ${number(cut)} of them cut` : number(count);
}

/** @param {TokenPart[]} parts */
function tokens(parts) {
  const shown = parts.filter((one) => one.tokens || !OPTIONAL.has(one.name));
  const most = Math.max(1, ...shown.map((one) => one.tokens));
  const rows = shown.map((one) => [label(one), number(one.tokens), bar(one, most)]);
  const prompt = parts.filter((one) => !WRITTEN.has(one.name));
  const sum = prompt.reduce((total, one) => total + one.tokens, 0);
  const made = table("Tokens by part", ["Part", "Tokens", "Share"], rows);
  made.className = "drawer-tokens";
  return [
    made,
    soft(`The prompt has ${number(sum)} in all. Counted by the simulator; others count otherwise.`),
  ];
}

/** @param {TokenPart} one */
function label({ name, messages }) {
  const text = NAMES[name] ?? name;
  return name === "history" ? `${text}, ${counted(messages ?? 0, "message")}` : text;
}

/**
 * @param {TokenPart} one
 * @param {number} most
 */
function bar({ name, tokens: count }, most) {
  const className = WRITTEN.has(name) ? "drawer-bar written" : "drawer-bar";
  const made = element("span", { className });
  made.style.setProperty("--share", `${(100 * count) / most}%`);
  return made;
}

/** @param {StoreSide} store */
function requests({ reads, writes, requests: all }) {
  const ms = all.reduce((total, one) => total + one.ms, 0);
  const sum = `${counted(reads, "read")}, ${counted(writes, "write")}`;
  if (!all.length) return [soft("No request of the store.")];
  const rows = all.map((one) => {
    const what = element("span", { title: `${one.method} ${one.path}` }, one.what);
    return [what, one.method, one.status ? String(one.status) : "no answer", one.ms.toFixed(1)];
  });
  const caption = `Store requests: ${sum}, ${ms.toFixed(0)} ms`;
  const made = table(caption, ["Request", "Method", "Status", "ms"], rows);
  made.className = "drawer-requests";
  return [made];
}
