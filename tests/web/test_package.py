"""The package folder: what is packed, that it works where it is installed, and its types."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.web.conftest import PACKAGE, Stack
from tests.web.runtimes import find_node, run_node, run_program
from tests.web.tsc import ROOT, check

FILES = {"package.json", "README.md", "client.js", "client.d.ts"}
PROGRAM = """
import { ChatClient, ChatError, newId } from "streaming-chat-client";

const [url, release] = process.argv.slice(2);
const chat = new ChatClient({ baseUrl: url });
const told = {};

// Run a turn, leave it in mid-answer, go on after what was seen.
const conversationId = newId();
const turnId = newId();
const say = '[simulate: reasoning text="Hm."] [simulate: say text="one two three four"]';
const userPrompt = `${say} [simulate: hold after=2]`;
const seen = [];
const leaving = chat.run({ conversationId, turnId, userPrompt });
for await (const event of leaving) {
  seen.push(event);
  if (words(seen).includes("two")) break;
}
told.types = [...new Set(seen.map((event) => event.type))];
told.before = words(seen);
told.running = (await chat.conversation(conversationId)).runningTurnId === turnId;

const resuming = all(chat.attach(conversationId, turnId, { after: seen.at(-1).position }));
await fetch(release, { method: "POST" });
const resumed = await resuming;
told.after = words(resumed);
told.end = resumed.at(-1);

// Attach to the ended turn: all of it again, after any position the rest, after the end nothing.
const whole = await all(chat.attach(conversationId, turnId));
told.whole = words(whole);
told.replayed = [];
for (const { position: after } of whole) {
  told.replayed.push((await all(chat.attach(conversationId, turnId, { after }))).length);
}

// Stop one.
const stopping = newId();
const endless = `${say} [simulate: hold after=1]`;
const ended = [];
for await (const event of chat.run({ conversationId, turnId: stopping, userPrompt: endless })) {
  ended.push(event);
  if (event.type === "delta") told.stopped = await chat.stop(conversationId, stopping);
}
told.cancelled = ended.at(-1).finishReason;

// Refusals.
told.unknown = await chat.stop(conversationId, "unknown").catch((error) => error.code);
const blank = chat.run({ userPrompt: " " }).next();
told.refused = await blank.catch((error) => [error instanceof ChatError, error.errors[0].field]);

// Conversations.
told.listed = (await chat.conversations({ limit: 1 })).items[0].id === conversationId;
const first = await chat.messages(conversationId, { limit: 1 });
const rest = await chat.messages(conversationId, { limit: 100, cursor: first.nextCursor });
told.messages = [...first.items, ...rest.items].map(({ role, content, reasoning }) => {
  return { role, content, reasoning };
});
told.renamed = (await chat.rename(conversationId, "Rome")).title;
const file = JSON.parse(await (await chat.export(conversationId)).text());
told.exported = [file.conversation.title, file.messages.length];
await chat.remove(conversationId);
told.removed = await chat.conversation(conversationId).catch((error) => error.code);
told.actions = (await chat.actions()).items.map((action) => action.name);

process.stdout.write(JSON.stringify(told));

async function all(events) {
  const read = [];
  for await (const event of events) read.push(event);
  return read;
}

function words(events) {
  return events.map((event) => (event.type === "delta" ? event.text : "")).join("");
}
"""
RIGHT = """
import {
  ChatClient, ChatError, EventStreamParser, newId,
  type ChatEvent, type ChatRequest, type Citation, type ClientOptions, type Conversation,
  type FinishReason, type FollowOptions, type HeaderFields, type Message, type ToolCall,
  type ToolResult, type TurnError, type TurnState, type Usage,
} from "streaming-chat-client";

const options: ClientOptions = {
  baseUrl: "https://example.com/api", fetch, retryPauses: [1, 2], silenceLimit: 5,
  headers: async (): Promise<HeaderFields> => ({ authorization: "Bearer x" }),
};
const chat = new ChatClient(options);
new ChatClient();
new ChatClient({ headers: { "x-y": "z" } });

export function told(event: ChatEvent): string | number | boolean | Citation[] {
  switch (event.type) {
    case "start": return event.new && (event.conversationId ?? event.turnId ?? event.model);
    case "citations": return event.documents;
    case "reasoning": return event.text;
    case "delta": return event.text + event.position;
    case "tool_call": return event.index + event.arguments;
    case "error": return event.retryable;
    case "end": return event.usage.totalTokens + (event.result["response"] ?? "");
    default: { const never: never = event; return never; }
  }
}

const request: ChatRequest = {
  userPrompt: "Hi", conversationId: newId(), action: "default", temperature: 0, store: true,
  history: [{ role: "user", content: "x" }], context: [{ content: "c", title: "t" }],
  options: { top_p: 1 }, onDisconnect: "cancel", replaces: "t", maxCompletionTokens: 5,
};
const results: ToolResult[] = [{ id: "call_1", content: "18°" }];
const goingOn: ChatRequest = { conversationId: "c", toolResults: results, replaces: "t" };
for await (const event of chat.run(goingOn)) told(event);
const following: FollowOptions = {
  signal: AbortSignal.timeout(5), onReconnect: (attempt: number) => void attempt,
};
for await (const event of chat.run(request, following)) told(event);
for await (const event of chat.attach("c", "t", { after: "0.1", ...following })) told(event);
const state: TurnState = await chat.stop("c", "t");
const reason: FinishReason | null = state.finishReason;
const usage: Usage | null = state.usage;
let cursor: string | null = null;
do {
  const page: { items: Conversation[]; nextCursor: string | null } =
    await chat.conversations({ cursor });
  cursor = page.nextCursor;
} while (cursor);
const messages: Message[] = (await chat.messages("c", { limit: 1, cursor })).items;
const calls: ToolCall[] = messages[0]?.toolCalls ?? [];
const error: TurnError | undefined = messages[0]?.error;
const title: string = (await chat.rename("c", "t")).title;
const file: Blob = await chat.export("c", { signal: AbortSignal.abort() });
const nothing: void = await chat.remove("c", { keepalive: true });
const parsed: string[] = new EventStreamParser().push(new Uint8Array());
try {
  await chat.actions();
} catch (thrown) {
  if (thrown instanceof ChatError) console.log(thrown.code, thrown.retryAfter?.toFixed());
}
console.log(reason, usage, calls, error, title, file, nothing, parsed);
"""
WRONG = {
    'chat.run({ conversationId: "c" });': "TS2345",
    'chat.run({ userPrompt: "Hi", userPromt: "Hi" });': "TS2561",
    "chat.run({ userPrompt: 7 });": "TS2322",
    'chat.run({ userPrompt: "Hi", onDisconnect: "stop" });': "TS2322",
    'chat.run({ userPrompt: "Hi", history: [{ role: "system", content: "x" }] });': "TS2322",
    'chat.run({ userPrompt: "Hi" }, { signal: new AbortController() });': "TS2740",
    'chat.run({ conversationId: "c", userPrompt: "Hi", toolResults: [] });': "TS2345",
    'chat.run({ toolResults: [{ id: "a", content: "b" }] });': "TS2345",
    'chat.run({ conversationId: "c", toolResults: [{ id: "a" }] });': "TS2741",
    'chat.attach("c");': "TS2554",
    'chat.attach("c", "t", { after: 5 });': "TS2322",
    'chat.rename("c");': "TS2554",
    'const title: number = (await chat.rename("c", "t")).title;': "TS2322",
    "chat.unknown();": "TS2339",
    'new ChatClient({ baseURL: "/api" });': "TS2561",
    "new ChatClient({ headers: () => 5 });": "TS2322",
    'new ChatClient({ retryPauses: "none" });': "TS2322",
    'for await (const event of chat.attach("c", "t")) event.text;': "TS2339",
    'for await (const { type } of chat.attach("c", "t")) type === "done";': "TS2367",
    "import { Connection } from 'streaming-chat-client';": "TS2305",
    "import { Call } from 'streaming-chat-client';": "TS2305",
    "import { newId } from 'streaming-chat-client/client.js';": "TS2307",
}


def test_the_package_holds_the_client_its_types_and_a_page(tarball: Path) -> None:
    assert tarball.name == "streaming-chat-client-0.1.0.tgz"
    with tarfile.open(tarball) as packed:
        files = {name.removeprefix("package/") for name in packed.getnames()}
    assert files == FILES


def test_the_package_needs_nothing() -> None:
    described = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    assert not {name for name in described if name.lower().endswith("dependencies")}
    assert "private" not in described
    assert set(described["files"]) == {"client.js", "client.d.ts"}
    assert (described["type"], described["sideEffects"]) == ("module", False)


async def test_the_types_are_those_of_today(tmp_path: Path) -> None:
    _, npm = find_node()
    made = ("run", "--silent", "types", "--", "--outDir", str(tmp_path))
    await run_program(npm, *made, cwd=PACKAGE)
    today = (tmp_path / "client.d.ts").read_text("utf-8")
    advice = "client.js has changed: run `npm run types` in web/client."
    assert (PACKAGE / "client.d.ts").read_text("utf-8") == today, advice


async def test_an_installed_client_does_all_that_it_can(project: Path, stack: Stack) -> None:
    (project / "program.mjs").write_text(PROGRAM, "utf-8")
    release = f"{stack.model.url}/simulator/release"
    told = json.loads(await run_node("program.mjs", stack.url, release, cwd=project))

    assert told["types"] == ["start", "reasoning", "delta"]
    assert (told["before"] + told["after"], told["running"]) == ("one two three four", True)
    assert told["end"]["finishReason"] == "stop"
    assert told["end"]["result"] == {"response": "one two three four"}
    assert told["whole"] == "one two three four"
    assert told["replayed"] == list(reversed(range(len(told["replayed"]))))

    assert told["stopped"]["state"] == "ended"
    assert told["cancelled"] == told["stopped"]["finishReason"] == "cancelled"
    assert told["unknown"] == "not_found"
    assert told["refused"] == [True, "userPrompt"]

    assert told["listed"]
    stopped, _, answer, _ = told["messages"]
    assert stopped["content"].strip() == "one"
    assert answer == {"role": "assistant", "content": "one two three four", "reasoning": "Hm."}
    assert told["renamed"] == "Rome"
    assert told["exported"] == ["Rome", 4]
    assert told["removed"] == "not_found"
    assert told["actions"] == ["default"]
    assert len(await stack.model.requests()) == 2


@pytest.mark.parametrize("module", ["nodenext", "esnext"])
async def test_right_uses_compile(project: Path, module: str) -> None:
    resolution = "nodenext" if module == "nodenext" else "bundler"
    options = {"module": module, "moduleResolution": resolution}
    assert await check(project, {"right.mts": RIGHT}, **options) == []


async def test_right_uses_compile_for_node_alone(project: Path) -> None:
    """Without the types of a browser, with those of Node.js."""
    options = {
        "lib": ["es2023"],
        "types": ["node"],
        "typeRoots": [str(ROOT / "node_modules" / "@types")],
    }
    assert await check(project, {"right.mts": RIGHT}, **options) == []


async def test_wrong_uses_do_not_compile(project: Path) -> None:
    head = 'import { ChatClient } from "streaming-chat-client";\nconst chat = new ChatClient();\n'
    files = {f"wrong{n}.mts": f"{head}{use}\nexport {{}};\n" for n, use in enumerate(WRONG)}
    found = {name: code for name, line, code in await check(project, files) if line == 3}
    named = {use: found.get(f"wrong{n}.mts") for n, use in enumerate(WRONG)}
    assert named == WRONG
