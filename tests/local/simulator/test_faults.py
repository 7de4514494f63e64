"""Every fault that can be asked for, as a caller sees it."""

import asyncio
import json

import aiohttp
import pytest

from local.simulator import Simulator, running_simulator
from tests.local.simulator.support import OPENAI, ask, body_of, opened, tell

SIX = '[simulate: say text="a b c d e f"]'


async def test_say_is_the_whole_answer(simulator: Simulator) -> None:
    reply = await tell(simulator, 'x [simulate: say text="Grüße\\n\\u2028 \\"😀\\" ]"] y')
    assert reply.text() == 'Grüße\n\u2028 "😀" ]'
    assert (reply.finish_reason(), reply.done) == ("stop", True)


async def test_repeat_sends_one_chunk_each_time(simulator: Simulator) -> None:
    reply = await tell(simulator, '[simulate: repeat n=200 text="ab "]')
    assert reply.text() == "ab " * 200
    assert (await simulator.requests())[0].chunks == 200


async def test_tokens_sends_exactly_so_many(simulator: Simulator) -> None:
    prompt = "[simulate: tokens n=200 ms=0]"
    reply = await tell(simulator, prompt, stream_options={"include_usage": True})
    assert (await simulator.requests())[0].chunks == 200
    assert reply.events()[-1]["usage"]["completion_tokens"] == 200


async def test_echo_answers_the_messages(simulator: Simulator) -> None:
    body = body_of("[simulate: echo]")
    body["messages"].insert(0, {"role": "system", "content": "Be brief."})
    reply = await ask(simulator, body)
    assert json.loads(reply.text()) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "[simulate: echo]"},
    ]


async def test_reasoning_comes_before_the_text(simulator: Simulator) -> None:
    reply = await tell(simulator, '[simulate: reasoning text="Let me see"] ' + SIX)
    assert (reply.text("reasoning_content"), reply.text()) == ("Let me see", "a b c d e f")
    assert reply.body.index(b'"Let"') < reply.body.index(b'"content":"a"')


async def test_hold_before_the_headers(simulator: Simulator) -> None:
    asked = asyncio.create_task(tell(simulator, "[simulate: hold before] " + SIX))
    await simulator.wait_for(state="held")
    assert not asked.done()
    assert await simulator.release() == 1
    assert (await asked).text() == "a b c d e f"


async def test_hold_after_the_headers(simulator: Simulator) -> None:
    async with opened(simulator, body_of("[simulate: hold after=0] " + SIX)) as response:
        [held] = await simulator.wait_for(state="held")
        assert (response.status, held.chunks) == (200, 0)
        await simulator.release()
        assert (await response.read()).endswith(b"[DONE]\n\n")


async def test_holds_by_name_one_after_the_other(simulator: Simulator) -> None:
    prompt = f"[simulate: hold after=4 name=late] [simulate: hold after=2 name=early] {SIX}"
    asked = asyncio.create_task(tell(simulator, prompt))
    [held] = await simulator.wait_for(state="held")
    assert held.chunks == 2
    assert await simulator.release("late") == 0
    assert await simulator.release("early") == 1
    [held] = await simulator.wait_for(state="held", chunks=4)
    assert await simulator.release("late") == 1
    assert (await asked).text() == "a b c d e f"


async def test_stall_stays_silent_until_the_caller_leaves(simulator: Simulator) -> None:
    async with opened(simulator, body_of("[simulate: stall after=2] " + SIX)) as response:
        received = b""
        while b'" b"' not in received:
            received += await response.content.readany()
    [record] = await simulator.wait_for(state="aborted")
    assert (record.chunks, record.outcome) == (2, "aborted")


async def test_stall_before_the_headers(simulator: Simulator) -> None:
    asked = asyncio.create_task(tell(simulator, "[simulate: stall before]"))
    await simulator.wait_for(state="streaming")
    asked.cancel()
    await simulator.wait_for(state="aborted")


@pytest.mark.parametrize("reset", ["", " reset"])
async def test_cut_breaks_the_connection(simulator: Simulator, reset: str) -> None:
    reply = await tell(simulator, f"[simulate: cut after=3{reset}] {SIX}")
    assert (reply.status, reply.broken) == (200, True)
    assert reply.done is False
    [record] = await simulator.requests()
    assert (record.state, record.outcome, record.chunks) == ("finished", "cut", 3)


async def test_cut_by_closing_loses_nothing_that_was_sent(simulator: Simulator) -> None:
    reply = await tell(simulator, f"[simulate: cut after=3] {SIX}")
    assert reply.text() == "a b c"


async def test_end_is_clean_but_without_reason(simulator: Simulator) -> None:
    reply = await tell(simulator, f"[simulate: end after=3] {SIX}")
    assert (reply.broken, reply.done, reply.finish_reason()) == (False, False, None)
    assert reply.text() == "a b c"


async def test_a_fault_after_the_last_chunk_still_happens(simulator: Simulator) -> None:
    reply = await tell(simulator, f"[simulate: end after=99] {SIX}")
    assert (reply.text(), reply.finish_reason(), reply.done) == ("a b c d e f", None, False)


async def test_error_inside_a_200(simulator: Simulator) -> None:
    reply = await tell(simulator, f'[simulate: error after=2 code="x" message="No."] {SIX}')
    assert (reply.status, reply.text(), reply.done) == (200, "a b", False)
    assert reply.events()[-1] == {
        "error": {"message": "No.", "type": "server_error", "param": None, "code": "x"}
    }


async def test_junk_is_one_event_that_is_no_json(simulator: Simulator) -> None:
    reply = await tell(simulator, f"[simulate: junk after=2] {SIX}")
    events = reply.body.split(b"\n\n")
    broken = [event for event in events if event.endswith(b'"content":"')]
    assert len(broken) == 1
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken[0].removeprefix(b"data: "))
    assert reply.done


@pytest.mark.parametrize("code", [400, 401, 403, 404, 408, 429, 500, 502, 503, 504])
async def test_status(simulator: Simulator, code: int) -> None:
    reply = await tell(simulator, f"[simulate: status code={code}]")
    assert reply.status == code
    assert reply.json()["error"]["message"]
    assert "retry-after" not in reply.headers
    [record] = await simulator.requests()
    assert (record.state, record.outcome) == ("finished", f"status {code}")


async def test_rate_limit_says_when_to_come_back(simulator: Simulator) -> None:
    reply = await tell(simulator, "[simulate: status code=429 retry_after=2 retry_after_ms=150]")
    assert (reply.headers["retry-after"], reply.headers["retry-after-ms"]) == ("2", "150")
    error = reply.json()["error"]
    assert error["code"] == "429"
    assert "Please retry after 2 seconds." in error["message"]


@pytest.mark.parametrize("code", [200, 502])
async def test_html(simulator: Simulator, code: int) -> None:
    reply = await tell(simulator, f"[simulate: html code={code}]")
    assert (reply.status, reply.headers["Content-Type"]) == (code, "text/html; charset=utf-8")
    assert reply.body.startswith(b"<html>")


async def test_filtered_prompt(simulator: Simulator) -> None:
    reply = await tell(simulator, "[simulate: filtered_prompt]")
    error = reply.json()["error"]
    assert (reply.status, error["code"], error["param"]) == (400, "content_filter", "prompt")
    inner = error["innererror"]
    assert inner["code"] == "ResponsibleAIPolicyViolation"
    assert inner["content_filter_result"]["violence"] == {"filtered": True, "severity": "medium"}


@pytest.mark.parametrize("stream", [True, False])
async def test_filtered_output(simulator: Simulator, stream: bool) -> None:
    reply = await tell(simulator, f"[simulate: filtered_output after=2] {SIX}", stream=stream)
    if stream:
        assert (reply.text(), reply.finish_reason(), reply.done) == ("a b", "content_filter", True)
        choice = next(e["choices"][0] for e in reversed(reply.events()) if e["choices"])
    else:
        choice = reply.json()["choices"][0]
        assert choice["message"]["content"] == "a b"
    assert choice["finish_reason"] == "content_filter"
    assert choice["content_filter_results"]["violence"]["filtered"] is True


async def test_length(simulator: Simulator) -> None:
    reply = await tell(simulator, f"[simulate: length after=2] {SIX}")
    assert (reply.text(), reply.finish_reason()) == ("a b", "length")


async def test_async_filter_chunks_have_no_delta(simulator: Simulator) -> None:
    reply = await tell(simulator, f"[simulate: async_filter] {SIX}")
    events = reply.events()
    apart = [e for e in events if e["choices"] and "delta" not in e["choices"][0]]
    assert len(apart) == 2
    assert apart[1]["choices"][0]["content_filter_offsets"]["end_offset"] == 11
    reasons = [e["choices"][0]["finish_reason"] for e in events[1:]]
    assert reasons[-2:] == ["stop", None]
    assert reply.text() == "a b c d e f"
    assert b'"content":" b"' in reply.body
    annotated = next(e for e in events if b'" b"' in json.dumps(e).encode())
    assert annotated["choices"][0]["content_filter_results"] == {}


async def test_async_filter_that_fires(simulator: Simulator) -> None:
    category = "protected_material_text"
    now = await tell(simulator, f"[simulate: async_filter category={category} after=2] {SIX}")
    late = await tell(simulator, f"[simulate: async_filter category={category} late] {SIX}")
    for reply, text, reasons in (
        (now, "a b", ["content_filter"]),
        (late, "a b c d e f", ["stop", "content_filter"]),
    ):
        choices = [choice for event in reply.events() for choice in event["choices"]]
        assert reply.text() == text
        assert [c["finish_reason"] for c in choices if c["finish_reason"]] == reasons
        assert "delta" not in choices[-1]
        results = choices[-1]["content_filter_results"]
        assert results[category] == {"detected": True, "filtered": True}
        assert results["violence"]["filtered"] is False
        assert reply.done


@pytest.mark.parametrize("category", ["hate", "jailbreak", "protected_material_code"])
async def test_categories_of_the_filter(simulator: Simulator, category: str) -> None:
    refused = await tell(simulator, f"[simulate: filtered_prompt category={category}]")
    results = refused.json()["error"]["innererror"]["content_filter_result"]
    assert [name for name in results if results[name]["filtered"]] == [category]
    stopped = await tell(
        simulator, f"[simulate: filtered_output after=1 category={category}] {SIX}", stream=False
    )
    results = stopped.json()["choices"][0]["content_filter_results"]
    assert [name for name in results if results[name]["filtered"]] == [category]


async def test_no_usage_though_asked_for(simulator: Simulator) -> None:
    options = {"include_usage": True}
    reply = await tell(simulator, f"[simulate: no_usage] {SIX}", stream_options=options)
    assert all(event.get("usage") is None for event in reply.events())
    assert reply.done


async def test_crlf_and_nospace(simulator: Simulator) -> None:
    reply = await tell(simulator, f"[simulate: crlf] [simulate: nospace] {SIX}")
    assert reply.body.count(b"\r\n\r\n") == reply.body.count(b"data:")
    assert b"data: " not in reply.body
    assert (reply.text(), reply.finish_reason()) == ("a b c d e f", "stop")


async def test_split_goes_through_characters(simulator: Simulator) -> None:
    prompt = '[simulate: split size=2] [simulate: say text="äöü😀"]'
    sizes = []
    async with opened(simulator, body_of(prompt)) as response:
        async for chunk, _ in response.content.iter_chunks():
            sizes.append(len(chunk))
    assert sizes
    assert max(sizes) == 2
    assert (await tell(simulator, prompt)).text() == "äöü😀"


async def test_slow_sends_the_headers_first(simulator: Simulator) -> None:
    async with opened(simulator, body_of("[simulate: slow first=600000ms]")) as response:
        received = await response.content.readuntil(b"\n\n")
        assert b"prompt_filter_results" in received
    [record] = await simulator.wait_for(state="aborted")
    assert record.chunks == 0


async def test_slow_headers(simulator: Simulator) -> None:
    asked = asyncio.create_task(tell(simulator, "[simulate: slow headers=600000]"))
    await simulator.wait_for(state="streaming")
    asked.cancel()
    [record] = await simulator.wait_for(state="aborted")
    assert record.chunks == 0


async def test_pace_leaves_time_between_chunks(simulator: Simulator) -> None:
    prompt = f"[simulate: pace ms=600000 jitter=none] {SIX}"
    async with opened(simulator, body_of(prompt)) as response:
        await response.content.readuntil(b'"a"')
        [record] = await simulator.wait_for(chunks=1)
        assert record.chunks == 1
    await simulator.wait_for(state="aborted")


async def test_faults_without_streaming(simulator: Simulator) -> None:
    end = await tell(simulator, f"[simulate: end] {SIX}", stream=False)
    assert (end.status, end.body) == (200, b"")
    junk = await tell(simulator, f"[simulate: junk] {SIX}", stream=False)
    with pytest.raises(json.JSONDecodeError):
        junk.json()
    error = await tell(simulator, f"[simulate: error] {SIX}", stream=False)
    assert error.status == 500
    with pytest.raises(aiohttp.ClientError):
        await tell(simulator, f"[simulate: cut] {SIX}", stream=False)
    outcomes = [record.outcome for record in await simulator.requests()]
    assert outcomes == ["end", "junk", "status 500", "cut"]


async def test_hold_without_streaming(simulator: Simulator) -> None:
    asked = asyncio.create_task(tell(simulator, f"[simulate: hold] {SIX}", stream=False))
    await simulator.wait_for(state="held")
    await simulator.release()
    assert (await asked).json()["choices"][0]["message"]["content"] == "a b c d e f"


async def test_a_caller_who_leaves_is_seen(simulator: Simulator) -> None:
    async with opened(simulator, body_of("[simulate: tokens n=100000 ms=1]")) as response:
        await simulator.wait_for(state="streaming", chunks=3)
        assert response.status == 200
    [record] = await simulator.wait_for(state="aborted")
    assert 3 <= record.chunks < 100_000


async def test_faults_on_openai_urls(simulator: Simulator) -> None:
    reply = await ask(simulator, body_of(f"[simulate: async_filter] {SIX}"), path=OPENAI)
    assert reply.text() == "a b c d e f"
    assert b"content_filter" not in reply.body


async def test_stopping_the_server_ends_stalled_requests() -> None:
    async with running_simulator() as simulator:
        asked = asyncio.create_task(tell(simulator, "[simulate: stall]"))
        await simulator.wait_for(state="streaming")
    assert (await asked).broken
