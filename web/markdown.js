/**
 * A model's Markdown as DOM that cannot harm.
 *
 * Three walls: raw HTML is shown as text, what marked makes of the rest is sanitised to a short
 * list of elements, and the page's Content-Security-Policy runs nothing that would slip through.
 */

import { element, morph } from "./dom.js";
import { codeFrame, tableFrame } from "./frames.js";
import { SAFE_LINK, secure } from "./links.js";
import DOMPurify from "./vendor/dompurify.js";
import { Marked } from "./vendor/marked.js";

const SANITISE = {
  ALLOWED_TAGS: [
    ..."p br hr strong em del code pre blockquote ul ol li a".split(" "),
    ..."h3 h4 h5 h6 table thead tbody tr th td".split(" "),
  ],
  ALLOWED_ATTR: ["href", "title", "align", "start", "class"],
  ALLOWED_URI_REGEXP: SAFE_LINK,
  // Else these would have to be links.
  ADD_URI_SAFE_ATTR: ["align", "start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: /** @type {const} */ (true),
};

const marked = new Marked({
  gfm: true,
  renderer: {
    // A line break is all the HTML that models write and mean.
    html: ({ text, block }) => {
      if (/^<br\s*\/?>\s*$/i.test(text)) return "<br>";
      return block ? `<p>${escape(text)}</p>` : escape(text);
    },
    // The page's own headings are above: an answer's begin at the third level.
    heading({ tokens, depth }) {
      const name = `h${Math.min(depth + 2, 6)}`;
      return `<${name}>${this.parser.parseInline(tokens)}</${name}>\n`;
    },
    // Nothing is loaded from elsewhere because a model says so: an image is a link to it.
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/**
 * Text that grows, shown as Markdown in `root`. Only the blocks that are not what they were are
 * made anew, so that the next word costs as much as its paragraph, not as the whole answer.
 */
export class MarkdownView {
  /** What each block was made of, and how many nodes it has. @type {{raw: string, size: number}[]} */
  #blocks = [];
  #links = "";
  #root;
  #finish;

  /**
   * @param {Element} root
   * @param {{finish?: (block: DocumentFragment) => void}} [options] `finish` may change a block
   *   before it is shown
   */
  constructor(root, { finish } = {}) {
    this.#root = root;
    this.#finish = finish;
  }

  /** @param {string} text */
  show(text) {
    const tokens = parse(text);
    if (tokens === null) {
      // Nested so deep that the parser gives up.
      this.#blocks = [];
      morph(this.#root, [element("p", { className: "plain" }, text)]);
      return;
    }
    // A link's address may be defined at the end, and change what is above.
    const links = JSON.stringify(tokens.links);
    if (links !== this.#links) this.#blocks = [];
    this.#links = links;
    this.#update(tokens.filter(({ type }) => type !== "space" && type !== "def"));
  }

  /** @param {import("marked").Token[]} tokens */
  #update(tokens) {
    let same = 0;
    let at = 0;
    for (const block of this.#blocks) {
      if (block.raw !== tokens[same]?.raw) break;
      at += block.size;
      same += 1;
    }
    this.#blocks.length = same;
    /** @type {Node[]} */
    const wanted = [];
    for (const token of tokens.slice(same)) {
      const nodes = [...this.#render(token).childNodes];
      this.#blocks.push({ raw: token.raw, size: nodes.length });
      wanted.push(...nodes);
    }
    morph(this.#root, wanted, at);
  }

  /** @param {import("marked").Token} token */
  #render(token) {
    const fragment = rendered(token);
    fragment.querySelectorAll("a").forEach(secure);
    fragment.querySelectorAll("pre").forEach(codeFrame);
    fragment.querySelectorAll("table").forEach(tableFrame);
    this.#finish?.(fragment);
    return fragment;
  }
}

/**
 * A text that has not ended, with the emphasis or code closed that its last line has open: what is
 * bold will not first be shown with its asterisks.
 * @param {string} text
 */
export function closed(text) {
  const fences = text.match(/^\s*(?:```|~~~)/gm) ?? [];
  if (fences.length % 2) return text;
  const line = text.slice(text.lastIndexOf("\n") + 1);
  const bare = line.replace(/\\./g, "").replace(/`[^`]*`/g, "");
  if (bare.includes("`")) return /`\S/.test(bare) ? `${text}\`` : text;
  const strong = (bare.match(/\*\*/g) ?? []).length % 2 === 1;
  if (strong && bare.endsWith("**")) return text.slice(0, -2);
  return strong && /\*\*\S[^*]*$/.test(bare) ? `${text.trimEnd()}**` : text;
}

/**
 * @param {string} text
 * @returns {import("marked").TokensList | null}
 */
function parse(text) {
  try {
    return marked.lexer(text);
  } catch {
    return null;
  }
}

/**
 * @param {import("marked").Token} token
 * @returns {DocumentFragment}
 */
function rendered(token) {
  try {
    return DOMPurify.sanitize(marked.parser([token]), SANITISE);
  } catch {
    const fragment = document.createDocumentFragment();
    fragment.append(element("p", { className: "plain" }, token.raw));
    return fragment;
  }
}

/** @param {string} text */
function escape(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
