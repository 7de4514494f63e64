"""What a model says never runs, loads or leads astray."""

import re

from playwright.async_api import expect

from local.simulator import Simulator
from tests.browser.chat import Chat
from tests.browser.conftest import ROOT, OpenChat

HOSTILE = """\
<script>window.harmed = 'script'; alert(1)</script>
<img src=x onerror="window.harmed = 'onerror'; alert(2)">

Text <b onclick="window.harmed = 'onclick'">bold</b> <svg onload="alert(3)"></svg>

[run](javascript:window.harmed='link') [data](data:text/html,<script>alert(4)</script>)
[relative](/api/health) [entity](java&#115;cript:alert(5)) <javascript:alert(6)>

![image](https://elsewhere.example.com/pixel.png) ![x](javascript:alert(7))

<iframe src="https://elsewhere.example.com/"></iframe>
<style>body { display: none }</style>
<a href="https://elsewhere.example.com/" style="position: fixed" onmouseover="alert(8)">over</a>

[safe](https://docs.example.com/page "title") and <https://auto.example.com/>

The end.
"""


async def test_hostile_markdown_does_nothing(chat: Chat, model: Simulator) -> None:
    await model.script({"kind": "say", "text": HOSTILE})
    outside: list[str] = []
    chat.page.on("request", lambda request: outside.append(request.url))
    await chat.ask("Be bad")
    await expect(chat.answer).to_contain_text("The end.")
    await chat.finished()

    await chat.answer.get_by_text("run").click()
    await chat.answer.get_by_text("bold").hover()

    elements = await chat.answer.evaluate(
        "(it) => [...it.querySelectorAll('*')].map((e) => e.localName)"
    )
    assert set(elements) <= {"p", "a"}
    links = await chat.answer.evaluate(
        "(it) => [...it.querySelectorAll('a')].map((a) => [a.getAttribute('href'), a.rel, "
        "a.target, a.getAttributeNames().length])"
    )
    rel = "noopener noreferrer nofollow"
    assert links == [
        ["https://elsewhere.example.com/pixel.png", rel, "_blank", 3],
        ["https://docs.example.com/page", rel, "_blank", 4],
        ["https://auto.example.com/", rel, "_blank", 3],
    ]
    assert await chat.page.evaluate("window.harmed") is None
    assert [url for url in outside if not url.startswith(chat.url)] == []
    assert chat.complaints == []


async def test_a_hostile_question_and_title_are_only_text(chat: Chat, model: Simulator) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    await model.script({"kind": "say", "text": "ok"})
    await chat.ask(hostile)
    await chat.finished()
    await chat.page.reload()
    await expect(chat.questions).to_have_text([hostile])
    await expect(chat.page).to_have_title(re.compile(r"^<img src=x onerror=alert\(1\)> · "))
    assert chat.complaints == []


async def test_markdown_that_the_parser_gives_up_on_is_shown_as_text(
    chat: Chat, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "> " * 10_000 + "deep"})
    await chat.ask("Nest")
    await expect(chat.answer).to_contain_text("deep")
    await chat.finished()
    assert chat.complaints == []


async def test_the_policy_stops_what_would_slip_through(chat: Chat) -> None:
    """The last wall stands by itself: the browser refuses what the sanitiser never lets in."""
    blocked = await chat.page.evaluate(
        """() => new Promise((resolve) => {
          addEventListener("securitypolicyviolation", (e) => resolve(e.effectiveDirective));
          new Image().src = "https://elsewhere.example.com/pixel.png";
        })"""
    )
    assert blocked == "img-src"
    refused = await chat.page.evaluate(
        """() => {
          try { document.body.innerHTML = "<img src=x onerror='window.harmed = 1'>"; }
          catch (error) { return error.name; }
        }"""
    )
    assert refused == "TypeError"
    assert await chat.page.evaluate("window.harmed") is None


async def test_the_page_says_the_same_policy_as_the_server(open_chat: OpenChat) -> None:
    chat = await open_chat()
    response = await chat.page.request.get(chat.url)
    header = response.headers["content-security-policy"]
    html = (ROOT / "web" / "index.html").read_text("utf-8")
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert found
    # A page cannot say by itself who may frame it.
    assert header.replace("frame-ancestors 'none'; ", "") == found[1]
    assert "default-src 'none'" in header
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
