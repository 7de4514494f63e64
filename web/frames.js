/** Code and tables in a frame: they scroll by themselves, and can be copied. */

import { colour, languageOf } from "./colours.js";
import { element } from "./dom.js";

/**
 * Puts a block of code into a frame that names its language.
 * @param {HTMLPreElement} block
 */
export function codeFrame(block) {
  const code = block.querySelector("code");
  const language = code ? languageOf(code) : "";
  reachable(block, language ? `Code, ${language}` : "Code");
  if (code) colour(code);
  frame(block, "code", language || "code", block);
}

/**
 * Puts a table into a frame.
 * @param {HTMLTableElement} table
 */
export function tableFrame(table) {
  const scroll = element("div", { className: "scroll" });
  reachable(scroll, "Table");
  frame(table, "table", "table", scroll);
  scroll.append(table);
}

/**
 * What a frame holds, as text: code as it is, a table with tabs between its cells.
 * @param {Element} framed
 */
export function framedText(framed) {
  const table = framed.querySelector("table");
  if (!table) return framed.querySelector("pre")?.textContent ?? "";
  return [...table.rows]
    .map((row) => [...row.cells].map((cell) => (cell.textContent ?? "").trim()).join("\t"))
    .join("\n");
}

/**
 * @param {HTMLElement} block
 * @param {string} kind
 * @param {string} name
 * @param {HTMLElement} content
 */
function frame(block, kind, name, content) {
  // Pressed, it is heard by the page (copying.js): a listener would not survive the next word.
  const copy = element("button", { type: "button", className: "bare copy" }, "Copy");
  copy.setAttribute("aria-label", kind === "table" ? "Copy table" : "Copy code");
  const bar = element("div", { className: "bar" }, element("span", {}, name), copy);
  const framed = element("div", { className: `frame ${kind}` }, bar);
  block.replaceWith(framed);
  framed.append(content);
}

/**
 * What scrolls can be reached, and scrolled, by keyboard.
 * @param {HTMLElement} scrolled
 * @param {string} label
 */
function reachable(scrolled, label) {
  scrolled.tabIndex = 0;
  scrolled.setAttribute("role", "group");
  scrolled.setAttribute("aria-label", label);
}
