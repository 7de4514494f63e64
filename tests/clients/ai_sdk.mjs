// The AI SDK with its provider for OpenAI-compatible services, both unmodified.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount, jsonSchema, streamText, tool } from "ai";

let input = "";
for await (const part of process.stdin) input += part;
const given = JSON.parse(input);
const provider = createOpenAICompatible({
  name: "backend",
  baseURL: `${given.url}/v1`,
  apiKey: "any",
  headers: given.headers,
  includeUsage: true,
});
const model = provider("default");

const schema = jsonSchema({ type: "object", properties: { x: { type: "integer" } } });
const tools = {
  look: tool({
    description: "Looks something up.",
    inputSchema: schema,
    execute: async ({ x }) => `found ${x + 41}`,
  }),
};
const call = '[simulate: tool name=look arguments="{\\"x\\": 1}"]';

const scenarios = {
  async generate() {
    const answer = await generateText({
      model,
      system: "Be brief.",
      prompt: "[simulate: reasoning text=hm] [simulate: say text=Hello]",
      maxOutputTokens: 50,
    });
    return [answer.text, answer.finishReason, answer.usage, answer.reasoningText];
  },

  async stream() {
    const result = streamText({
      model,
      prompt: '[simulate: reasoning text=hm] [simulate: say text="Hello, world"]',
    });
    let text = "";
    for await (const part of result.textStream) text += part;
    return [text, await result.finishReason, await result.usage, await result.reasoningText];
  },

  async tools() {
    const answer = await generateText({ model, prompt: call, tools, stopWhen: isStepCount(3) });
    return [answer.steps.length, answer.text];
  },

  async streamedTools() {
    const result = streamText({ model, prompt: call, tools, stopWhen: isStepCount(3) });
    const kinds = [];
    for await (const part of result.fullStream) kinds.push(part.type);
    return [kinds, await result.text];
  },

  async errors() {
    const found = [];
    for (const prompt of given.prompts) {
      try {
        await generateText({ model, prompt, maxRetries: 0 });
      } catch (error) {
        found.push([error.name, error.statusCode, error.data?.error?.code]);
      }
    }
    return found;
  },

  async errorInStream() {
    const errors = [];
    const result = streamText({
      model,
      prompt: '[simulate: say text="a b"] [simulate: error after=1]',
      maxRetries: 0,
      onError: () => {},
    });
    let text = "";
    for await (const part of result.fullStream) {
      if (part.type === "text-delta") text += part.text;
      if (part.type === "error") errors.push(part.error);
    }
    return [text, errors.map((error) => error.message ?? error)];
  },

  async abort() {
    const leaving = new AbortController();
    const result = streamText({
      model,
      prompt: '[simulate: say text="a b"] [simulate: hold after=1]',
      abortSignal: leaving.signal,
    });
    const kinds = [];
    for await (const part of result.fullStream) {
      kinds.push(part.type);
      if (part.type === "text-delta") leaving.abort();
    }
    return kinds;
  },

  async conversation() {
    const said = [];
    for (const text of ["One", "Two"]) {
      said.push((await generateText({ model, prompt: `[simulate: say text=${text}]` })).text);
    }
    return said;
  },
};

process.stdout.write(JSON.stringify(await scenarios[given.scenario]()));
