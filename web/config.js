/**
 * How callers sign in. As it is: by the log-in of the site that serves the page, which has the
 * backend behind it. Where callers sign in with Entra and the backend stands elsewhere,
 * `python -m local site` writes this file anew (docs/deploy.md).
 * @type {import("./entra.js").Entra | null}
 */
export const entra = null;
