/** Who is signed in, as the page shows it; nothing where there is no log-in. */

import { byId, element } from "./dom.js";
import { signIn } from "./sign-in.js";

/** A link to the log-in that comes back to where the page is now. */
export function signInLink() {
  return link("Sign in", signIn.into, "sign-in");
}

/**
 * @param {string} text
 * @param {import("./sign-in.js").Way} way
 * @param {string} [className]
 */
function link(text, way, className = "") {
  const { follow } = way;
  const made = element("a", { href: follow ? "#" : way.address(), className }, text);
  made.addEventListener("click", (event) => {
    if (follow) {
      event.preventDefault();
      follow();
      // The conversation may be another one by then.
    } else made.href = way.address();
  });
  return made;
}

/**
 * Shows who is signed in, with the way in or out.
 * @param {{owned: boolean}} options `owned`: whether conversations belong to those who sign in
 */
export async function showAccount({ owned }) {
  const account = byId("account", HTMLElement);
  const who = await signIn.name();
  if (who === undefined) return;
  if (who) {
    const name = element("span", { className: "name", title: who }, who);
    account.replaceChildren(name, link("Sign out", signIn.out));
  } else if (owned) {
    account.replaceChildren(signInLink());
  }
}
