/** Ends and errors in words: what happened, and what to do. */

/** @typedef {import("./client/client.js").ChatError} ChatError */
/** @typedef {import("./client/client.js").FinishReason} FinishReason */
/** @typedef {import("./client/client.js").Usage} Usage */

/** What is asked by the button below an answer that reached the limit of its length. */
export const GO_ON = "Please go on where you stopped.";

/**
 * What is said below an answer; `again`: asking once more may help, `more`: asking to go on.
 * @type {Partial<Record<FinishReason, {text: string, again: boolean, more?: boolean}>>}
 */
const ENDS = {
  length: {
    text: "The answer reached the limit of its length and stops here.",
    again: false,
    more: true,
  },
  content_filter: {
    text: "The content filter stopped the answer here. Asking in other words may help.",
    again: false,
  },
  tool_calls: { text: "The model asked for a tool, and this page has none.", again: false },
  cancelled: { text: "The answer was stopped.", again: true },
  disconnected: {
    text: "Nobody was connected for a while, so the answer ended here.",
    again: true,
  },
  incomplete: { text: "The answer broke off before its end.", again: true },
  error: { text: "The answer ended with an error.", again: true },
};

/** Errors of which the page knows better what to do; the others say it themselves. */
const ERRORS = {
  connection_lost:
    "The connection was lost. The answer may still be on its way: try again to go on with it.",
  unauthenticated: "Please sign in to chat. Your question is kept in the box below.",
  not_found: "This conversation does not exist, or belongs to somebody else. Start a new chat.",
  conversation_busy:
    "Another answer is still being written in this conversation. Your question is kept in the " +
    "box below: ask it after that.",
  content_filtered: "The content filter refused this question. Ask it in other words.",
  context_length_exceeded:
    "This conversation is longer than the model can read. Ask something shorter, or start a " +
    "new chat.",
};

/** Codes of errors that asking the same again cannot help. */
const FINAL = new Set([
  "unauthenticated",
  "not_found",
  "not_acceptable",
  "conversation_busy",
  "turn_mismatch",
  "invalid_request",
  "content_filtered",
  "context_length_exceeded",
  "field_locked",
  "payload_too_large",
  "unsupported_media_type",
]);

/**
 * What to say of an answer's end; null for one that needs no words.
 * @param {FinishReason | undefined} reason
 */
export function endWords(reason) {
  return reason === undefined ? null : (ENDS[reason] ?? null);
}

/**
 * What to say of an error, from the wire or inside a stream.
 * @param {{code: string, message: string, retryable?: boolean}} error
 */
export function errorWords({ code, message, retryable }) {
  return {
    text: Object.hasOwn(ERRORS, code) ? ERRORS[/** @type {keyof ERRORS} */ (code)] : message,
    again: retryable ?? !FINAL.has(code),
    more: false,
    signIn: code === "unauthenticated",
  };
}

/**
 * What an answer was made by, when, and what it cost.
 * @param {{usage: Usage | null | undefined, model: string, createdAt: string}} about
 */
export function aboutWords({ usage, model, createdAt }) {
  return [usageWords(usage), model, timeWords(createdAt)].filter(Boolean).join(" · ");
}

/** @param {Usage | null | undefined} usage */
function usageWords(usage) {
  if (!usage || !usage.totalTokens) return "";
  const about = usage.estimated ? "about " : "";
  const [total, asked, answered] = [
    usage.totalTokens,
    usage.promptTokens,
    usage.completionTokens,
  ].map((count) => count.toLocaleString("en"));
  return `${about}${total} tokens: ${asked} read, ${answered} written`;
}

/** @param {string} moment */
function timeWords(moment) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "";
  return date.toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
}

/** @param {number} seconds 0 where nobody measured */
export function thoughtWords(seconds) {
  if (seconds < 1) return "Thoughts";
  return `Thought for ${Math.round(seconds)} s`;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Under which heading of the list a conversation stands.
 * @param {string} moment
 * @param {Date} now
 */
export function ageWords(moment, now) {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const time = new Date(moment).getTime();
  if (time >= midnight) return "Today";
  if (time >= midnight - DAY_MS) return "Yesterday";
  if (time >= midnight - 7 * DAY_MS) return "The last seven days";
  if (time >= midnight - 30 * DAY_MS) return "The last thirty days";
  return "Older";
}
