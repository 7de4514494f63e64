/**
 * Client of the streaming chat backend: runs turns, attaches to them, stops them, and reads,
 * renames, exports and deletes conversations. How to use it: docs/client.md.
 *
 * One file without dependencies, for browsers and anything else with `fetch` and web streams
 * (Node.js 20 or newer). A turn is followed until its `end`: where a connection is cut (Static Web
 * Apps ends every request after 45 s), it is taken up again after the last event, so nothing is
 * missing and nothing comes twice.
 */

const RETRY_PAUSES_MS = [250, 1000, 2000, 4000, 8000, 8000];
/** The backend says something at least every 15 s; what is silent for longer is dead. */
const SILENCE_LIMIT_MS = 25_000;
/** Who is told to stay away for longer is told so, rather than kept waiting. */
const LONGEST_RETRY_AFTER_S = 60;
const EVENT_STREAM = "text/event-stream";
const JSON_TYPE = "application/json";
const PROBLEM_TYPE = "application/problem+json";
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * What a turn used; `estimated` where the model did not say.
 * @typedef {{promptTokens: number, completionTokens: number, totalTokens: number,
 *   estimated: boolean}} Usage
 */

/**
 * A document that the answer may cite.
 * @typedef {{id?: string, title?: string, url?: string, score?: number}} Citation
 */

/**
 * What there is to say of a search besides what it found: what was looked for instead of the
 * question, documents that had no room in the prompt, why there are none.
 * @typedef {{query?: string, leftOut?: Citation[], error?: {code: string, message: string}}} Retrieval
 */

/**
 * A call that the model wants made; `arguments` is the model's own JSON text.
 * @typedef {{id: string, name: string, arguments: string}} ToolCall
 */

/**
 * What went wrong in a turn; `retryable` means that asking again may help.
 * @typedef {{code: string, message: string, retryable: boolean}} TurnError
 */

/**
 * How a turn ended.
 * @typedef {"stop" | "length" | "content_filter" | "tool_calls" | "cancelled" | "disconnected"
 *   | "incomplete" | "error"} FinishReason
 */

/**
 * What happens in a turn. Every event also has a `position`, an opaque string. A turn with
 * `store: false` has no ids.
 * @typedef {{position: string} & (
 *   {type: "start", conversationId?: string, turnId?: string, action: string, model: string,
 *     new: boolean}
 *   | ({type: "citations", documents: Citation[]} & Retrieval)
 *   | {type: "reasoning", text: string}
 *   | {type: "delta", text: string}
 *   | ({type: "tool_call", index: number} & ToolCall)
 *   | ({type: "error"} & TurnError)
 *   | {type: "end", finishReason: FinishReason, usage: Usage, result: Record<string, string>}
 * )} ChatEvent
 */

/**
 * What one of the model's calls gave; `id` is the call's.
 * @typedef {{id: string, content: string}} ToolResult
 */

/**
 * The body of `POST /api/chat`; docs/api.md says what each field means. A turn answers a
 * `userPrompt`, or goes on with `toolResults`.
 * @typedef {({userPrompt: string, toolResults?: undefined}
 *   | {toolResults: ToolResult[], conversationId: string, userPrompt?: undefined}) & {
 *   conversationId?: string, turnId?: string, action?: string,
 *   connection?: string, model?: string, deploymentName?: string, systemPrompt?: string,
 *   promptTemplate?: string, options?: Record<string, unknown>,
 *   history?: {role: "user" | "assistant", content: string}[],
 *   context?: string | ({content: string} & Citation)[], temperature?: number,
 *   maxCompletionTokens?: number, resultVariableName?: string, replaces?: string,
 *   store?: boolean, onDisconnect?: "finish" | "cancel"}} ChatRequest
 */

/**
 * A stored message; times are RFC 3339, in UTC. `toolCallId` is the call's that a `tool` message
 * answers, and what comes after it is an answer's.
 * @typedef {{role: "user" | "assistant" | "tool", content: string, turnId: string,
 *   createdAt: string, toolCallId?: string, state?: "running" | "ended",
 *   finishReason?: FinishReason, usage?: Usage, reasoning?: string,
 *   citations?: Citation[], retrieval?: Retrieval, toolCalls?: ToolCall[], error?: TurnError}} Message
 */

/**
 * One conversation; only `conversation` and `rename` say which turn runs in it.
 * @typedef {{id: string, title: string, createdAt: string, updatedAt: string,
 *   messageCount: number, runningTurnId?: string}} Conversation
 */

/**
 * What `stop` says of its turn.
 * @typedef {{turnId: string, state: "running" | "ended", finishReason: FinishReason | null,
 *   usage: Usage | null}} TurnState
 */

/**
 * How to follow a turn. `signal` ends the following, not the turn; `onReconnect` is told of every
 * new attempt (1, 2, …) after a connection was lost, and 0 once the backend answers again.
 * @typedef {{signal?: AbortSignal, onReconnect?: (attempt: number) => void}} FollowOptions
 */

/**
 * Header fields by their names.
 * @typedef {Record<string, string>} HeaderFields
 */

/**
 * Where the backend is, and how to reach it.
 *
 * `baseUrl` is `/api` unless said; outside of a page it must be a whole address. `headers` are sent
 * with every request; a function is called for each one, so that a token which ends can be renewed,
 * and what it throws is thrown to the caller. `fetch` replaces the platform's own. `retryPauses`
 * are the milliseconds before each new attempt to go on with a turn, give or take a quarter; after
 * the last one the client gives up. `silenceLimit` is how many milliseconds a connection may be
 * silent before it counts as lost (25,000; the backend says something every 15,000).
 * @typedef {{baseUrl?: string, fetch?: typeof fetch, retryPauses?: number[], silenceLimit?: number,
 *   headers?: HeaderFields | (() => HeaderFields | Promise<HeaderFields>)}} ClientOptions
 */

/** What went wrong: as the backend told it (RFC 9457), or as the client met it. */
export class ChatError extends Error {
  /**
   * @param {string} code the backend's own; `connection_lost` where none answered; `http_NNN` for
   *   an answer that is not the backend's; `invalid_answer` for one that cannot be read
   * @param {string} message
   * @param {{status?: number, retryAfter?: number, turnId?: string,
   *   errors?: {field: string, message: string}[], cause?: unknown}} [more]
   *   `status` is 0 where there was none; `retryAfter` in seconds; `turnId` is the running turn of
   *   a busy conversation
   */
  constructor(code, message, more = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
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

/** The backend at `baseUrl`. A client keeps nothing of a request, so one serves a whole page. */
export class ChatClient {
  #baseUrl;
  #headers;
  #send;
  #retryPauses;
  #silenceLimit;

  /** @param {ClientOptions} [options] */
  constructor({
    baseUrl = "/api",
    headers = {},
    fetch: send = globalThis.fetch,
    retryPauses = RETRY_PAUSES_MS,
    silenceLimit = SILENCE_LIMIT_MS,
  } = {}) {
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#headers = headers;
    // A browser's own refuses to be called as anybody's method.
    this.#send = send.bind(globalThis);
    this.#retryPauses = [...retryPauses];
    this.#silenceLimit = silenceLimit;
  }

  /**
   * Runs a turn and yields its events; nothing is sent before the first one is asked for. Ids that
   * are missing are made here, so that a request whose answer was lost is sent again as the same
   * turn: the model is never asked twice. The same request run again joins its turn, from the
   * beginning. Leaving the loop closes the connection, and the turn goes on. With `store: false`
   * there is one connection only.
   * @param {ChatRequest} request
   * @param {FollowOptions} [options]
   * @returns {AsyncGenerator<ChatEvent, void, void>}
   * @throws {ChatError}
   */
  async *run(request, options = {}) {
    if (request.store === false) {
      yield* this.#follow(() => asking(request), options, []);
      return;
    }
    const conversationId = request.conversationId ?? newId();
    const turnId = request.turnId ?? newId();
    const first = asking({ ...request, conversationId, turnId });
    yield* this.#follow((position) => {
      return position === undefined ? first : attaching(conversationId, turnId, position);
    }, options);
  }

  /**
   * Yields the events of a turn that runs or has ended, from the beginning or after a position;
   * none after the position of its `end`.
   * @param {string} conversationId
   * @param {string} turnId
   * @param {FollowOptions & {after?: string}} [options]
   * @returns {AsyncGenerator<ChatEvent, void, void>}
   * @throws {ChatError}
   */
  async *attach(conversationId, turnId, options = {}) {
    yield* this.#follow((position) => {
      return attaching(conversationId, turnId, position ?? options.after);
    }, options);
  }

  /**
   * Stops a turn; what was generated is kept, and those who follow it get its `end`. Gives its
   * state, which is still `running` where the turn takes longer than 10 s to end.
   * @param {string} conversationId
   * @param {string} turnId
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<TurnState>}
   * @throws {ChatError}
   */
  async stop(conversationId, turnId, { signal } = {}) {
    return this.#json(`${turnPath(conversationId, turnId)}/stop`, signal, { method: "POST" });
  }

  /**
   * One conversation, with the id of the turn that runs in it.
   * @param {string} conversationId
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Conversation>}
   * @throws {ChatError}
   */
  async conversation(conversationId, { signal } = {}) {
    return this.#json(conversationPath(conversationId), signal);
  }

  /**
   * Gives a conversation another title, of 1 to 200 characters.
   * @param {string} conversationId
   * @param {string} title
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Conversation>}
   * @throws {ChatError}
   */
  async rename(conversationId, title, { signal } = {}) {
    const init = { method: "PATCH", body: JSON.stringify({ title }) };
    return this.#json(conversationPath(conversationId), signal, init);
  }

  /**
   * Deletes a conversation for good, and stops a turn that runs in it.
   * @param {string} conversationId
   * @param {{keepalive?: boolean, signal?: AbortSignal}} [options] `keepalive`: also where the page
   *   is just being left
   * @returns {Promise<void>}
   * @throws {ChatError}
   */
  async remove(conversationId, { keepalive, signal } = {}) {
    const init = { method: "DELETE", keepalive };
    const call = new Call(conversationPath(conversationId), { init, empty: true });
    await this.#whole(call, signal);
  }

  /**
   * A whole conversation as the JSON file that the backend makes of it.
   * @param {string} conversationId
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Blob>}
   * @throws {ChatError}
   */
  async export(conversationId, { signal } = {}) {
    const path = `${conversationPath(conversationId)}/export`;
    return this.#whole(new Call(path, { type: JSON_TYPE }), signal);
  }

  /**
   * The caller's conversations, newest first.
   * @param {{limit?: number, cursor?: string | null, signal?: AbortSignal}} [options] `limit` is 1
   *   to 100, and 50 unless said; `cursor` is the `nextCursor` of the page before
   * @returns {Promise<{items: Conversation[], nextCursor: string | null}>}
   * @throws {ChatError}
   */
  async conversations({ limit, cursor, signal } = {}) {
    return this.#json(`/conversations${query({ limit, cursor })}`, signal);
  }

  /**
   * A conversation's messages, newest first.
   * @param {string} conversationId
   * @param {{limit?: number, cursor?: string | null, signal?: AbortSignal}} [options] as for the
   *   list
   * @returns {Promise<{items: Message[], nextCursor: string | null}>}
   * @throws {ChatError}
   */
  async messages(conversationId, { limit, cursor, signal } = {}) {
    const path = `${conversationPath(conversationId)}/messages`;
    return this.#json(path + query({ limit, cursor }), signal);
  }

  /**
   * The named actions.
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<{items: {name: string, title: string, description: string}[]}>}
   * @throws {ChatError}
   */
  async actions({ signal } = {}) {
    return this.#json("/actions", signal);
  }

  /**
   * Follows a turn over as many connections as it takes.
   * @param {(position: string | undefined) => Call} callAfter
   * @param {FollowOptions} options
   * @param {number[]} [pauses] before each new attempt, in milliseconds
   * @returns {AsyncGenerator<ChatEvent, void, void>}
   */
  async *#follow(callAfter, { signal, onReconnect }, pauses = this.#retryPauses) {
    /** @type {string | undefined} */
    let position;
    let failures = 0;
    for (;;) {
      const connection = await this.#open(callAfter(position), signal);
      try {
        if (connection.empty) return;
        if (!connection.lost && failures) onReconnect?.(0);
        const parser = new EventStreamParser();
        for (let bytes = await connection.read(); bytes; bytes = await connection.read()) {
          const events = parser.push(bytes);
          // A heartbeat says that there is something to wait for, unless it is all that is ever
          // said before the next cut: the backend's own come late.
          if (events.length || connection.age > this.#silenceLimit / 5) failures = 0;
          for (const data of events) {
            const event = parseEvent(data);
            position = event.position;
            yield event;
            if (event.type === "end") return;
            signal?.throwIfAborted();
          }
        }
      } finally {
        connection.close();
      }
      const failure = connection.lost ?? connectionLost();
      const shortest = pauses[failures];
      const told = failure.retryAfter ?? 0;
      if (shortest === undefined || told > LONGEST_RETRY_AFTER_S) throw failure;
      const ms = Math.max(shortest * (0.75 + Math.random() / 2), told * 1000);
      await pause(ms, told === 0, signal);
      failures += 1;
      onReconnect?.(failures);
    }
  }

  /**
   * @param {string} path
   * @param {AbortSignal} [signal]
   * @param {RequestInit} [init]
   */
  async #json(path, signal, init) {
    const body = await this.#whole(new Call(path, { init, type: JSON_TYPE }), signal);
    return parseJson(await body.text());
  }

  /**
   * A whole answer, or an error: one that was lost is not asked for again.
   * @param {Call} call
   * @param {AbortSignal} [signal]
   */
  async #whole(call, signal) {
    const connection = await this.#open(call, signal);
    try {
      const parts = [];
      for (let bytes = await connection.read(); bytes; bytes = await connection.read()) {
        parts.push(bytes);
      }
      if (connection.lost) throw connection.lost;
      return new Blob(parts, { type: call.type });
    } finally {
      connection.close();
    }
  }

  /**
   * @param {Call} call
   * @param {AbortSignal} [signal]
   */
  async #open(call, signal) {
    // What goes wrong here is the caller's own, and nothing that another attempt would mend.
    const url = absolute(this.#baseUrl + call.path);
    const own = this.#headers;
    const given = typeof own === "function" ? await unlessAborted(own, signal) : own;
    const headers = new Headers(given);
    headers.set("accept", call.type ?? JSON_TYPE);
    if (call.init.body) headers.set("content-type", JSON_TYPE);
    const init = { ...call.init, headers };
    const connection = new Connection(call, this.#silenceLimit, signal);
    await connection.open((fixed) => this.#send(url, { ...init, ...fixed }));
    return connection;
  }
}

/** One request, and what its answer has to be. */
class Call {
  /**
   * @param {string} path
   * @param {{init?: RequestInit, type?: string, empty?: boolean, attaches?: boolean}} more
   *   `type` is the content type of an answer with a body, `empty` whether 204 is an answer, and
   *   `attaches` whether it only looks on, so that any passing failure may be retried
   */
  constructor(path, { init = {}, type, empty = false, attaches = false }) {
    this.path = path;
    this.init = init;
    this.type = type;
    this.empty = empty;
    this.attaches = attaches;
  }
}

/**
 * One exchange with the backend. It fails by ending: `lost` says why, and `read` gives null. What
 * another attempt cannot mend is thrown.
 */
class Connection {
  #abort = new AbortController();
  #opened = performance.now();
  #call;
  #silenceLimit;
  #outer;
  /** @type {ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined} */
  #reader;
  /** Whether there is nothing to read, by the backend's own word. */
  empty = false;
  /** @type {ChatError | undefined} */
  lost;

  /**
   * @param {Call} call
   * @param {number} silenceLimit
   * @param {AbortSignal} [outer]
   */
  constructor(call, silenceLimit, outer) {
    this.#call = call;
    this.#silenceLimit = silenceLimit;
    this.#outer = outer;
  }

  /** How many milliseconds ago the request was sent. */
  get age() {
    return performance.now() - this.#opened;
  }

  /**
   * Sends the request and waits for the answer's head.
   * @param {(init: RequestInit) => Promise<Response>} send
   */
  async open(send) {
    // The API redirects nowhere, and a log-in page cannot be followed to from here.
    /** @type {RequestInit} */
    const fixed = { cache: "no-store", redirect: "manual", signal: this.#abort.signal };
    this.#outer?.addEventListener("abort", this.#end);
    try {
      const response = await this.#guarded(async () => {
        const answer = await send(fixed);
        if (fits(answer, this.#call)) return answer;
        throw await refusal(answer);
      });
      this.empty = response?.status === 204;
      this.#reader = response?.body?.getReader();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The next bytes; null at the end, and where the connection is lost. */
  async read() {
    const reader = this.#reader;
    const part = reader && (await this.#guarded(() => reader.read()));
    return part?.value ?? null;
  }

  /** Closes it at once, whatever is still to come. */
  close() {
    this.#outer?.removeEventListener("abort", this.#end);
    this.#end();
    // For a `fetch` of the caller's own that knows no signals.
    this.#reader?.cancel().catch(() => {});
  }

  #end = () => this.#abort.abort();

  /**
   * Awaits what the network does, for as long as a live connection may be silent.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T | null>}
   */
  async #guarded(work) {
    const ms = this.#silenceLimit;
    const silent = () => this.#abort.abort(new Error(`Nothing was said for ${ms} ms.`));
    const timer = setTimeout(silent, ms);
    try {
      this.#outer?.throwIfAborted();
      return await unlessAborted(work, this.#abort.signal);
    } catch (error) {
      this.#outer?.throwIfAborted();
      this.lost = passing(error, this.#call);
      return null;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** @param {ChatRequest} request */
function asking(request) {
  const init = { method: "POST", body: JSON.stringify(request) };
  return new Call("/chat", { init, type: EVENT_STREAM });
}

/**
 * @param {string} conversationId
 * @param {string} turnId
 * @param {string | undefined} after
 */
function attaching(conversationId, turnId, after) {
  const path = `${turnPath(conversationId, turnId)}/stream${query({ after })}`;
  // Only after a position can there be nothing more.
  return new Call(path, { type: EVENT_STREAM, empty: after !== undefined, attaches: true });
}

/**
 * Whether it is an answer of the backend's to this request.
 * @param {Response} response
 * @param {Call} call
 */
function fits(response, call) {
  if (response.status === 204) return call.empty;
  return response.ok && call.type !== undefined && mediaType(response) === call.type;
}

/**
 * The error, where trying again is safe and may help; throws any other.
 * @param {unknown} error
 * @param {Call} call
 */
function passing(error, call) {
  if (!(error instanceof ChatError)) return connectionLost(error);
  // A gateway's word of its own: it could not reach the backend.
  if (error.code === `http_${error.status}` && error.status >= 500) return error;
  // Attaching changes nothing, so it can be tried again where running a turn must not be.
  if (call.attaches && (error.status === 429 || error.status >= 500)) return error;
  throw error;
}

/** @param {unknown} [cause] */
function connectionLost(cause) {
  return new ChatError("connection_lost", "The backend cannot be reached.", { cause });
}

/**
 * What an answer says that is not the one that was asked for.
 * @param {Response} response
 */
async function refusal(response) {
  const { status } = response;
  if (response.type === "opaqueredirect" || REDIRECTS.has(status)) {
    const message = "The server redirects, most likely to its log-in: sign in, and check baseUrl.";
    return new ChatError("unauthenticated", message, { status });
  }
  const type = mediaType(response);
  if (response.ok) {
    const answer = `The server answered ${status}, content type ${type || "none"}`;
    const message = `${answer}, which is not the backend's: check baseUrl, and the sign-in.`;
    return new ChatError(`http_${status}`, message, { status });
  }
  const retryAfter = seconds(response.headers.get("retry-after"));
  const problem = type === PROBLEM_TYPE ? parseProblem(await response.text()) : null;
  if (problem) {
    const { code, message, ...more } = problem;
    return new ChatError(code, message, { ...more, status, retryAfter });
  }
  const message = `The server answered ${status} ${response.statusText}`.trimEnd() + ".";
  return new ChatError(`http_${status}`, message, { status, retryAfter });
}

/**
 * What a problem says (RFC 9457); null for what is none.
 * @param {string} text
 */
function parseProblem(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value?.code !== "string") return null;
  const { code, detail, title, turnId, errors } = value;
  return {
    code,
    message: String(detail ?? title ?? code),
    turnId: typeof turnId === "string" ? turnId : undefined,
    errors: Array.isArray(errors) ? errors : undefined,
  };
}

/**
 * @param {string} data
 * @returns {ChatEvent}
 */
function parseEvent(data) {
  const event = parseJson(data);
  if (typeof event?.type === "string" && typeof event.position === "string") return event;
  throw new ChatError("invalid_answer", "What came is no event of a turn.");
}

/** @param {string} text */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ChatError("invalid_answer", "What came is no JSON.", { cause });
  }
}

/**
 * The media type alone, in lower case; empty for none.
 * @param {Response} response
 */
function mediaType(response) {
  const type = response.headers.get("content-type") ?? "";
  return type.replace(/;.*/s, "").trim().toLowerCase();
}

/** @param {string} address */
function absolute(address) {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  try {
    return new URL(address, base).href;
  } catch (cause) {
    const advice = "outside of a page it must be a whole address, such as https://HOST/api";
    throw new TypeError(`baseUrl does not lead anywhere: ${advice}.`, { cause });
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
 * Waits so long; for less where `wakes` and the network comes back.
 * @param {number} ms
 * @param {boolean} wakes
 * @param {AbortSignal} [signal]
 */
async function pause(ms, wakes, signal) {
  const over = new AbortController();
  const waiting = () =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      over.signal.addEventListener("abort", () => clearTimeout(timer));
      if (wakes) globalThis.addEventListener?.("online", resolve, { signal: over.signal });
    });
  try {
    await unlessAborted(waiting, signal);
  } finally {
    over.abort();
  }
}

/**
 * What the work gives, unless the signal is aborted before: then its reason is thrown at once.
 * @template T
 * @param {() => T | Promise<T>} work
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
async function unlessAborted(work, signal) {
  if (!signal) return work();
  signal.throwIfAborted();
  const { promise, reject } = rejectable();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A promise that only ever rejects, from outside. */
function rejectable() {
  /** @type {(reason: unknown) => void} */
  let reject = () => {};
  /** @type {Promise<never>} */
  const promise = new Promise((_, refuse) => {
    reject = refuse;
  });
  return { promise, reject };
}

/** @param {string} conversationId */
function conversationPath(conversationId) {
  return `/conversations/${encodeURIComponent(conversationId)}`;
}

/**
 * @param {string} conversationId
 * @param {string} turnId
 */
function turnPath(conversationId, turnId) {
  return `${conversationPath(conversationId)}/turns/${encodeURIComponent(turnId)}`;
}

/** @param {Record<string, string | number | null | undefined>} values */
function query(values) {
  const given = Object.entries(values).filter(([, value]) => (value ?? null) !== null);
  if (!given.length) return "";
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
