/**
 * A model's Markdown as DOM that cannot harm.
 *
 * Three walls: raw HTML is shown as text, what marked makes of the rest is sanitised to a short
 * list of elements, and the page's Content-Security-Policy runs nothing that would slip through.
 */

import DOMPurify from "./vendor/dompurify.js";
import { Marked } from "./vendor/marked.js";

const SAFE_LINK = /^(?:https?:\/\/|mailto:)/i;
const SANITISE = {
  ALLOWED_TAGS: [
    ..."p br hr strong em del code pre blockquote ul ol li a".split(" "),
    ..."h1 h2 h3 h4 h5 h6 table thead tbody tr th td".split(" "),
  ],
  ALLOWED_ATTR: ["href", "title", "align", "start", "class"],
  ALLOWED_URI_REGEXP: SAFE_LINK,
  // Else these would have to be links.
  ADD_URI_SAFE_ATTR: ["align", "start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

const marked = new Marked({
  gfm: true,
  renderer: {
    // A line break is all the HTML that models write and mean.
    html: ({ text, block }) => {
      if (/^<br\s*\/?>\s*$/i.test(text)) return "<br>";
      return block ? `<p>${escape(text)}</p>` : escape(text);
    },
    // Nothing is loaded from elsewhere because a model says so: an image is a link to it.
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/**
 * @param {string} markdown
 * @returns {DocumentFragment}
 */
export function renderMarkdown(markdown) {
  let html;
  try {
    html = marked.parse(markdown, { async: false });
  } catch {
    // Nested so deep that the parser gives up.
    return asText(markdown);
  }
  const fragment = DOMPurify.sanitize(html, SANITISE);
  fragment.querySelectorAll("a").forEach(secure);
  fragment.querySelectorAll("pre").forEach(label);
  fragment.querySelectorAll("table").forEach(wrap);
  return fragment;
}

/**
 * Whether a link leads somewhere harmless.
 * @param {unknown} url
 * @returns {url is string}
 */
export function isSafeLink(url) {
  return typeof url === "string" && SAFE_LINK.test(url) && URL.canParse(url);
}

/**
 * Makes a link open apart from the page, which it learns nothing of.
 * @param {HTMLAnchorElement} link
 */
export function secure(link) {
  if (!isSafeLink(link.getAttribute("href"))) {
    link.replaceWith(...link.childNodes);
    return;
  }
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
}

/**
 * A block of code scrolls by itself, also by keyboard, and says its language.
 * @param {HTMLPreElement} block
 */
function label(block) {
  const language = /language-([\w+#.-]+)/.exec(block.firstElementChild?.className ?? "")?.[1];
  block.tabIndex = 0;
  block.setAttribute("role", "group");
  block.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
  if (language) block.dataset.language = language;
}

/** @param {HTMLTableElement} table */
function wrap(table) {
  const frame = document.createElement("div");
  frame.className = "table";
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", "Table");
  table.replaceWith(frame);
  frame.append(table);
}

/** @param {string} text */
function asText(text) {
  const fragment = document.createDocumentFragment();
  const paragraph = document.createElement("p");
  paragraph.className = "plain";
  paragraph.textContent = text;
  fragment.append(paragraph);
  return fragment;
}

/** @param {string} text */
function escape(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
