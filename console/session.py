"""The conversation in a terminal: questions, answers, and commands between them."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from typing import Any

from console.answering import answer
from console.backend import Backend
from console.bare import ARGUMENTS_SHOWN, tool_words
from console.commands import HELP, Command, command_of, is_leaving, unknown_words
from console.ends import Exit, end_words, error_code, error_words, usage_words
from console.errors import ConsoleError, Left, Refused, UsageError
from console.events import End, failure, tool_call
from console.interrupts import no_interrupts, on_interrupt_key
from console.listing import Entry, chosen, entry, how_many, list_lines
from console.once import fields_of
from console.options import Given, Options
from console.printable import one_line
from console.prompt import Prompt
from console.terminal import Terminal
from console.turn import Turn, new_id

_LAST_MESSAGES = 6
_LEAVE_HINT = "exit, an empty line or Ctrl-D leaves; /help shows the commands."


class Session:
    """One run of the program in a terminal."""

    def __init__(self, options: Options, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal
        self._backend = Backend(options)
        self._prompt = Prompt(lambda: terminal.say(_LEAVE_HINT, "dim"))
        self._watch = partial(on_interrupt_key, self._prompt.keyboard)
        self._conversation = new_id()
        self._last: tuple[str, str | None] | None = None
        """The last question, and its turn where the backend has it."""
        self._listed: list[Entry] = []
        self._own: dict[str, Entry] = {}
        """Conversations of this session, for callers who cannot list theirs."""

    async def run(self) -> Exit:
        """Talks until the user leaves."""
        async with self._backend:
            with no_interrupts():
                try:
                    await self._begin_at(self._options.conversation)
                except ConsoleError as error:
                    self._say(error_words(error, self._options), "red")
                    return error_code(error)
                await self._talk()
        if self._conversation in self._own:
            self._say(f"To go on with it later: --conversation {self._conversation}", "dim")
        return Exit.OK

    async def _begin_at(self, conversation: Given | None) -> None:
        """Looks whether there is a backend, and opens the conversation that was given."""
        await self._quickly(self._backend.check())
        self._say(f"Chat at {self._options.url}. {_LEAVE_HINT}", "dim")
        if conversation is None:
            return
        try:
            await self._open(conversation.value)
        except Refused as error:
            if error.status != 404:
                raise
            # There is none yet: the first question makes it.
            self._begin(conversation.value)

    async def _talk(self) -> None:
        while True:
            try:
                line = await self._prompt.read()
            except EOFError:
                return
            if is_leaving(line):
                return
            try:
                command = command_of(line)
                await (self._obey(command) if command else self._ask(line))
            except ConsoleError as error:
                self._say(error_words(error, self._options), "red")
            self._terminal.gap()

    async def _ask(self, question: str, replaces: str | None = None) -> None:
        """Asks, in the place of the turn `replaces` where that is given."""
        fields = fields_of(self._options, question)
        if replaces:
            fields["replaces"] = replaces
        turn = Turn(self._backend, self._conversation, fields)
        # What was refused, or never arrived, is not there to be replaced.
        self._last = (question, replaces)
        try:
            await self._show(turn)
        finally:
            if turn.begun.is_set():
                self._last = (question, turn.id)
                self._remember(question)

    async def _show(self, turn: Turn) -> None:
        """Shows a turn to its end, and says how it ended."""
        answered = await answer(self._backend, turn, self._terminal.page(), self._watch)
        words = end_words(
            answered.end, answered.failure, again="/retry asks again.", tools=answered.tools
        )
        if words:
            self._say(words, "yellow")
        if self._options.usage:
            self._say(usage_words(answered.end.usage), "dim")

    def _remember(self, question: str) -> None:
        known = self._own.pop(self._conversation, None)
        title = known.title if known else question.strip().partition("\n")[0]
        self._own[self._conversation] = Entry(self._conversation, title, datetime.now(UTC))

    async def _obey(self, command: Command) -> None:
        match command.name:
            case "help":
                self._say(HELP)
            case "new":
                self._begin()
                self._say("A new conversation has begun; the last one is kept.", "dim")
            case "clear":
                await self._clear()
            case "list":
                await self._list(how_many(command.argument))
            case "open":
                await self._open(chosen(command.argument, self._listed))
            case "retry" if self._last:
                await self._ask(*self._last)
            case "retry":
                raise UsageError("There is no question yet that could be asked again.")
            case name:
                raise UsageError(unknown_words(name))

    def _begin(self, conversation: str | None = None) -> None:
        self._conversation = conversation or new_id()
        self._last = None

    async def _clear(self) -> None:
        try:
            await self._quickly(self._backend.delete(self._conversation))
            words = "The conversation is deleted for good. A new one has begun."
        except Refused as error:
            if error.status != 404:
                raise
            words = "There was nothing to delete. A new conversation has begun."
        self._own.pop(self._conversation, None)
        self._listed = [item for item in self._listed if item.id != self._conversation]
        self._begin()
        self._say(words, "dim")

    async def _list(self, limit: int) -> None:
        more, why = False, ""
        try:
            items, more = await self._quickly(self._backend.conversations(limit))
            self._listed = [entry(item) for item in items]
        except Refused as error:
            if error.status != 401:
                raise
            # An anonymous caller's conversations are nobody's: only their ids open them.
            self._listed = list(reversed(self._own.values()))[:limit]
            why = f"Only those of this session: the backend lists none to you. {error}"
        if not self._listed:
            self._say("There are no conversations yet.", "dim")
        columns, _ = self._terminal.size()
        now = datetime.now(UTC)
        self._terminal.show_lines(list_lines(self._listed, self._conversation, now, columns))
        if more:
            self._say(f"There are older ones: /list {min(limit * 2, 100)} shows more.", "dim")
        if why:
            self._say(why, "dim")

    async def _open(self, conversation: str) -> None:
        """Switches, shows the last messages, and goes on with an answer that still runs."""
        head = await self._quickly(self._backend.conversation(conversation))
        messages = await self._quickly(self._backend.messages(conversation, _LAST_MESSAGES))
        self._begin(conversation)
        self._own[conversation] = self._own.pop(conversation, entry(head))
        self._say(f"Conversation: {one_line(str(head['title']), 200)}", "bold")
        self._show_messages(messages)
        if running := head.get("runningTurnId"):
            await self._show(Turn(self._backend, conversation, None, str(running)))

    def _show_messages(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for message, after in zip_longest(messages, messages[1:]):
            content = str(message.get("content") or "")
            if message["role"] == "tool":
                self._last = None  # what a program brought cannot be asked again from here
                self._say(f"Tool result: {one_line(content, ARGUMENTS_SHOWN)}", "cyan")
            elif message["role"] == "user":
                self._last = (content, str(message["turnId"]))
                self._terminal.gap()
                self._say(f"> {content}", "bold cyan")
            elif message["role"] == "assistant" and message.get("state") != "running":
                self._terminal.show_answer(content)
                end = End("", str(message.get("finishReason") or "stop"), content, None)
                calls = [tool_call(call) for call in message.get("toolCalls") or ()]
                for call in calls:
                    self._say(tool_words(call), "cyan")
                tools = [call.name for call in calls]
                words = end_words(end, failure(message.get("error")), tools=tools)
                if words and not (after and after["role"] == "tool"):
                    self._say(words, "yellow")

    async def _quickly[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Awaits a short request; Ctrl-C gives it up."""
        task = asyncio.create_task(work)
        with self._watch(task.cancel):
            try:
                return await task
            except asyncio.CancelledError:
                if not task.cancelled():
                    raise
                raise Left("Interrupted.") from None

    def _say(self, words: str, style: str = "") -> None:
        self._terminal.say(words, style)
