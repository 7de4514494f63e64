// What is done with `@microsoft/ai-chat-protocol`; each function is one test's.
import { AIChatProtocolClient } from "@microsoft/ai-chat-protocol";
import { serving } from "./serving.mjs";

const user = (content) => [{ role: "user", content }];
const clientOf = ({ url }) => new AIChatProtocolClient(`${url}/ai-chat`);

async function read(lines) {
  const read = { content: "", reasoning: "", context: {} };
  try {
    for await (const { delta, sessionState, context } of lines) {
      read.role ??= delta.role;
      read.sessionState ??= sessionState;
      read.content += delta.content ?? "";
      read.reasoning += delta.context?.reasoning ?? "";
      Object.assign(read.context, context);
    }
  } catch (error) {
    read.error = error;
  }
  return read;
}

async function thrown(work) {
  try {
    return { value: await work() };
  } catch (error) {
    const { name, message } = error;
    return { error: error instanceof Error ? { name, message } : error };
  }
}

export async function conversation({ prompts, ...given }) {
  const client = clientOf(given);
  const first = await client.getCompletion(user(prompts[0]));
  const { sessionState } = first;
  const lines = await client.getStreamedCompletion(user(prompts[1]), { sessionState });
  return { first, second: await read(lines) };
}

export async function complete({ prompt, context, sessionState, ...given }) {
  return thrown(() => clientOf(given).getCompletion(user(prompt), { context, sessionState }));
}

export async function stream({ prompt, context, sessionState, ...given }) {
  const options = { context, sessionState };
  return thrown(async () =>
    read(await clientOf(given).getStreamedCompletion(user(prompt), options)));
}

export async function files(given) {
  const data = new File(["a file"], "a.txt", { type: "text/plain" }); // bytes it cannot send
  const messages = [{ ...user("x")[0], files: [{ contentType: "text/plain", data }] }];
  const client = clientOf(given);
  return [
    await thrown(() => client.getCompletion(messages)),
    await thrown(() => client.getStreamedCompletion(messages)),
  ];
}

export async function abort({ prompt, ...given }) {
  const aborting = new AbortController();
  const options = { abortSignal: aborting.signal, context: { onDisconnect: "cancel" } };
  const lines = await clientOf(given).getStreamedCompletion(user(prompt), options);
  return thrown(async () => {
    for await (const { delta } of lines) if (delta.content) aborting.abort();
  });
}

export async function heartbeats({ lines, completion }) {
  return {
    stream: await serving(lines, "application/jsonl", (url) => stream({ url, prompt: "x" })),
    complete: await serving(completion, "application/json", (url) =>
      complete({ url, prompt: "x" })),
  };
}
