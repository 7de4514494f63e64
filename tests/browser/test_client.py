"""The client module by itself, in a browser."""

import pytest

from tests.browser.chat import Chat

STREAM = (
    ": comment\r\n\r\nid: 1\r\nevent: x\r\ndata: one ✓\r\n\r\ndata:two\ndata: 𝄞 more\n\n"
    "data\rdata: \u2028end\r\r: keep-alive\n\ndata: unfinished"
)
EVENTS = ["one ✓", "two\n𝄞 more", "\n\u2028end"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_the_client_reads_events_however_they_are_cut(chat: Chat, size: int) -> None:
    code = """
    const bytes = new TextEncoder().encode(given.stream);
    const parser = new client.EventStreamParser();
    const events = [];
    for (let at = 0; at < bytes.length; at += given.size) {
      events.push(...parser.push(bytes.subarray(at, at + given.size)));
    }
    return events;
    """
    assert await chat.evaluate(code, {"stream": STREAM, "size": size}) == EVENTS
