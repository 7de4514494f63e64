// What is done with `ai`; each exported function is one test's.
import {
  AbstractChat,
  DefaultChatTransport,
  lastAssistantMessageIsCompleteWithToolCalls,
  readUIMessageStream,
  TextStreamChatTransport,
} from "ai";
import { serving } from "./serving.mjs";

// What `useChat` keeps in React's state, kept in an object.
class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => { this.messages = [...this.messages, message]; };
  popMessage = () => { this.messages = this.messages.slice(0, -1); };
  replaceMessage = (index, message) => { this.messages[index] = structuredClone(message); };
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {
  constructor({ messages = [], ...options }) {
    const state = new State();
    state.messages = messages;
    super({ state, onFinish: (finish) => { this.finished = finish; }, ...options });
  }
}

const apiOf = ({ url }) => `${url}/ui-chat`;
const transportOf = (given) =>
  new DefaultChatTransport({ api: apiOf(given), body: given.body, headers: given.headers });
const chatOf = (given, options = {}) =>
  new Chat({ id: given.id, transport: transportOf(given), ...options });

const textOf = (message) =>
  message.parts.filter(({ type }) => type === "text").map(({ text }) => text).join("");
const shown = (chat) => ({
  status: chat.status,
  error: chat.error && {
    name: chat.error.name,
    message: chat.error.message,
    statusCode: chat.error.statusCode,
  },
  messages: structuredClone(chat.messages),
  finishReason: chat.finished?.finishReason,
  isAbort: chat.finished?.isAbort,
});
const release = ({ simulator }) => fetch(`${simulator}/simulator/release`, { method: "POST" });

async function until(condition) {
  while (!condition()) await new Promise((resolve) => { setImmediate(resolve); });
}

export async function send(given) {
  const chat = chatOf(given);
  for (const text of given.prompts) await chat.sendMessage({ text });
  return shown(chat);
}

export async function sendWithNewId({ prompt, ...given }) {
  const chat = chatOf(given);
  await chat.sendMessage({ text: prompt });
  return { id: chat.id, ...shown(chat) };
}

export async function stream({ prompt, ...given }) {
  const message = { id: "question-1", role: "user", parts: [{ type: "text", text: prompt }] };
  const chunks = await transportOf(given).sendMessages({
    chatId: given.id, messages: [message], trigger: "submit-message",
  });
  const [raw, read] = chunks.tee();
  let last;
  for await (last of readUIMessageStream({ stream: read }));
  const types = [];
  for await (const { type } of raw) if (types.at(-1) !== type) types.push(type);
  return { message: last, types };
}

export async function regenerate({ prompt, named, ...given }) {
  const chat = chatOf(given);
  await chat.sendMessage({ text: prompt });
  const before = structuredClone(chat.messages);
  const messageId = named ? chat.lastMessage.id : undefined;
  await chat.regenerate({ messageId });
  return { before, ...shown(chat) };
}

export async function edit({ prompts, ...given }) {
  const chat = chatOf(given);
  await chat.sendMessage({ text: prompts[0] });
  await chat.sendMessage({ text: prompts[1], messageId: chat.messages[0].id });
  return shown(chat);
}

// A page that leaves in mid-answer, and a page that is opened then.
export async function resume({ prompt, ...given }) {
  const left = chatOf(given);
  const sending = left.sendMessage({ text: prompt });
  await until(() => left.lastMessage?.role === "assistant" && textOf(left.lastMessage));
  await left.stop();
  await sending;
  const opened = chatOf(given, { messages: [left.messages[0]] });
  const resuming = opened.resumeStream();
  await until(() => opened.lastMessage.role === "assistant" && textOf(opened.lastMessage));
  await release(given);
  await resuming;
  const nothing = await transportOf(given).reconnectToStream({ chatId: given.id });
  return { left: shown(left), opened: shown(opened), nothing };
}

export async function resumeNothing(given) {
  const chat = chatOf(given);
  await chat.resumeStream();
  return shown(chat);
}

// The connection of a page is lost in mid-answer, and it goes on with the same state.
export async function reconnect({ prompt, ...given }) {
  let lose;
  let lost = false;
  const transport = new DefaultChatTransport({
    api: apiOf(given),
    body: given.body,
    fetch: async (url, options) => {
      const response = await fetch(url, options);
      if (options.method !== "POST") return response;
      const reader = response.body.getReader();
      const body = new ReadableStream({
        start(controller) {
          lose = () => {
            lost = true;
            controller.error(new TypeError("network error"));
          };
          (async () => {
            for (;;) {
              const { done, value } = await reader.read();
              if (done || lost) return;
              controller.enqueue(value);
            }
          })();
        },
      });
      return new Response(body, response);
    },
  });
  const chat = new Chat({ id: given.id, transport });
  const sending = chat.sendMessage({ text: prompt });
  await until(() => chat.lastMessage?.role === "assistant" && textOf(chat.lastMessage));
  lose();
  await sending;
  const before = shown(chat);
  const resuming = chat.resumeStream();
  await until(() => chat.status === "streaming");
  await release(given);
  await resuming;
  return { before, ...shown(chat) };
}

export async function tools({ prompt, output, ...given }) {
  const chat = chatOf(given, {
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall: { toolCallId, toolName } }) => {
      void chat.addToolOutput({ tool: toolName, toolCallId, output });
    },
  });
  await chat.sendMessage({ text: prompt });
  return shown(chat);
}

// The page is opened anew while the answer that follows a tool call is being said.
export async function resumeAfterTools({ prompt, output, ...given }) {
  const left = chatOf(given, {
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall: { toolCallId, toolName } }) => {
      void left.addToolOutput({ tool: toolName, toolCallId, output });
    },
  });
  const sending = left.sendMessage({ text: prompt });
  await until(() => left.lastMessage?.role === "assistant" && textOf(left.lastMessage));
  await left.stop();
  await sending;
  const opened = chatOf(given, { messages: left.messages });
  const resuming = opened.resumeStream();
  await until(() => opened.status === "streaming");
  await release(given);
  await resuming;
  return { left: shown(left), opened: shown(opened) };
}

// Somebody stops the turn on the server; the page is told.
export async function stopped({ prompt, ...given }) {
  const chat = chatOf(given);
  const sending = chat.sendMessage({ text: prompt });
  await until(() => chat.lastMessage?.role === "assistant" && textOf(chat.lastMessage));
  const { conversationId, turnId } = chat.lastMessage.metadata;
  await fetch(`${given.url}/conversations/${conversationId}/turns/${turnId}/stop`, {
    method: "POST",
  });
  await sending;
  return shown(chat);
}

// The page stops reading: with `onDisconnect: "cancel"` that stops the turn.
export async function abort({ prompt, ...given }) {
  const chat = chatOf(given);
  const sending = chat.sendMessage({ text: prompt });
  await until(() => chat.lastMessage?.role === "assistant" && textOf(chat.lastMessage));
  await chat.stop();
  await sending;
  return shown(chat);
}

export async function text({ prompt, ...given }) {
  const transport = new TextStreamChatTransport({
    api: apiOf(given), body: given.body, headers: { accept: "text/plain" },
  });
  const chat = new Chat({ id: given.id, transport });
  await chat.sendMessage({ text: prompt });
  return shown(chat);
}

export async function resumeText({ prompt, ...given }) {
  const transport = new TextStreamChatTransport({
    api: apiOf(given), headers: { accept: "text/plain" },
  });
  const left = new Chat({ id: given.id, transport });
  const sending = left.sendMessage({ text: prompt });
  await until(() => left.lastMessage?.role === "assistant" && textOf(left.lastMessage));
  await left.stop();
  await sending;
  const opened = new Chat({ id: given.id, transport, messages: [left.messages[0]] });
  const resuming = opened.resumeStream();
  await until(() => opened.lastMessage.role === "assistant" && textOf(opened.lastMessage));
  await release(given);
  await resuming;
  return shown(opened);
}

export async function heartbeats({ chunks, ...given }) {
  return serving(chunks, "text/event-stream", (url) => send({ ...given, url, prompts: ["x"] }));
}
