/** Who is signed in, and the ways in and out: by the site's own log-in, or with Entra. */

import { entra } from "./config.js";
import { entraSignIn } from "./entra.js";

/**
 * Where a way leads: to an address, or to what a library does.
 * @typedef {{address: () => string, follow?: undefined} | {follow: () => void}} Way
 */

/**
 * `name` tells who is signed in; null: nobody, undefined: there is no log-in to ask. `baseUrl` and
 * `headers` are what the backend is called with.
 * @typedef {{name: () => Promise<string | null | undefined>, into: Way, out: Way,
 *   baseUrl?: string, headers?: () => Promise<Record<string, string>>}} SignIn
 */

/** The identity provider that the site's log-in leads to: any that staticwebapp.config.json allows. */
const PROVIDER = "github";

/** @type {SignIn} */
const site = {
  into: {
    address: () => {
      const back = encodeURIComponent(location.pathname + location.hash);
      return `/.auth/login/${PROVIDER}?post_login_redirect_uri=${back}`;
    },
  },
  out: { address: () => "/.auth/logout?post_logout_redirect_uri=/" },
  name: async () => {
    try {
      const response = await fetch("/.auth/me", { headers: { accept: "application/json" } });
      const { clientPrincipal } = await response.json();
      if (clientPrincipal === undefined) return undefined;
      return clientPrincipal && (clientPrincipal.userDetails || clientPrincipal.userId);
    } catch {
      return undefined;
    }
  },
};

/** Before anything else reads the address: a log-in that comes back has its answer there. */
export const signIn = entra ? await entraSignIn(entra) : site;
