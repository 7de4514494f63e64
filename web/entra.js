/** Signing in with Entra, by Microsoft's own library, for a backend that stands elsewhere. */

/**
 * The backend's API, and the app registration that callers sign in to. `authority` is the tenant's
 * address, `scope` what a token is asked for.
 * @typedef {{api: string, authority: string, clientId: string, scope: string}} Entra
 */

/**
 * @param {Entra} config
 * @returns {Promise<import("./sign-in.js").SignIn>}
 */
export async function entraSignIn({ api, authority, clientId, scope }) {
  // It is no module: it leaves itself in the page's global object.
  await import("./vendor/msal-browser.js");
  const { PublicClientApplication } = /** @type {any} */ (globalThis).msal;
  const application = new PublicClientApplication({
    auth: {
      clientId,
      authority,
      knownAuthorities: [new URL(authority).host],
      redirectUri: `${location.origin}/`,
      postLogoutRedirectUri: `${location.origin}/`,
    },
    // As the rest of what belongs to a visit: gone with the tab.
    cache: { cacheLocation: "sessionStorage" },
  });
  await application.initialize();
  const scopes = [scope];
  const back = await application.handleRedirectPromise().catch(() => null);
  if (back) application.setActiveAccount(back.account);

  function account() {
    return application.getActiveAccount() ?? application.getAllAccounts()[0] ?? null;
  }

  /** @returns {Promise<Record<string, string>>} */
  async function headers() {
    const who = account();
    if (!who) return {}; // the backend says that one has to sign in, and the page how
    try {
      const { accessToken } = await application.acquireTokenSilent({ scopes, account: who });
      return { authorization: `Bearer ${accessToken}` };
    } catch {
      return {}; // its time is over
    }
  }

  return {
    baseUrl: api,
    headers,
    name: async () => account()?.username || account()?.name || null,
    into: { follow: () => void application.loginRedirect({ scopes }) },
    out: { follow: () => void application.logoutRedirect({ account: account() }) },
  };
}
