"""What a model says never runs, loads or leads astray."""

import re

from playwright.async_api import expect

from local.simulator import Simulator
from local.web import Web
from tests.browser.chat import Chat, refused
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
SCRIPT = "</code></pre><script>alert(2)</script>"


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


async def test_a_hostile_question_and_title_are_only_text(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(user="Mallory Titles")
    hostile = "<img src=x onerror=alert(1)>"
    await model.script({"kind": "say", "text": "ok"})
    await chat.asked(hostile)
    await chat.reload()
    await expect(chat.questions).to_have_text([hostile])
    await expect(chat.page).to_have_title(re.compile(r"^<img src=x onerror=alert\(1\)> · "))
    await expect(chat.page.locator("#title")).to_have_text(hostile)
    await expect(chat.listed).to_have_text([hostile])
    await expect(chat.listed).to_have_attribute("title", hostile)
    worse = "</a><script>alert(2)</script>\"' onfocus=alert(3) autofocus"
    await chat.press("Rename", chat.row(hostile))
    await chat.list.get_by_role("textbox").fill(worse)
    await chat.page.keyboard.press("Enter")
    await expect(chat.listed).to_have_text([worse])
    await chat.press("Delete", chat.row(worse))
    await expect(chat.toast).to_contain_text("“</a><script>alert(2)</script>")
    await expect(chat.page.locator("#sidebar script, #toasts script, img[src=x]")).to_have_count(0)
    assert chat.complaints == []


async def test_ten_thousand_nested_quotes_are_shown_whole(chat: Chat, model: Simulator) -> None:
    """The parser gives up on them: the text stands there as it came."""
    for last in ("", "\n\nAnd out."):
        await model.script({"kind": "say", "text": "> " * 10_000 + "deep" + last})
        await chat.asked("Nest")
        await expect(chat.answer).to_contain_text("deep")
        await expect(chat.answer).to_contain_text(last.strip())
    await chat.asked('And now? [simulate: say text="fine"]')
    await expect(chat.answer).to_have_text("fine")
    assert chat.complaints == []


async def test_ten_thousand_nested_quotes_that_arrive_in_steps(
    chat: Chat, model: Simulator
) -> None:
    holds = [{"kind": "hold", "after": after} for after in (400, 6_000, 20_000)]
    await model.script({"kind": "say", "text": "> " * 10_000 + "deep"}, *holds)
    await chat.ask("Nest")
    for _ in holds:
        await model.wait_for(state="held")
        await expect(chat.answer.locator("> *")).not_to_have_count(0)
        # It can be worked with meanwhile.
        await chat.box.fill("still here")
        await model.release()
    await chat.box.fill("")
    await chat.finished()
    await expect(chat.answer).to_contain_text("deep")
    assert chat.complaints == []


async def test_hostile_citations_are_text_and_safe_links(chat: Chat, model: Simulator) -> None:
    markup = "<img src=x onerror=alert(1)>"
    documents = [
        {"content": "a", "title": markup, "url": "javascript:alert(2)"},
        {"content": "b", "title": "data", "url": "data:text/html,<script>alert(3)</script>"},
        {"content": "c", "title": "relative", "url": "/api/health"},
        {"content": "d", "url": " java\tscript:alert(4)"},
        {"content": "e", "id": markup, "url": "vbscript:alert(5)"},
        {"content": "f", "title": markup, "url": 'https://docs.example.com/"onclick="alert(6)'},
    ]
    await model.script({"kind": "say", "text": "[1][2][3][4][5][6]"})
    await chat.begin("Cite", context=documents)
    await chat.finished()
    for _ in range(2):
        sources = chat.page.locator(".sources")
        await expect(sources.get_by_role("listitem")).to_have_text(
            [
                f"1{markup}",
                "2data",
                "3relative",
                "4Document 4",
                f"5{markup}",
                f"6{markup} docs.example.com",
            ]
        )
        links = sources.get_by_role("link")
        await expect(links).to_have_count(1)
        await expect(links).to_have_attribute("rel", "noopener noreferrer nofollow")
        assert await links.evaluate("(it) => it.getAttribute('onclick')") is None
        await expect(sources.locator("img")).to_have_count(0)
        marks = chat.answer.get_by_role("button")
        await expect(marks).to_have_count(6)
        for number in range(6):
            await marks.nth(number).click()
        await chat.reload()
    assert chat.complaints == []


async def test_hostile_tool_calls_are_only_text(
    open_chat: OpenChat, open_web: Web, model: Simulator
) -> None:
    chat = await open_chat(open_web.url)
    markup = "<img src=x onerror=alert(1)>"
    function = {"name": "find", "parameters": {"type": "object"}}
    await model.script(
        {"kind": "tool", "name": markup, "arguments": f'{{"__proto__": "{markup}"}}'},
        {"kind": "tool", "name": "find", "arguments": f'{{"{markup}": "{SCRIPT}"}}'},
    )
    await chat.begin("Call", options={"tools": [{"type": "function", "function": function}]})
    await chat.finished()
    for _ in range(2):
        calls = chat.page.locator(".calls")
        await expect(calls.locator("summary")).to_have_text(
            [f"Asked for the tool {markup}", "Asked for the tool find"]
        )
        await expect(calls.locator("pre")).to_contain_text([markup, SCRIPT])
        await expect(calls.locator("img")).to_have_count(0)
        await chat.reload()
    assert await chat.page.evaluate("({}).harmed") is None
    assert set(chat.complaints) == {refused(401, "Unauthorized")}


async def test_hostile_thoughts_are_only_text(chat: Chat, model: Simulator) -> None:
    await model.script({"kind": "reasoning", "text": HOSTILE}, {"kind": "say", "text": "ok"})
    await chat.asked("Think badly")
    await chat.page.locator(".answer summary").click()
    await expect(chat.page.locator(".thoughts")).to_have_text(HOSTILE.strip())
    await expect(chat.page.locator(".thoughts *")).to_have_count(0)
    assert await chat.page.evaluate("window.harmed") is None
    assert chat.complaints == []


async def test_hostile_code_and_language_are_only_text(chat: Chat, model: Simulator) -> None:
    code = "<script>alert(1)</script>\n<img src=x onerror=alert(2)>"
    blocks = [f"```{language}\n{code}\n```" for language in ("html", '"><img', "hljs-x js")]
    await model.script({"kind": "say", "text": "\n\n".join([*blocks, f"```js\n{code}"])})
    await chat.asked("Code badly")
    await expect(chat.answer.locator("pre")).to_have_text([code] * 4)
    await expect(chat.answer.locator(".hljs-tag").first).to_be_visible()
    await expect(chat.answer.locator("img, script")).to_have_count(0)
    names = await chat.answer.evaluate(
        "(it) => [...it.querySelectorAll('pre *')].map((e) => [e.localName, ...e.classList])"
    )
    assert {name for name, *_ in names} == {"code", "span"}
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
