/** Small helpers for making elements. */

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
 * Makes the children of `target` those of `wanted`, and leaves those alone that stay as they are:
 * a selection, or a code block that was scrolled, survives the next word.
 * @param {Element} target
 * @param {DocumentFragment} wanted
 */
export function morph(target, wanted) {
  const nodes = [...wanted.childNodes];
  let same = 0;
  while (same < nodes.length && target.childNodes[same]?.isEqualNode(nodes[same])) same += 1;
  while (target.childNodes.length > same) target.lastChild?.remove();
  target.append(...nodes.slice(same));
}
