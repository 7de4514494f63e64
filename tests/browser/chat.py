"""The page in a browser, as its user meets it."""

import base64
import json
from typing import Any

from playwright._impl._api_structures import SetCookieParam
from playwright.async_api import ConsoleMessage, Dialog, Error, Locator, Page, expect

from local.principal import LOGIN_COOKIE

# A failure guard, not a measure: everything here takes well under a second.
GUARD_MS = 30_000
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""


class Chat:
    """A tab with the page open; notes every complaint of the browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", self._page_error)
        page.on("dialog", self._dialog)
        self.box = page.get_by_role("textbox", name="Your question")
        self.send = page.get_by_role("button", name="Ask", exact=True)
        self.stop = page.get_by_role("button", name="Stop")
        self.questions = page.locator(".question .text")
        self.answers = page.locator(".answer .text")
        self.notice = page.locator(".notice:visible")
        self.toast = page.locator(".toast")
        self.list = page.get_by_role("navigation", name="Conversations")
        self.listed = self.list.get_by_role("link")
        self.new = page.locator("#new")

    @property
    def answer(self) -> Locator:
        """The newest answer's text."""
        return self.answers.last

    @property
    def conversation(self) -> str:
        """The id of the conversation that the address names."""
        return self.page.url.partition("#c=")[2]

    async def open(self, path: str = "") -> None:
        """Opens the page, and waits until it has read its list."""
        await self.page.goto(self.url + path)
        await self.loaded()

    async def reload(self) -> None:
        await self.page.reload()
        await self.loaded()

    async def loaded(self) -> None:
        """Waits until the list and what is shown of a conversation are there."""
        await expect(self.page.locator(".bones")).to_have_count(0)

    async def ask(self, question: str) -> None:
        """Types a question and asks it; returns when the page has taken it."""
        await self.box.fill(question)
        await self.box.press("Enter")
        await expect(self.box).to_have_value("")

    async def asked(self, question: str) -> None:
        """Asks, and waits for the whole answer."""
        count = await self.answers.count()
        await self.ask(question)
        await expect(self.answers).to_have_count(count + 1)
        await self.finished()

    async def finished(self) -> None:
        """Waits until no answer is being written."""
        await expect(self.stop).to_be_hidden()

    def row(self, title: str) -> Locator:
        """A conversation's line in the list."""
        return self.list.get_by_role("listitem").filter(
            has=self.page.get_by_role("link", name=title, exact=True)
        )

    async def press(self, name: str, within: Locator | None = None) -> None:
        """Presses the button of exactly that name."""
        await (within or self.page).get_by_role("button", name=name, exact=True).click()

    async def another_tab(self, path: str | None = None) -> "Chat":
        """Opens a second tab of the same profile, where this one is unless `path` says else."""
        other = Chat(await self.page.context.new_page(), self.url)
        await other.open(self.page.url.removeprefix(self.url) if path is None else path)
        # A tab behind another one is painted seldom, and every press waits for that.
        await self.page.bring_to_front()
        return other

    async def evaluate(self, code: str, argument: Any = None) -> Any:
        """Runs code in the page; `client` is the page's client module in it."""
        wrapped = f"async (given) => {{ const client = await import('/client/client.js'); {code} }}"
        return await self.page.evaluate(wrapped, argument)

    async def begin(self, prompt: str, **fields: Any) -> None:
        """Asks with fields that the page does not send, as another program would; opens that."""
        code = """
        const conversationId = given.conversationId ?? client.newId();
        const turn = new client.ChatClient().run({ ...given, conversationId });
        await turn.next();
        await turn.return();
        location.hash = `c=${conversationId}`;
        """
        await self.evaluate(code, {"userPrompt": prompt, **fields})
        await expect(self.questions.last).to_have_text(prompt)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _page_error(self, error: Error) -> None:
        self.complaints.append(f"uncaught: {error}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


def refused(status: int, reason: str) -> str:
    """What the browser complains of, by itself, where the backend refuses."""
    return (
        f"error: Failed to load resource: the server responded with a status of {status} ({reason})"
    )


def logged_in(name: str, url: str) -> SetCookieParam:
    """The cookie that the web emulator's log-in page makes."""
    principal = {
        "identityProvider": "github",
        "userId": name.lower().replace(" ", "-"),
        "userDetails": name,
        "userRoles": ["anonymous", "authenticated"],
        "claims": [],
    }
    value = base64.b64encode(json.dumps(principal).encode()).decode()
    return {"name": LOGIN_COOKIE, "value": value, "url": url}
