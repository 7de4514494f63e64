"""The page in a browser, as its user meets it."""

from typing import Any

from playwright.async_api import ConsoleMessage, Dialog, Error, Page, expect

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

    @property
    def answer(self) -> Any:
        """The newest answer's text."""
        return self.answers.last

    async def open(self) -> None:
        await self.page.goto(self.url)

    async def ask(self, question: str) -> None:
        """Types a question and asks it; returns when the page has taken it."""
        await self.box.fill(question)
        await self.box.press("Enter")
        await expect(self.box).to_have_value("")

    async def finished(self) -> None:
        """Waits until no answer is being written."""
        await expect(self.stop).to_be_hidden()

    async def evaluate(self, code: str, argument: Any = None) -> Any:
        """Runs code in the page; `client` is the page's client module in it."""
        wrapped = f"async (given) => {{ const client = await import('/client.js'); {code} }}"
        return await self.page.evaluate(wrapped, argument)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _page_error(self, error: Error) -> None:
        self.complaints.append(f"uncaught: {error}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()
