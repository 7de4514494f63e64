/** What stands beside an answer's text: sources, tool calls, and the wait before the first word. */

import { element } from "./dom.js";
import { isSafeLink, secure } from "./links.js";

/** @typedef {import("./client/client.js").Citation} Citation */
/** @typedef {import("./client/client.js").Retrieval} Retrieval */
/** @typedef {import("./client/client.js").ToolCall} ToolCall */
/**
 * What a call gave; without the name where that is on no page that was loaded.
 * @typedef {{name?: string, content: string}} Result
 */

const MARK = /\[(\d{1,3})\]/g;
const POINTED_MS = 1600;

/**
 * The documents that an answer was grounded in, numbered as the model was told, and what there is
 * to say of the search.
 * @param {Citation[]} documents
 * @param {Retrieval} [retrieval]
 */
export function sourcesView(documents, retrieval = {}) {
  const list = element("ol", {}, ...documents.map((document, n) => source(document, n + 1)));
  const found = documents.length ? [element("h3", {}, "Sources"), list] : [];
  const notes = searchWords(retrieval).map((words) => element("p", { className: "search" }, words));
  return [...found, ...notes];
}

/** @param {Retrieval} retrieval */
function searchWords({ query, leftOut = [], error }) {
  const names = leftOut.map(({ title, id, url }) => title || id || url || "a document");
  const words = [];
  if (error) words.push(`Answered without documents: ${error.message}`);
  if (query) words.push(`Looked for: ${query}`);
  if (names.length) words.push(`Found, but no room for: ${names.join(", ")}`);
  return words;
}

/**
 * @param {Citation} document
 * @param {number} number
 */
function source({ title, url, id }, number) {
  const safe = isSafeLink(url);
  const name = title || id || (safe ? url : `Document ${number}`);
  const label = element("span", {}, safe ? element("a", { href: url }, name) : name);
  label.querySelectorAll("a").forEach(secure);
  const site = safe && name !== url ? new URL(url).hostname : "";
  if (site) label.append(" ", element("span", { className: "site" }, site));
  return element("li", { tabIndex: -1 }, element("span", { className: "number" }, String(number)), label);
}

/**
 * Makes `[n]` in an answer lead to its source.
 * @param {DocumentFragment} block
 * @param {HTMLElement} sources
 */
export function linkCitations(block, sources) {
  const items = sources.querySelectorAll("li");
  if (!items.length) return;
  const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
  /** @type {Text[]} */
  const texts = [];
  while (walker.nextNode()) {
    const text = /** @type {Text} */ (walker.currentNode);
    if (!text.parentElement?.closest("code, a, button")) texts.push(text);
  }
  for (const text of texts) {
    const parts = text.data.split(MARK);
    if (parts.length === 1) continue;
    text.replaceWith(
      ...parts.map((part, at) => {
        if (at % 2 === 0) return part;
        return items[Number(part) - 1] ? mark(part) : `[${part}]`;
      }),
    );
  }
}

/** @param {string} number */
function mark(number) {
  const made = element("button", { type: "button", className: "cite" }, number);
  made.setAttribute("aria-label", `Source ${number}`);
  return made;
}

/**
 * Hears the marks of all answers below `root`.
 * @param {HTMLElement} root
 */
export function hearCitations(root) {
  root.addEventListener("click", (event) => {
    const pressed = event.target instanceof Element && event.target.closest("button.cite");
    const items = pressed && pressed.closest(".answer")?.querySelectorAll(".sources li");
    const item = items && items[Number(pressed.textContent) - 1];
    if (!(item instanceof HTMLElement)) return;
    item.scrollIntoView({ block: "nearest" });
    (item.querySelector("a") ?? item).focus({ preventScroll: true });
    item.classList.add("pointed");
    setTimeout(() => item.classList.remove("pointed"), POINTED_MS);
  });
}

/**
 * A tool that the model asked for, with its arguments folded away.
 * @param {ToolCall} call
 */
export function callView({ name, arguments: given }) {
  const summary = element("summary", {}, "Asked for the tool ", element("code", {}, name));
  return folded(summary, given, `Arguments of ${name}`);
}

/**
 * What a call gave, folded away.
 * @param {Result} result
 */
export function resultView({ name, content }) {
  const of = name === undefined ? ["a tool"] : ["the tool ", element("code", {}, name)];
  return folded(element("summary", {}, "Result of ", ...of), content, `Result of ${name ?? "a tool"}`);
}

/**
 * @param {HTMLElement} summary
 * @param {string} text
 * @param {string} label
 */
function folded(summary, text, label) {
  const shown = element("pre", { tabIndex: 0 }, element("code", {}, pretty(text)));
  shown.setAttribute("role", "group");
  shown.setAttribute("aria-label", label);
  return element("details", {}, summary, shown);
}

/** @param {string} json */
function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

/** What stands where the first word will be. */
export function waitingView() {
  const dots = element("div", { className: "waiting" });
  dots.setAttribute("role", "img");
  dots.setAttribute("aria-label", "Waiting for the answer");
  dots.append(element("span"), element("span"), element("span"));
  return dots;
}
