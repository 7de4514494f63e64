/** The drawer's endpoints. What cannot be done is an Error that says why. */

/**
 * @typedef {{index: number, pid: number, ready: boolean}} Worker
 * @typedef {{name: string, group: string, title: string, about: string}} Fault
 * @typedef {{name: string | null, title: string}} Armed
 * @typedef {{model: "simulator" | "own", store: "emulator" | "own", host: "local" | "func",
 *   workers: Worker[], faults: Fault[], armed: Armed[]}} State
 */

/**
 * What became of the last turn; a side is null where the user's own model or store is used.
 * @typedef {{role: string, content: unknown}} SentMessage
 * @typedef {{name: string, tokens: number, messages: number | null}} TokenPart
 * @typedef {{asked: number, deployment?: string, state?: string, outcome?: string | null,
 *   outcomes?: (string | null)[], messages?: SentMessage[], messageTokens?: number[],
 *   parameters?: Record<string, unknown>, tokens?: TokenPart[]}} ModelSide
 * @typedef {{afterMs: number, method: string, what: string, path: string, status: number,
 *   ms: number}} StoreRequest
 * @typedef {{reads: number, writes: number, requests: StoreRequest[]}} StoreSide
 * @typedef {{began: number, ended: number | null, turnId: string | null, status: number | null,
 *   connections: number, cut: number}} LastTurn
 * @typedef {{turn: LastTurn | null, model?: ModelSide | null, store?: StoreSide | null}} Last
 */

const BASE = "/api/local";

export const api = {
  /** @returns {Promise<State>} */
  state: () => call("GET", "/state"),
  /** @returns {Promise<Last>} */
  last: () => call("GET", "/last"),
  /** @param {string} name @returns {Promise<{armed: Armed[]}>} */
  arm: (name) => call("POST", `/faults/${encodeURIComponent(name)}`),
  /** @returns {Promise<{armed: Armed[]}>} */
  disarm: () => call("DELETE", "/faults"),
  /** @returns {Promise<{released: number}>} */
  release: () => call("POST", "/release"),
  /** @returns {Promise<{cut: number}>} */
  cut: () => call("POST", "/cut"),
  /** @param {number} index @param {"kill" | "terminate"} way */
  end: (index, way) => call("POST", `/workers/${index}/${way}`),
};

/**
 * @param {string} method
 * @param {string} path
 * @returns {Promise<any>}
 */
async function call(method, path) {
  const headers = { "x-local-drawer": "1" };
  let response;
  try {
    response = await fetch(BASE + path, { method, headers, cache: "no-store" });
  } catch {
    throw new Error("The local stack does not answer.");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new Error(body?.detail ?? `The local stack answered ${response.status}.`);
}
