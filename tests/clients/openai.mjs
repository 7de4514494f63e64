// openai-node, unmodified. What to do, and where, comes as JSON on standard input.
import OpenAI from "openai";

let input = "";
for await (const part of process.stdin) input += part;
const given = JSON.parse(input);
const client = new OpenAI({ baseURL: `${given.url}/v1`, apiKey: "any", maxRetries: 0 });

const user = (content) => ({ role: "user", content });
const tools = [
  {
    type: "function",
    function: { name: "look", parameters: { type: "object", properties: { x: { type: "integer" } } } },
  },
];
const call = '[simulate: tool name=look arguments="{\\"x\\": 1}"]';
const asked = (text, more) => ({ model: "default", messages: [user(text)], ...more });
const shown = (error) => ({
  kind: error.constructor.name,
  status: error.status,
  code: error.code,
  param: error.param,
  retryAfter: error.headers?.get("retry-after") ?? null,
});
const failing = async (work) => {
  try {
    return { value: await work() };
  } catch (error) {
    return shown(error);
  }
};

const scenarios = {
  async whole() {
    const answer = await client.chat.completions.create(asked("[simulate: say text=Hello]"));
    return [answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage];
  },

  async stream() {
    const stream = await client.chat.completions.create(
      asked('[simulate: say text="Hello, world"]', {
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    let text = "";
    let usage = null;
    let reason = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      reason = chunk.choices[0]?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
    }
    return [text, reason, usage];
  },

  async tools() {
    const runner = client.chat.completions.stream(asked(call, { tools }));
    const { message } = (await runner.finalChatCompletion()).choices[0];
    const [made] = message.tool_calls;
    const result = { role: "tool", tool_call_id: made.id, content: "forty-two" };
    const last = await client.chat.completions.create({
      model: "default",
      messages: [user(call), message, result],
      tools,
    });
    return [made.function, last.choices[0].message.content];
  },

  // The SDK's own loop of calls and results.
  async runTools() {
    const runner = client.chat.completions.runTools({
      model: "default",
      messages: [user(call)],
      stream: true,
      tools: [
        {
          type: "function",
          function: {
            name: "look",
            parameters: tools[0].function.parameters,
            parse: JSON.parse,
            function: ({ x }) => `found ${x + 41}`,
          },
        },
      ],
    });
    return await runner.finalContent();
  },

  async errors() {
    const found = [];
    for (const fields of given.asked) {
      found.push(await failing(() => client.chat.completions.create({ ...asked("Hello"), ...fields })));
    }
    return found;
  },

  async lateError() {
    const answer = await client.chat.completions.create(asked("Hello"));
    return [answer.error.code, await failing(async () => answer.choices[0].message.content)];
  },

  async errorInStream() {
    const stream = await client.chat.completions.create(
      asked('[simulate: say text="a b"] [simulate: error after=1]', { stream: true }),
    );
    const said = [];
    const error = await failing(async () => {
      for await (const chunk of stream) said.push(chunk.choices[0].delta.content);
    });
    return [said, error];
  },

  async abort() {
    const stream = await client.chat.completions.create(
      asked('[simulate: say text="a b"] [simulate: hold after=1]', { stream: true }),
    );
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content) stream.controller.abort();
    }
    return stream.controller.signal.aborted;
  },

  async conversation() {
    const said = [];
    for (const key of ["first", "second", "second"]) {
      const { data, response } = await client.chat.completions
        .create(asked(`[simulate: say text=${key}]`, { metadata: { conversation_id: given.id } }), {
          headers: { "Idempotency-Key": key },
        })
        .withResponse();
      said.push([data.choices[0].message.content, data.id, response.headers.get("x-turn-id")]);
    }
    return said;
  },

  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    const one = await client.models.retrieve("AZURE_OPENAI/chat");
    return [ids, one.id, await failing(() => client.models.retrieve("nonesuch"))];
  },
};

process.stdout.write(JSON.stringify(await scenarios[given.scenario]()));
