/** Small helpers for making elements; text is only ever text. */

/**
 * An element with properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Partial<HTMLElementTagNameMap[K]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/**
 * A button that acts when it is pressed.
 * @param {string} label
 * @param {() => void} act
 * @param {string} [className]
 */
export function button(label, act, className = "") {
  const made = element("button", { type: "button", className }, label);
  made.addEventListener("click", act);
  return made;
}

/**
 * A part of the panel under a heading, which names it.
 * @param {string} title
 * @param {...Node} children
 */
export function part(title, ...children) {
  const id = `drawer-${title.toLowerCase().replaceAll(" ", "-")}`;
  const made = element("section", { className: "drawer-part" });
  made.setAttribute("aria-labelledby", id);
  made.append(element("h3", { id }, title), ...children);
  return made;
}

/**
 * A table with a caption; a row's first cell is its heading.
 * @param {string} caption
 * @param {string[]} headings
 * @param {(Node | string)[][]} rows
 */
export function table(caption, headings, rows) {
  const made = element("table", {}, element("caption", {}, caption));
  const head = element("tr");
  head.append(...headings.map((text) => element("th", { scope: "col" }, text)));
  const body = element("tbody");
  for (const [first = "", ...rest] of rows) {
    const row = element("tr", {}, element("th", { scope: "row" }, first));
    row.append(...rest.map((cell) => element("td", {}, cell)));
    body.append(row);
  }
  made.append(element("thead", {}, head), body);
  return made;
}

/** @param {number} count */
export function number(count) {
  return count.toLocaleString("en");
}

/**
 * A number with its noun.
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}
