/** A new unguessable id for a conversation or a turn: 32 hexadecimal digits. */
export function newId(): string;
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
    constructor(code: string, message: string, more?: {
        status?: number;
        retryAfter?: number;
        turnId?: string;
        errors?: {
            field: string;
            message: string;
        }[];
        cause?: unknown;
    });
    code: string;
    status: number;
    retryAfter: number | undefined;
    turnId: string | undefined;
    errors: {
        field: string;
        message: string;
    }[];
}
/** Splits server-sent events (WHATWG HTML, 9.2), however the bytes are cut. */
export class EventStreamParser {
    /**
     * The data of every event that is complete now.
     * @param {Uint8Array} bytes
     * @returns {string[]}
     */
    push(bytes: Uint8Array): string[];
    #private;
}
/** The backend at `baseUrl`. A client keeps nothing of a request, so one serves a whole page. */
export class ChatClient {
    /** @param {ClientOptions} [options] */
    constructor({ baseUrl, headers, fetch: send, retryPauses, silenceLimit, }?: ClientOptions);
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
    run(request: ChatRequest, options?: FollowOptions): AsyncGenerator<ChatEvent, void, void>;
    /**
     * Yields the events of a turn that runs or has ended, from the beginning or after a position;
     * none after the position of its `end`.
     * @param {string} conversationId
     * @param {string} turnId
     * @param {FollowOptions & {after?: string}} [options]
     * @returns {AsyncGenerator<ChatEvent, void, void>}
     * @throws {ChatError}
     */
    attach(conversationId: string, turnId: string, options?: FollowOptions & {
        after?: string;
    }): AsyncGenerator<ChatEvent, void, void>;
    /**
     * Stops a turn; what was generated is kept, and those who follow it get its `end`. Gives its
     * state, which is still `running` where the turn takes longer than 10 s to end.
     * @param {string} conversationId
     * @param {string} turnId
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<TurnState>}
     * @throws {ChatError}
     */
    stop(conversationId: string, turnId: string, { signal }?: {
        signal?: AbortSignal;
    }): Promise<TurnState>;
    /**
     * One conversation, with the id of the turn that runs in it.
     * @param {string} conversationId
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<Conversation>}
     * @throws {ChatError}
     */
    conversation(conversationId: string, { signal }?: {
        signal?: AbortSignal;
    }): Promise<Conversation>;
    /**
     * Gives a conversation another title, of 1 to 200 characters.
     * @param {string} conversationId
     * @param {string} title
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<Conversation>}
     * @throws {ChatError}
     */
    rename(conversationId: string, title: string, { signal }?: {
        signal?: AbortSignal;
    }): Promise<Conversation>;
    /**
     * Deletes a conversation for good, and stops a turn that runs in it.
     * @param {string} conversationId
     * @param {{keepalive?: boolean, signal?: AbortSignal}} [options] `keepalive`: also where the page
     *   is just being left
     * @returns {Promise<void>}
     * @throws {ChatError}
     */
    remove(conversationId: string, { keepalive, signal }?: {
        keepalive?: boolean;
        signal?: AbortSignal;
    }): Promise<void>;
    /**
     * A whole conversation as the JSON file that the backend makes of it.
     * @param {string} conversationId
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<Blob>}
     * @throws {ChatError}
     */
    export(conversationId: string, { signal }?: {
        signal?: AbortSignal;
    }): Promise<Blob>;
    /**
     * The caller's conversations, newest first.
     * @param {{limit?: number, cursor?: string | null, signal?: AbortSignal}} [options] `limit` is 1
     *   to 100, and 50 unless said; `cursor` is the `nextCursor` of the page before
     * @returns {Promise<{items: Conversation[], nextCursor: string | null}>}
     * @throws {ChatError}
     */
    conversations({ limit, cursor, signal }?: {
        limit?: number;
        cursor?: string | null;
        signal?: AbortSignal;
    }): Promise<{
        items: Conversation[];
        nextCursor: string | null;
    }>;
    /**
     * A conversation's messages, newest first.
     * @param {string} conversationId
     * @param {{limit?: number, cursor?: string | null, signal?: AbortSignal}} [options] as for the
     *   list
     * @returns {Promise<{items: Message[], nextCursor: string | null}>}
     * @throws {ChatError}
     */
    messages(conversationId: string, { limit, cursor, signal }?: {
        limit?: number;
        cursor?: string | null;
        signal?: AbortSignal;
    }): Promise<{
        items: Message[];
        nextCursor: string | null;
    }>;
    /**
     * The named actions.
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<{items: {name: string, title: string, description: string}[]}>}
     * @throws {ChatError}
     */
    actions({ signal }?: {
        signal?: AbortSignal;
    }): Promise<{
        items: {
            name: string;
            title: string;
            description: string;
        }[];
    }>;
    #private;
}
/**
 * What a turn used; `estimated` where the model did not say.
 */
export type Usage = {
    promptTokens: number;
    completionTokens: number;
    totalTokens: number;
    estimated: boolean;
};
/**
 * A document that the answer may cite.
 */
export type Citation = {
    id?: string;
    title?: string;
    url?: string;
    score?: number;
};
/**
 * What there is to say of a search besides what it found: what was looked for instead of the
 * question, documents that had no room in the prompt, why there are none.
 */
export type Retrieval = {
    query?: string;
    leftOut?: Citation[];
    error?: {
        code: string;
        message: string;
    };
};
/**
 * A call that the model wants made; `arguments` is the model's own JSON text.
 */
export type ToolCall = {
    id: string;
    name: string;
    arguments: string;
};
/**
 * What went wrong in a turn; `retryable` means that asking again may help.
 */
export type TurnError = {
    code: string;
    message: string;
    retryable: boolean;
};
/**
 * How a turn ended.
 */
export type FinishReason = "stop" | "length" | "content_filter" | "tool_calls" | "cancelled" | "disconnected" | "incomplete" | "error";
/**
 * What happens in a turn. Every event also has a `position`, an opaque string. A turn with
 * `store: false` has no ids.
 */
export type ChatEvent = {
    position: string;
} & ({
    type: "start";
    conversationId?: string;
    turnId?: string;
    action: string;
    model: string;
    new: boolean;
} | ({
    type: "citations";
    documents: Citation[];
} & Retrieval) | {
    type: "reasoning";
    text: string;
} | {
    type: "delta";
    text: string;
} | ({
    type: "tool_call";
    index: number;
} & ToolCall) | ({
    type: "error";
} & TurnError) | {
    type: "end";
    finishReason: FinishReason;
    usage: Usage;
    result: Record<string, string>;
});
/**
 * What one of the model's calls gave; `id` is the call's.
 */
export type ToolResult = {
    id: string;
    content: string;
};
/**
 * The body of `POST /api/chat`; docs/api.md says what each field means. A turn answers a
 * `userPrompt`, or goes on with `toolResults`.
 */
export type ChatRequest = ({
    userPrompt: string;
    toolResults?: undefined;
} | {
    toolResults: ToolResult[];
    conversationId: string;
    userPrompt?: undefined;
}) & {
    conversationId?: string;
    turnId?: string;
    action?: string;
    connection?: string;
    model?: string;
    deploymentName?: string;
    systemPrompt?: string;
    promptTemplate?: string;
    options?: Record<string, unknown>;
    history?: {
        role: "user" | "assistant";
        content: string;
    }[];
    context?: string | ({
        content: string;
    } & Citation)[];
    temperature?: number;
    maxCompletionTokens?: number;
    resultVariableName?: string;
    replaces?: string;
    store?: boolean;
    onDisconnect?: "finish" | "cancel";
};
/**
 * A stored message; times are RFC 3339, in UTC. `toolCallId` is the call's that a `tool` message
 * answers, and what comes after it is an answer's.
 */
export type Message = {
    role: "user" | "assistant" | "tool";
    content: string;
    turnId: string;
    createdAt: string;
    toolCallId?: string;
    state?: "running" | "ended";
    finishReason?: FinishReason;
    usage?: Usage;
    reasoning?: string;
    citations?: Citation[];
    retrieval?: Retrieval;
    toolCalls?: ToolCall[];
    error?: TurnError;
};
/**
 * One conversation; only `conversation` and `rename` say which turn runs in it.
 */
export type Conversation = {
    id: string;
    title: string;
    createdAt: string;
    updatedAt: string;
    messageCount: number;
    runningTurnId?: string;
};
/**
 * What `stop` says of its turn.
 */
export type TurnState = {
    turnId: string;
    state: "running" | "ended";
    finishReason: FinishReason | null;
    usage: Usage | null;
};
/**
 * How to follow a turn. `signal` ends the following, not the turn; `onReconnect` is told of every
 * new attempt (1, 2, …) after a connection was lost, and 0 once the backend answers again.
 */
export type FollowOptions = {
    signal?: AbortSignal;
    onReconnect?: (attempt: number) => void;
};
/**
 * Header fields by their names.
 */
export type HeaderFields = Record<string, string>;
/**
 * Where the backend is, and how to reach it.
 *
 * `baseUrl` is `/api` unless said; outside of a page it must be a whole address. `headers` are sent
 * with every request; a function is called for each one, so that a token which ends can be renewed,
 * and what it throws is thrown to the caller. `fetch` replaces the platform's own. `retryPauses`
 * are the milliseconds before each new attempt to go on with a turn, give or take a quarter; after
 * the last one the client gives up. `silenceLimit` is how many milliseconds a connection may be
 * silent before it counts as lost (25,000; the backend says something every 15,000).
 */
export type ClientOptions = {
    baseUrl?: string;
    fetch?: typeof fetch;
    retryPauses?: number[];
    silenceLimit?: number;
    headers?: HeaderFields | (() => HeaderFields | Promise<HeaderFields>);
};
