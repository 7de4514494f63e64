/** Which links are shown as links. */

export const SAFE_LINK = /^(?:https?:\/\/|mailto:)/i;

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
