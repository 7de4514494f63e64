/** Small helpers for making elements. */

const SVG = "http://www.w3.org/2000/svg";

/** What each icon is drawn by, on a grid of 20 by 20. */
const ICONS = {
  again: "M15.5 8.5A6 6 0 1 0 16 11.5M16 4.5v4h-4",
  bin: "M4 5.5h12M8 5.5V4h4v1.5M5.5 5.5l.7 10.5h7.6l.7-10.5M8.5 8.5v5M11.5 8.5v5",
  copy: "M7.5 7.5h8.5v8.5H7.5zM12.5 7.5V4H4v8.5h3.5",
  done: "m4.5 10.5 3.5 3.5 7.5-8",
  info: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14M10 9.5V13M10 6.8v.1",
  pencil: "M4 16l.8-3.4L13 4.4l2.6 2.6-8.2 8.2zM11.5 6l2.5 2.5",
};

/**
 * An element with properties and children; strings become text, never markup.
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
export function button(label, act, className = "quiet") {
  const made = element("button", { type: "button", className }, label);
  made.addEventListener("click", act);
  return made;
}

/**
 * A button that shows only a picture; its label is what a screen reader and a tooltip say.
 * @param {keyof typeof ICONS} name
 * @param {string} label
 * @param {() => void} act
 * @param {string} [className]
 */
export function iconButton(name, label, act, className = "") {
  const made = element("button", { type: "button", className: `icon ${className}`.trim() });
  made.title = label;
  made.setAttribute("aria-label", label);
  made.append(icon(name));
  made.addEventListener("click", act);
  return made;
}

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 20 20");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}

/**
 * The page's element of that id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} #${id}.`);
  return found;
}

/**
 * Makes the children of `target` the `wanted` ones, and leaves those alone that stay as they are:
 * a selection, or a code block that was scrolled, survives the next word.
 * @param {Node} target
 * @param {Node[]} wanted
 * @param {number} [from] so many children at the beginning are not looked at
 */
export function morph(target, wanted, from = 0) {
  wanted.forEach((node, at) => {
    const there = target.childNodes[from + at];
    if (!there) target.appendChild(node);
    else if (!there.isEqualNode(node)) alter(there, node);
  });
  while (target.childNodes.length > from + wanted.length) target.lastChild?.remove();
}

/**
 * @param {ChildNode} there
 * @param {Node} wanted
 */
function alter(there, wanted) {
  if (there instanceof Text && wanted instanceof Text) {
    // Only what was added is touched, so that a selection before it stays.
    if (wanted.data.startsWith(there.data)) there.appendData(wanted.data.slice(there.length));
    else there.data = wanted.data;
  } else if (alike(there, wanted)) {
    morph(there, [...wanted.childNodes]);
  } else {
    there.replaceWith(wanted);
  }
}

/**
 * Whether one element can become the other by its children alone.
 * @param {Node} one
 * @param {Node} other
 */
function alike(one, other) {
  return one instanceof Element && other instanceof Element
    && one.cloneNode(false).isEqualNode(other.cloneNode(false));
}
