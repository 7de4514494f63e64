/**
 * Client of the streaming chat backend: runs turns, attaches to them, stops them, reads messages.
 *
 * One file without dependencies, for browsers and anything else with `fetch` and web streams.
 * A turn is followed until its `end`: where a connection is cut (Static Web Apps ends every request
 * after 45 s), it is taken up again after the last event, so nothing is missing or comes twice.
 */

const RETRY_PAUSES_MS = [250, 1000, 2000, 4000, 8000, 8000];
/** The backend says something at least every 15 s; a connection that is silent for longer is dead. */
const DEAD_AFTER_MS = 25_000;
/** What a gateway answers of its own while it cannot reach the backend. */
const GATEWAY_STATUSES = new Set([500, 502, 503, 504]);

/**
 * @typedef {{promptTokens: number, completionTokens: number, totalTokens: number,
 *   estimated: boolean}} Usage
 * @typedef {{id?: string, title?: string, url?: string, score?: number}} Citation
 * @typedef {{id: string, name: string, arguments: string}} ToolCall
 * @typedef {"stop" | "length" | "content_filter" | "tool_calls" | "cancelled" | "disconnected"
 *   | "incomplete" | "error"} FinishReason
 */

/**
 * What happens in a turn. Every event also has a `position`, an opaque string.
 * @typedef {{position: string} & (
 *   {type: "start", conversationId: string, turnId: string, action: string, model: string,
 *     new: boolean}
 *   | {type: "citations", documents: Citation[]}
 *   | {type: "reasoning", text: string}
 *   | {type: "delta", text: string}
 *   | ({type: "tool_call", index: number} & ToolCall)
 *   | {type: "error", code: string, message: string, retryable: boolean}
 *   | {type: "end", finishReason: FinishReason, usage: Usage, result: Record<string, string>}
 * )} ChatEvent
 */

/**
 * The body of `POST /api/chat`; any other field of it may be given too.
 * @typedef {{userPrompt: string, conversationId?: string, turnId?: string, action?: string,
 *   replaces?: string, store?: boolean, [field: string]: unknown}} ChatRequest
 */

/**
 * A stored message.
 * @typedef {{role: "user" | "assistant" | "tool", content: string, turnId: string,
 *   createdAt: string, state?: "running" | "ended", finishReason?: FinishReason, usage?: Usage,
 *   citations?: Citation[], toolCalls?: ToolCall[]}} Message
 * @typedef {{id: string, title: string, createdAt: string, updatedAt: string,
 *   messageCount: number, runningTurnId?: string}} Conversation
 * @typedef {{turnId: string, state: "running" | "ended", finishReason: FinishReason | null,
 *   usage: Usage | null}} TurnState
 */

/**
 * How to follow a turn.
 * @typedef {{signal?: AbortSignal, onReconnect?: (attempt: number) => void}} FollowOptions
 *   `signal` ends the following, not the turn; `onReconnect` is told of every new attempt (1, 2, …)
 *   after a connection was lost, and 0 once one works again.
 */

/** What went wrong, as the backend told it (RFC 9457), or `connection_lost` where none answered. */
export class ChatError extends Error {
  /**
   * @param {string} code the contract's code; `http_NNN` for an answer that is not the backend's
   * @param {string} message
   * @param {{status?: number, retryAfter?: number, turnId?: string,
   *   errors?: {field: string, message: string}[], cause?: unknown}} [more]
   *   `retryAfter` in seconds; `turnId` is the running turn of a busy conversation
   */
  constructor(code, message, more = {}) {
    super(message, { cause: more.cause });
    this.name = "ChatError";
    this.code = code;
    this.status = more.status ?? 0;
    this.retryAfter = more.retryAfter;
    this.turnId = more.turnId;
    this.errors = more.errors ?? [];
  }
}

/** A new unguessable id for a conversation or a turn: 32 hexadecimal digits. */
export function newId() {
  // Not randomUUID, which plain http on another machine does not have.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Splits server-sent events (WHATWG HTML, 9.2), however the bytes are cut. */
export class EventStreamParser {
  #decoder = new TextDecoder();
  #rest = "";
  /** @type {string[]} */
  #data = [];

  /**
   * The data of every event that is complete now.
   * @param {Uint8Array} bytes
   * @returns {string[]}
   */
  push(bytes) {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
    // A CR at the end may be the first half of a CR LF.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\r|\n/);
    this.#rest = (lines.pop() ?? "") + text.slice(whole.length);
    return lines.flatMap((line) => this.#line(line));
  }

  /**
   * @param {string} line
   * @returns {string[]}
   */
  #line(line) {
    if (line === "") {
      const data = this.#data;
      this.#data = [];
      return data.length ? [data.join("\n")] : [];
    }
    const field = /^data(?:: ?(.*))?$/su.exec(line);
    if (field) this.#data.push(field[1] ?? "");
    return [];
  }
}

/** The backend at `baseUrl`. */
export class ChatClient {
  #baseUrl;
  #headers;

  /** @param {{baseUrl?: string, headers?: Record<string, string>}} [options] */
  constructor({ baseUrl = "/api", headers = {} } = {}) {
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#headers = headers;
  }

  /**
   * Runs a turn and yields its events. Ids that are missing are made here, so that a request whose
   * answer was lost is sent again as the same turn: the model is never asked twice. The same
   * request run again joins its turn, from the beginning.
   * @param {ChatRequest} request
   * @param {FollowOptions} [options]
   * @returns {AsyncGenerator<ChatEvent, void, void>}
   * @throws {ChatError}
   */
  async *run(request, options = {}) {
    if (request.store === false) {
      yield* this.#once(request, options.signal);
      return;
    }
    const conversationId = request.conversationId ?? newId();
    const turnId = request.turnId ?? newId();
    const body = JSON.stringify({ ...request, conversationId, turnId });
    yield* this.#follow((position, signal) => {
      if (position) return this.#attach(conversationId, turnId, position, signal);
      return this.#post(body, signal);
    }, options);
  }

  /**
   * Yields the events of a turn that runs or has ended, from the beginning or after a position.
   * @param {string} conversationId
   * @param {string} turnId
   * @param {FollowOptions & {after?: string}} [options]
   * @returns {AsyncGenerator<ChatEvent, void, void>}
   * @throws {ChatError}
   */
  async *attach(conversationId, turnId, options = {}) {
    yield* this.#follow((position, signal) => {
      return this.#attach(conversationId, turnId, position ?? options.after, signal);
    }, options);
  }

  /**
   * Stops a turn; what was generated is kept, and those who follow it get its `end`.
   * @param {string} conversationId
   * @param {string} turnId
   * @returns {Promise<TurnState>}
   */
  async stop(conversationId, turnId) {
    return this.#json(`${turnPath(conversationId, turnId)}/stop`, { method: "POST" });
  }

  /**
   * One conversation, with the id of the turn that runs in it.
   * @param {string} conversationId
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Conversation>}
   */
  async conversation(conversationId, { signal } = {}) {
    return this.#json(`/conversations/${encodeURIComponent(conversationId)}`, { signal });
  }

  /**
   * The caller's conversations, newest first.
   * @param {{limit?: number, cursor?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<{items: Conversation[], nextCursor: string | null}>}
   */
  async conversations({ limit, cursor, signal } = {}) {
    return this.#json(`/conversations${query({ limit, cursor })}`, { signal });
  }

  /**
   * A conversation's messages, newest first.
   * @param {string} conversationId
   * @param {{limit?: number, cursor?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<{items: Message[], nextCursor: string | null}>}
   */
  async messages(conversationId, { limit, cursor, signal } = {}) {
    const path = `/conversations/${encodeURIComponent(conversationId)}/messages`;
    return this.#json(path + query({ limit, cursor }), { signal });
  }

  /**
   * The named actions.
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<{items: {name: string, title: string, description: string}[]}>}
   */
  async actions({ signal } = {}) {
    return this.#json("/actions", { signal });
  }

  /**
   * Follows a turn over as many connections as it takes.
   * @param {(position: string | undefined, signal: AbortSignal) => Promise<Response>} open
   * @param {FollowOptions} options
   * @returns {AsyncGenerator<ChatEvent, void, void>}
   */
  async *#follow(open, { signal, onReconnect }) {
    /** @type {string | undefined} */
    let position;
    let failures = 0;
    for (;;) {
      const connection = new Connection(signal);
      try {
        let events = await connection.open((inner) => open(position, inner));
        while (events) {
          for (const event of events) {
            if (failures) onReconnect?.(0);
            failures = 0;
            position = event.position;
            yield event;
            if (event.type === "end") return;
          }
          events = await connection.read();
        }
        if (connection.finished) return;
      } finally {
        connection.close();
      }
      signal?.throwIfAborted();
      if (failures === RETRY_PAUSES_MS.length) throw connection.failure();
      await pause(RETRY_PAUSES_MS[failures], signal);
      failures += 1;
      onReconnect?.(failures);
    }
  }

  /**
   * A turn without a history cannot be taken up again: one connection, to its end.
   * @param {ChatRequest} request
   * @param {AbortSignal} [signal]
   * @returns {AsyncGenerator<ChatEvent, void, void>}
   */
  async *#once(request, signal) {
    const connection = new Connection(signal);
    try {
      let events = await connection.open((inner) => this.#post(JSON.stringify(request), inner));
      while (events) {
        for (const event of events) {
          yield event;
          if (event.type === "end") return;
        }
        events = await connection.read();
      }
      signal?.throwIfAborted();
      throw connection.failure();
    } finally {
      connection.close();
    }
  }

  /**
   * @param {string} body
   * @param {AbortSignal} signal
   */
  #post(body, signal) {
    const headers = { "content-type": "application/json", accept: "text/event-stream" };
    return this.#fetch("/chat", { method: "POST", headers, body, signal });
  }

  /**
   * @param {string} conversationId
   * @param {string} turnId
   * @param {string | undefined} after
   * @param {AbortSignal} signal
   */
  async #attach(conversationId, turnId, after, signal) {
    const path = `${turnPath(conversationId, turnId)}/stream${query({ after })}`;
    try {
      return await this.#fetch(path, { headers: { accept: "text/event-stream" }, signal });
    } catch (error) {
      // Attaching changes nothing, so it can be tried again where running a turn must not be.
      const passing = error instanceof ChatError && (error.status === 429 || error.status >= 500);
      throw passing ? new Unreachable(error) : error;
    }
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   */
  async #json(path, init) {
    try {
      return await (await this.#fetch(path, init)).json();
    } catch (error) {
      throw error instanceof Unreachable ? error.asChatError() : error;
    }
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   * @returns {Promise<Response>} with a status of 200 to 299
   */
  async #fetch(path, init) {
    const headers = { accept: "application/json", ...this.#headers, ...init.headers };
    let response;
    try {
      response = await fetch(this.#baseUrl + path, { cache: "no-store", ...init, headers });
    } catch (error) {
      init.signal?.throwIfAborted();
      throw new Unreachable(error);
    }
    if (response.ok) return response;
    throw await refusal(response);
  }
}

/** Nobody answered, or only a gateway: trying again is safe and may help. */
class Unreachable extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super("The backend cannot be reached.", { cause });
  }

  asChatError() {
    if (this.cause instanceof ChatError) return this.cause;
    return new ChatError("connection_lost", this.message, { cause: this.cause });
  }
}

/** One response's body, read as events. It fails by ending: `open` and `read` give null then. */
class Connection {
  #abort = new AbortController();
  #parser = new EventStreamParser();
  /** @type {AbortSignal | undefined} */
  #outer;
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  #reader;
  /** @type {Unreachable | undefined} */
  #lost;
  /** Whether there is nothing more to come, by the backend's own word. */
  finished = false;

  /** @param {AbortSignal} [outer] */
  constructor(outer) {
    this.#outer = outer;
    if (outer?.aborted) this.#abort.abort();
    outer?.addEventListener("abort", this.#end);
  }

  /**
   * @param {(signal: AbortSignal) => Promise<Response>} connect
   * @returns {Promise<ChatEvent[] | null>}
   */
  async open(connect) {
    const response = await this.#guarded(() => connect(this.#abort.signal));
    if (response === null) return null;
    this.finished = response.status === 204;
    this.#reader = response.body?.getReader();
    return this.finished ? null : [];
  }

  /** @returns {Promise<ChatEvent[] | null>} */
  async read() {
    const part = await this.#guarded(async () => this.#reader?.read());
    if (!part?.value) return null;
    return this.#parser.push(part.value).map((data) => JSON.parse(data));
  }

  failure() {
    return (this.#lost ?? new Unreachable(undefined)).asChatError();
  }

  close() {
    this.#outer?.removeEventListener("abort", this.#end);
    this.#end();
  }

  #end = () => this.#abort.abort();

  /**
   * Awaits what the network does, for as long as a live connection may be silent.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T | null>}
   */
  async #guarded(work) {
    const timer = setTimeout(this.#end, DEAD_AFTER_MS);
    try {
      return await work();
    } catch (error) {
      this.#outer?.throwIfAborted();
      if (error instanceof ChatError) throw error;
      this.#lost = error instanceof Unreachable ? error : new Unreachable(error);
      return null;
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * What an answer that is no success says.
 * @param {Response} response
 */
async function refusal(response) {
  const { status } = response;
  const text = await response.text().catch(() => "");
  const problem = parseProblem(text);
  const retryAfter = seconds(response.headers.get("retry-after"));
  if (problem) {
    const { code, detail, title, errors, turnId } = problem;
    return new ChatError(code, detail ?? title ?? code, { status, retryAfter, errors, turnId });
  }
  const message = `The server answered ${status} ${response.statusText}`.trimEnd() + ".";
  const error = new ChatError(`http_${status}`, message, { status, retryAfter });
  return GATEWAY_STATUSES.has(status) ? new Unreachable(error) : error;
}

/** @param {string} text */
function parseProblem(text) {
  try {
    const value = JSON.parse(text);
    return typeof value?.code === "string" ? value : null;
  } catch {
    return null;
  }
}

/**
 * `Retry-After` in seconds: a number of them, or a date (RFC 9110, 10.2.3).
 * @param {string | null} value
 */
function seconds(value) {
  if (value === null) return undefined;
  const number = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(number) ? Math.max(0, number) : undefined;
}

/**
 * Waits so long; for less where the network comes back.
 * @param {number} ms
 * @param {AbortSignal} [signal]
 */
async function pause(ms, signal) {
  const over = new AbortController();
  try {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms * (0.75 + Math.random() / 2));
      over.signal.addEventListener("abort", () => clearTimeout(timer));
      globalThis.addEventListener?.("online", resolve, { signal: over.signal });
      signal?.addEventListener("abort", resolve, { signal: over.signal });
    });
  } finally {
    over.abort();
  }
  signal?.throwIfAborted();
}

/**
 * @param {string} conversationId
 * @param {string} turnId
 */
function turnPath(conversationId, turnId) {
  const [conversation, turn] = [conversationId, turnId].map(encodeURIComponent);
  return `/conversations/${conversation}/turns/${turn}`;
}

/** @param {Record<string, string | number | undefined>} values */
function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  if (!given.length) return "";
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
