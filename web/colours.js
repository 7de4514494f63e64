/** Colours for code, by a library that is loaded when the first code is shown. */

import DOMPurify from "./vendor/dompurify.js";

/** Colouring more than this takes longer than it is worth. */
const MAX_COLOURED = 20_000;
const SANITISE = {
  ALLOWED_TAGS: ["span"],
  ALLOWED_ATTR: ["class"],
  RETURN_DOM_FRAGMENT: /** @type {const} */ (true),
};

/** @type {import("./vendor/highlight.js").HLJSApi | null} */
let library = null;
/** @type {Promise<void> | null} */
let loading = null;

/**
 * Colours code now, or as soon as the library is there.
 * @param {Element} code
 */
export function colour(code) {
  const language = languageOf(code);
  const text = code.textContent ?? "";
  if (!language || text.length > MAX_COLOURED) return;
  if (!library) {
    loading ??= load();
    return;
  }
  if (!library.getLanguage(language)) return;
  const { value } = library.highlight(text, { language, ignoreIllegals: true });
  code.replaceChildren(DOMPurify.sanitize(value, SANITISE));
}

/**
 * The language that a block of code names; empty for none.
 * @param {Element} code
 */
export function languageOf(code) {
  return /language-([\w+#.-]+)/.exec(code.className)?.[1] ?? "";
}

async function load() {
  try {
    library = (await import("./vendor/highlight.js")).default;
    document.querySelectorAll(".frame.code code").forEach(colour);
  } catch {
    // Code without colours is code.
  }
}
