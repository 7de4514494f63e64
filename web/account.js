/** Who is signed in, as Static Web Apps says it; nothing where the page is served otherwise. */

import { byId, element } from "./dom.js";

/** The identity provider that the links lead to: any that staticwebapp.config.json allows. */
const PROVIDER = "github";

/** A link to the log-in that comes back to where the page is now. */
export function signInLink() {
  const link = element("a", { href: signInPath(), className: "sign-in" }, "Sign in");
  // The conversation may be another one by then.
  link.addEventListener("click", () => (link.href = signInPath()));
  return link;
}

function signInPath() {
  const back = encodeURIComponent(location.pathname + location.hash);
  return `/.auth/login/${PROVIDER}?post_login_redirect_uri=${back}`;
}

/**
 * Shows who is signed in, with the way in or out.
 * @param {{owned: boolean}} options `owned`: whether conversations belong to those who sign in
 */
export async function showAccount({ owned }) {
  const account = byId("account", HTMLElement);
  const principal = await signedIn();
  if (principal === undefined) return;
  if (principal) {
    const href = "/.auth/logout?post_logout_redirect_uri=/";
    const name = element("span", { className: "name", title: principal }, principal);
    account.replaceChildren(name, element("a", { href }, "Sign out"));
  } else if (owned) {
    account.replaceChildren(signInLink());
  }
}

/** @returns {Promise<string | null | undefined>} undefined where there is no log-in to ask */
async function signedIn() {
  try {
    const response = await fetch("/.auth/me", { headers: { accept: "application/json" } });
    const { clientPrincipal } = await response.json();
    if (clientPrincipal === undefined) return undefined;
    return clientPrincipal && (clientPrincipal.userDetails || clientPrincipal.userId);
  } catch {
    return undefined;
  }
}
