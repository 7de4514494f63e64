"""The client against a server that misbehaves, in Node.js and in Chromium."""

import asyncio
import json
from email.utils import formatdate
from time import time
from typing import Any

import pytest

from tests.web.misbehaving import (
    SSE,
    Act,
    Event,
    Exchange,
    Misbehaving,
    as_json,
    cut,
    frames,
    held,
    never,
    problem,
    refuse,
    stream,
    told,
)
from tests.web.runtimes import Node, Runtime

USAGE = {"promptTokens": 1, "completionTokens": 2, "totalTokens": 3, "estimated": False}
EVENTS: list[Event] = [
    {"type": "start", "conversationId": "c", "turnId": "t", "action": "default", "model": "m"},
    {"type": "reasoning", "text": "Hm."},
    {"type": "delta", "text": "one "},
    {"type": "delta", "text": "two ✓ 𝄞\u2028"},
    {"type": "tool_call", "index": 0, "id": "i", "name": "n", "arguments": "{}"},
    {"type": "end", "finishReason": "stop", "usage": USAGE, "result": {"response": "one two"}},
]
for number, event in enumerate(EVENTS):
    event["position"] = f"{number}.1"
START, END = EVENTS[0], EVENTS[-1]
HTML = told(200, "text/html; charset=utf-8", b"<!doctype html><title>Log in</title>")
TURN = "/conversations/c/turns/t"
RUN = "return read(make().run({ userPrompt: 'Hi', conversationId: 'c', turnId: 't' }));"
ATTACH = "return read(make().attach('c', 't'));"
PARSED = ["one ✓", "two\n𝄞 more", "\n\u2028end"]
UNPARSED = (
    ": comment\r\n\r\nid: 1\r\nevent: x\r\ndata: one ✓\r\n\r\ndata:two\ndata: 𝄞 more\n\n"
    "data\rdata: \u2028end\r\r: keep-alive\n\ndata: unfinished"
)


class Lab:
    """A runtime and a server that the code it runs can reach."""

    def __init__(self, runtime: Runtime, server: Misbehaving) -> None:
        self.server = server
        self._runtime = runtime

    @property
    def is_node(self) -> bool:
        return self._runtime.name == "node"

    async def run(self, code: str, *acts: Act, **given: Any) -> Any:
        """What the code returns while the server does these acts, one for each request."""
        self.server.will(*acts)
        return await self._runtime.run(code, {"url": self.server.url, **given})

    async def fails(self, code: str, *acts: Act, seen: list[Event] | None = None) -> Any:
        """The error that the code, which reads events, ends in; and what it had read by then."""
        result = await self.run(code, *acts)
        assert result["seen"] == (seen or [])
        return result["error"]


@pytest.fixture
def lab(runtime: Runtime, server: Misbehaving) -> Lab:
    return Lab(runtime, server)


async def test_events_are_read_however_they_are_cut(lab: Lab) -> None:
    code = """
    const bytes = new TextEncoder().encode(given.stream);
    return given.sizes.map((size) => {
      const parser = new client.EventStreamParser();
      const events = [];
      for (let at = 0; at < bytes.length; at += size) {
        events.push(...parser.push(bytes.subarray(at, at + size)));
      }
      return events;
    });
    """
    sizes = [1, 2, 3, 7, 1000]
    assert await lab.run(code, stream=UNPARSED, sizes=sizes) == [PARSED] * len(sizes)


class TestReconnecting:
    async def test_a_connection_cut_after_every_event(self, lab: Lab) -> None:
        result = await lab.run(RUN, *(cut(event) for event in EVENTS))
        assert result == {"seen": EVENTS}
        attached = [f"GET {TURN}/stream?after={event['position']}" for event in EVENTS[:-1]]
        assert lab.server.asked == ["POST /chat", *attached]
        body = lab.server.requests[0].json()
        assert body == {"userPrompt": "Hi", "conversationId": "c", "turnId": "t"}

    async def test_a_connection_cut_within_every_event(self, lab: Lab) -> None:
        # In the middle of a character, too.
        torn = [frames(event)[:-2].rstrip(b'"}') for event in EVENTS[1:]]
        torn[2] = frames(EVENTS[3]).partition("𝄞".encode())[0] + "𝄞".encode()[:2]
        acts = [cut(event, rest) for event, rest in zip(EVENTS, torn, strict=False)]
        assert await lab.run(RUN, *acts, cut(END)) == {"seen": EVENTS}
        assert len(lab.server.requests) == len(EVENTS)

    async def test_the_same_question_is_sent_until_it_is_heard(self, lab: Lab) -> None:
        result = await lab.run(
            "return read(make().run({ userPrompt: 'Hi' }));",
            refuse,
            told(502, "text/html", b"<h1>Bad Gateway</h1>"),
            told(500, None, b""),
            stream(*EVENTS),
        )
        assert result == {"seen": EVENTS}
        assert lab.server.asked == ["POST /chat"] * 4
        assert len({request.body for request in lab.server.requests}) == 1
        body = lab.server.requests[0].json()
        assert len(body["conversationId"]) == len(body["turnId"]) == 32

    @pytest.mark.parametrize("act", [refuse, cut(), told(200, SSE, b"")], ids=["no", "cut", "end"])
    async def test_giving_up_after_the_last_pause(self, lab: Lab, act: Act) -> None:
        code = """
        const told = [];
        const onReconnect = (attempt) => told.push(attempt);
        const options = { conversationId: 'c', turnId: 't', userPrompt: 'Hi' };
        const { seen, error } = await read(make().run(options, { onReconnect }));
        return { seen, error, told: told.filter((attempt) => attempt > 0) };
        """
        result = await lab.run(code, cut(START), *[act] * 3)
        assert result["seen"] == [START]
        assert (result["error"]["code"], result["error"]["status"]) == ("connection_lost", 0)
        assert result["told"] == [1, 2, 3]

    async def test_without_pauses_there_is_one_attempt(self, lab: Lab) -> None:
        code = "return read(make({ retryPauses: [] }).attach('c', 't'));"
        assert (await lab.fails(code, refuse))["code"] == "connection_lost"

    async def test_whoever_watches_is_told(self, lab: Lab) -> None:
        code = """
        const told = [];
        const onReconnect = (attempt) => told.push(attempt);
        await read(make().attach('c', 't', { onReconnect }));
        return told;
        """
        acts = (cut(START), refuse, refuse, cut(EVENTS[1]), stream(*EVENTS[2:]))
        assert await lab.run(code, *acts) == [1, 2, 3, 0, 1, 0]

    async def test_a_turn_without_history_is_not_taken_up_again(self, lab: Lab) -> None:
        code = "return read(make().run({ userPrompt: 'Hi', store: false }));"
        error = await lab.fails(code, cut(START), seen=[START])
        assert error["code"] == "connection_lost"
        assert lab.server.requests[0].json() == {"userPrompt": "Hi", "store": False}
        whole = await lab.run(code, stream(*EVENTS))
        assert whole == {"seen": EVENTS}


class TestSilence:
    async def test_a_connection_that_falls_silent(self, lab: Lab) -> None:
        code = "return read(make({ silenceLimit: 200 }).attach('c', 't'));"
        assert await lab.run(code, held(START), stream(*EVENTS[1:])) == {"seen": EVENTS}
        assert lab.server.asked[1] == f"GET {TURN}/stream?after=0.1"

    async def test_a_server_that_takes_the_request_and_says_nothing(self, lab: Lab) -> None:
        code = """
        const chat = make({ silenceLimit: 400 });
        const { error } = await failing(() => chat.conversations());
        return { error, ...await read(chat.attach('c', 't')) };
        """
        result = await lab.run(code, never, never, stream(*EVENTS))
        assert result["error"]["code"] == "connection_lost"
        assert result["seen"] == EVENTS

    async def test_heartbeats_keep_a_connection(self, lab: Lab) -> None:
        async def beating(exchange: Exchange) -> None:
            await exchange.head()
            await exchange.send_events(START)
            done = asyncio.get_running_loop().time() + 2.5
            while asyncio.get_running_loop().time() < done:
                await exchange.send(b": keep-alive\n\n")
                await asyncio.sleep(0.05)
            await exchange.send_events(*EVENTS[1:])
            await exchange.end()

        code = "return read(make({ silenceLimit: 2000 }).attach('c', 't'));"
        assert await lab.run(code, beating) == {"seen": EVENTS}

    async def test_heartbeats_and_nothing_else_are_not_waited_for_for_ever(self, lab: Lab) -> None:
        error = await lab.fails(ATTACH, *[cut(b": hello\n\n")] * 4)
        assert error["code"] == "connection_lost"

    async def test_heartbeats_of_a_silent_model_are(self, lab: Lab) -> None:
        async def late(exchange: Exchange) -> None:
            await exchange.head()
            await asyncio.sleep(0.2)  # over a fifth of the limit, where it counts
            await exchange.send(b": keep-alive\n\n")
            await exchange.left()

        code = "return read(make({ silenceLimit: 600, retryPauses: [0] }).attach('c', 't'));"
        assert await lab.run(code, late, late, stream(*EVENTS)) == {"seen": EVENTS}

    async def test_a_fetch_that_knows_no_signals(self, lab: Lab) -> None:
        code = """
        const deaf = (url, init) => fetch(url, { ...init, signal: undefined });
        return read(make({ fetch: deaf, silenceLimit: 200 }).attach('c', 't'));
        """
        assert await lab.run(code, held(START), stream(*EVENTS[1:])) == {"seen": EVENTS}


class TestRefusals:
    async def test_a_question_is_refused_once(self, lab: Lab) -> None:
        errors = [{"field": "action", "message": "unknown"}]
        refusals: list[tuple[int, str, dict[str, Any]]] = [
            (400, "invalid_request", {"errors": errors}),
            (409, "conversation_busy", {"turnId": "other"}),
            (429, "overloaded", {}),
            (503, "store_unavailable", {}),
        ]
        for status, code, more in refusals:
            error = await lab.fails(RUN, problem(status, code, more, retry_after="7"))
            assert (error["name"], error["message"]) == ("ChatError", "D")
            assert (error["code"], error["status"], error["retryAfter"]) == (code, status, 7)
            assert error["errors"] == more.get("errors", [])
            assert error.get("turnId") == more.get("turnId")

    async def test_attaching_waits_as_long_as_it_is_told(self, lab: Lab) -> None:
        date = formatdate(time() - 60, usegmt=True)
        result = await lab.run(
            RUN,
            cut(START),
            problem(429, "overloaded", retry_after="1"),
            problem(503, "store_unavailable", retry_after=date),
            stream(*EVENTS[1:]),
        )
        assert result == {"seen": EVENTS}
        _, refused, again, _ = lab.server.requests
        assert again.at - refused.at >= 0.95

    async def test_attaching_does_not_wait_for_an_hour(self, lab: Lab) -> None:
        act = problem(429, "overloaded", retry_after="3600")
        error = await lab.fails(RUN, cut(START), act, seen=[START])
        assert (error["code"], error["retryAfter"]) == ("overloaded", 3600)

    async def test_attaching_gives_up_with_what_it_was_told(self, lab: Lab) -> None:
        error = await lab.fails(ATTACH, *[problem(503, "store_unavailable")] * 4)
        assert (error["code"], error["status"]) == ("store_unavailable", 503)

    async def test_attaching_is_refused_once(self, lab: Lab) -> None:
        for status, code in [
            (400, "invalid_request"),
            (401, "unauthenticated"),
            (404, "not_found"),
        ]:
            assert (await lab.fails(ATTACH, problem(status, code)))["code"] == code

    async def test_an_error_that_is_not_the_backends(self, lab: Lab) -> None:
        bodies: list[tuple[str | None, bytes]] = [
            ("text/html", b"<h1>Not here</h1>"),
            ("application/json", b'{"code": "theirs"}'),
            ("application/problem+json", b"<h1>"),
            ("application/problem+json", b'{"code": 7}'),
            ("application/problem+json", b"null"),
            (None, b""),
        ]
        code = """
        const errors = [];
        for (let n = 0; n < given.n; n += 1) {
          errors.push((await read(make().run({ userPrompt: "Hi" }))).error);
        }
        return errors;
        """
        acts = [told(404, kind, body, retry_after="soon") for kind, body in bodies]
        for error in await lab.run(code, *acts, n=len(acts)):
            assert (error["code"], error["status"], error["errors"]) == ("http_404", 404, [])
            assert error["message"] == "The server answered 404 As Told."
            assert "retryAfter" not in error

    async def test_a_problem_with_odd_fields(self, lab: Lab) -> None:
        odd = {"detail": None, "title": "Odd", "errors": "x", "turnId": 5}
        error = await lab.fails(RUN, problem(400, "invalid_request", odd))
        assert (error["message"], error["errors"]) == ("Odd", [])
        assert "turnId" not in error

    async def test_a_gateway_that_never_reaches_the_backend(self, lab: Lab) -> None:
        error = await lab.fails(RUN, *[told(502, "text/html", b"<h1>Bad Gateway</h1>")] * 4)
        assert (error["code"], error["status"]) == ("http_502", 502)
        result = await lab.run("return failing(() => make().actions());", told(502, None, b""))
        assert result["error"]["code"] == "http_502"


class TestStrangeAnswers:
    async def test_a_log_in_page_is_no_answer(self, lab: Lab) -> None:
        code = """
        const chat = make();
        const asking = [
          () => chat.run({ userPrompt: "Hi" }).next(),
          () => chat.run({ userPrompt: "Hi", store: false }).next(),
          () => chat.attach("c", "t").next(),
          () => chat.attach("c", "t", { after: "0.1" }).next(),
          () => chat.conversations(),
          () => chat.stop("c", "t"),
          () => chat.export("c"),
          () => chat.remove("c"),
        ];
        const errors = [];
        for (const ask of asking) errors.push((await failing(ask)).error);
        return errors;
        """
        for error in await lab.run(code, *[HTML] * 8):
            assert (error["code"], error["status"]) == ("http_200", 200)
            assert "text/html" in error["message"]
        away = told(302, None, b"", location="https://login.example.com/")
        for error in await lab.run(code, *[away] * 8):
            assert error["code"] == "unauthenticated"

    @pytest.mark.parametrize(
        "bad", [b"data: {]\n\n", b"data: null\n\n", b'data: {"type": "delta"}\n\n', b"data:\n\n"]
    )
    async def test_what_is_no_event(self, lab: Lab, bad: bytes) -> None:
        async def act(exchange: Exchange) -> None:
            await exchange.head()
            await exchange.send(frames(*EVENTS[:2]) + bad + frames(EVENTS[2]))
            await exchange.left()

        error = await lab.fails(RUN, act, seen=EVENTS[:2])
        assert error["code"] == "invalid_answer"

    async def test_what_is_no_json(self, lab: Lab) -> None:
        code = "return failing(() => make().conversation('c'));"
        result = await lab.run(code, told(200, "application/json", b"{"))
        assert result["error"]["code"] == "invalid_answer"

    async def test_an_answer_that_breaks_off(self, lab: Lab) -> None:
        async def act(exchange: Exchange) -> None:
            await exchange.head(200, "application/json")
            await exchange.send(b'{"items": [')

        for code in ("messages('c')", "export('c')"):
            result = await lab.run(f"return failing(() => make().{code});", act)
            assert result["error"]["code"] == "connection_lost"

    async def test_nothing_comes_after_the_end(self, lab: Lab) -> None:
        nothing = told(204, None, b"")
        code = "return read(make().attach('c', 't', { after: given.after }));"
        assert await lab.run(code, nothing, after="5.1") == {"seen": []}
        assert lab.server.asked == [f"GET {TURN}/stream?after=5.1"]
        for other in (RUN, ATTACH):
            assert (await lab.fails(other, nothing))["code"] == "http_204"


class TestLeaving:
    """`/left` is answered once the connection is closed, while the program still runs."""

    async def test_breaking_out_of_the_loop_closes_the_connection(self, lab: Lab) -> None:
        code = """
        for await (const event of make().run({ userPrompt: 'Hi' })) break;
        return (await fetch(`${given.url}/left`)).text();
        """
        assert await lab.run(code, held(*EVENTS[:3])) == "left"

    async def test_so_does_an_error_in_the_loop(self, lab: Lab) -> None:
        code = """
        const deaf = (url, init) => fetch(url, { ...init, signal: undefined });
        try {
          for await (const event of make({ fetch: deaf }).attach('c', 't')) throw new Error("mine");
        } catch (error) {
          return error.message + (await (await fetch(`${given.url}/left`)).text());
        }
        """
        assert await lab.run(code, held(*EVENTS[:3])) == "mineleft"

    async def test_an_aborted_signal_ends_it_wherever_it_is(self, lab: Lab) -> None:
        code = """
        const abort = new AbortController();
        const reason = new Error("enough");
        if (!given.at) void fetch(`${given.url}/asked`).then(() => abort.abort(reason));
        const seen = [];
        try {
          for await (const event of make().attach('c', 't', { signal: abort.signal })) {
            seen.push(event);
            // Later, when the next one is being waited for.
            if (event.type === given.at) setTimeout(() => abort.abort(reason));
          }
        } catch (error) {
          await fetch(`${given.url}/left`);
          return { seen, same: error === reason };
        }
        """
        waiting = await lab.run(code, never, at="")
        reading = await lab.run(code, held(*EVENTS[:2]), at="reasoning")
        assert waiting == {"seen": [], "same": True}
        assert reading == {"seen": EVENTS[:2], "same": True}

    async def test_an_aborted_signal_ends_a_pause(self, lab: Lab) -> None:
        code = """
        const abort = new AbortController();
        const chat = make({ retryPauses: [3_600_000] });
        void fetch(`${given.url}/asked`).then(() => abort.abort(new Error("enough")));
        return (await read(chat.attach('c', 't', { signal: abort.signal }))).error.message;
        """
        assert await lab.run(code, refuse) == "enough"

    async def test_nothing_is_yielded_after_an_abort(self, lab: Lab) -> None:
        code = """
        const abort = new AbortController();
        const seen = [];
        try {
          for await (const event of make().attach('c', 't', { signal: abort.signal })) {
            seen.push(event.type);
            abort.abort();
          }
        } catch (error) {
          return [...seen, error.name];
        }
        """
        assert await lab.run(code, stream(*EVENTS)) == ["start", "AbortError"]

    async def test_what_was_aborted_before_sends_nothing(self, lab: Lab) -> None:
        code = """
        const signal = AbortSignal.abort();
        const chat = make();
        const { error } = await read(chat.run({ userPrompt: 'Hi' }, { signal }));
        const results = await Promise.all([
          chat.actions({ signal }), chat.conversations({ signal }),
          chat.conversation('c', { signal }), chat.messages('c', { signal }),
          chat.export('c', { signal }), chat.stop('c', 't', { signal }),
          chat.rename('c', 'x', { signal }), chat.remove('c', { signal }),
        ].map((work) => failing(() => work)));
        return [error.name, ...results.map((result) => result.error.name)];
        """
        assert await lab.run(code) == ["AbortError"] * 9
        assert lab.server.requests == []

    async def test_a_call_can_be_aborted(self, lab: Lab) -> None:
        code = """
        const abort = new AbortController();
        void fetch(`${given.url}/asked`).then(() => abort.abort());
        const { error } = await failing(() => make().messages('c', { signal: abort.signal }));
        await fetch(`${given.url}/left`);
        return error.name;
        """
        assert await lab.run(code, never) == "AbortError"

    async def test_no_listener_stays_behind(self, node: Node, server: Misbehaving) -> None:
        code = """
        const { getEventListeners } = await import("node:events");
        const { signal } = new AbortController();
        const chat = make();
        await read(chat.attach('c', 't', { signal }));
        await failing(() => chat.conversations({ signal }));
        await failing(() => chat.conversations({ signal }));
        for await (const event of chat.attach('c', 't', { signal })) break;
        return getEventListeners(signal, "abort").length;
        """
        server.will(cut(START), refuse, stream(*EVENTS[1:]), as_json({}), HTML, held(START))
        assert await node.run(code, {"url": server.url}) == 0


class TestHeaders:
    async def test_they_go_with_every_request(self, lab: Lab) -> None:
        code = """
        let tokens = 0;
        const headers = async () => ({ authorization: `Bearer ${++tokens}`, Accept: "x/y" });
        const chat = make({ headers });
        await read(chat.run({ userPrompt: 'Hi' }));
        await chat.rename("c", "x");
        await make({ headers: { "x-mine": "1" } }).remove("c");
        """
        acts = (cut(START), stream(*EVENTS[1:]), as_json({}), told(204, None, b""))
        await lab.run(code, *acts)
        asking, attaching, renaming, removing = (each.headers for each in lab.server.requests)
        assert asking["authorization"] == "Bearer 1"
        assert attaching["authorization"] == "Bearer 2"
        assert renaming["authorization"] == "Bearer 3"
        assert removing["x-mine"] == "1"
        assert [asking["accept"], attaching["accept"]] == [SSE, SSE]
        assert renaming["accept"] == "application/json"
        assert asking["content-type"] == renaming["content-type"] == "application/json"
        assert "content-type" not in attaching

    async def test_what_their_function_throws_comes_to_the_caller(self, lab: Lab) -> None:
        code = """
        const mine = new Error("sign in");
        let calls = 0;
        const throwing = make({ headers: () => { calls += 1; throw mine; } });
        const rejecting = make({ headers: () => Promise.reject(mine) });
        const late = make({ headers: () => { if (calls++ > 1) throw mine; return {}; } });
        const first = await read(throwing.run({ userPrompt: 'Hi' }));
        const second = await failing(() => rejecting.conversations());
        const third = await read(late.attach('c', 't'));
        return { errors: [first, second, third].map((each) => each.error.message), third, calls };
        """
        result = await lab.run(code, cut(START))
        assert result["errors"] == ["sign in"] * 3
        assert (result["third"]["seen"], result["calls"]) == ([START], 3)
        assert len(lab.server.requests) == 1

    async def test_waiting_for_them_can_be_aborted(self, lab: Lab) -> None:
        code = """
        const abort = new AbortController();
        const headers = () => new Promise(() => setTimeout(() => abort.abort()));
        const { error } = await read(make({ headers }).attach('c', 't', { signal: abort.signal }));
        return error.name;
        """
        assert await lab.run(code) == "AbortError"

    async def test_bad_ones_are_the_callers_mistake(self, lab: Lab) -> None:
        code = "return failing(() => make({ headers: { 'x y': '1' } }).actions());"
        assert (await lab.run(code))["error"]["name"] == "TypeError"


class TestSeveral:
    async def test_clients_and_turns_do_not_know_each_other(self, lab: Lab) -> None:
        code = """
        const one = make({ headers: { "x-who": "one" } });
        const two = make({ headers: { "x-who": "two" } });
        const follow = [one.attach("a", "t"), one.attach("b", "t"), two.attach("a", "t")];
        const seen = await Promise.all(follow.map(async (events) => {
          let text = "";
          for await (const event of events) {
            if (event.type === "start") await tell(event);
            if (event.type === "delta") text += event.text;
          }
          return text;
        }));
        return seen;
        """
        turns = {("one", "a"): "A", ("one", "b"): "B", ("two", "a"): "C"}

        async def act(exchange: Exchange) -> None:
            conversation = exchange.target.split("/")[3]
            await exchange.head()
            if "after" not in exchange.target:
                await exchange.send_events(START)
                await lab.server.until_seen(START["position"], len(turns))
                return  # cut, all at once
            text = turns[exchange.headers["x-who"], conversation]
            await exchange.send_events({"type": "delta", "text": text, "position": "1.1"}, END)
            await exchange.end()

        assert await lab.run(code, *[act] * 6) == ["A", "B", "C"]


class TestAddresses:
    async def test_the_api_of_the_pages_own_origin(self, lab: Lab) -> None:
        code = """
        const first = await failing(() => new client.ChatClient().actions());
        const events = new client.ChatClient().run({ userPrompt: "Hi" });
        return [first, await failing(() => events.next())];
        """
        acts = () if lab.is_node else (as_json({"items": []}), stream(*EVENTS))
        first, second = await lab.run(code, *acts)
        if lab.is_node:  # where there is no page, and nothing that trying again would help
            assert first["error"]["name"] == second["error"]["name"] == "TypeError"
            assert "baseUrl" in first["error"]["message"]
        else:
            assert (first["value"], second["value"]["value"]) == ({"items": []}, START)

    async def test_ids_cannot_lead_elsewhere(self, lab: Lab) -> None:
        code = """
        const chat = make({ baseUrl: `${given.url}/api//` });
        await chat.stop("a/../b", "c?d#e");
        await chat.messages("a", { limit: 3, cursor: "x&y=z" });
        """
        await lab.run(code, as_json({}, 202), as_json({}))
        assert lab.server.asked == [
            "POST /conversations/a%2F..%2Fb/turns/c%3Fd%23e/stop",
            "GET /conversations/a/messages?limit=3&cursor=x%26y%3Dz",
        ]

    async def test_an_export_is_the_file_as_it_came(self, lab: Lab) -> None:
        code = """
        const blob = await make().export("c");
        return [blob.type, await blob.text()];
        """
        text = json.dumps({"messages": ["é" * 100_000]}, ensure_ascii=False)
        act = told(200, "application/json", text.encode())
        assert await lab.run(code, act) == ["application/json", text]


def test_the_events_of_these_tests_are_distinct() -> None:
    assert len({event["position"] for event in EVENTS}) == len(EVENTS)
