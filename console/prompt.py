"""The line that is typed: editing, history, several lines, what Ctrl-C does at the prompt."""

import os
import sys
from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session, run_in_terminal
from prompt_toolkit.filters import is_searching
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import is_dumb_terminal

_STYLE = Style.from_dict({"prompt": "ansicyan bold"})


class Prompt:
    """Reads lines from the terminal. `hint` says how to leave, when Ctrl-C asks for it.

    The history is in memory only: questions are nobody's business on this disk.
    """

    def __init__(self, hint: Callable[[], None]) -> None:
        self.keyboard: Input = create_input(sys.stdin)
        self._hint = hint
        # Only without an output of its own does a prompt look whether the terminal is a dumb one.
        with create_app_session(self.keyboard, _output()):
            self._session: PromptSession[str] = PromptSession(
                history=InMemoryHistory(),
                multiline=True,
                enable_suspend=True,
                key_bindings=self._bindings(),
                prompt_continuation="  ",
                style=_STYLE,
            )

    async def read(self) -> str:
        """What was entered; raises EOFError for Ctrl-D on an empty line."""
        while True:
            try:
                return await self._session.prompt_async([("class:prompt", "> ")])
            except KeyboardInterrupt:
                # Only a terminal that can do nothing hands Ctrl-C on.
                self._hint()

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("enter", filter=~is_searching)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        @bindings.add("escape", "enter", filter=~is_searching)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @bindings.add("c-c", filter=~is_searching)
        @bindings.add(Keys.SIGINT, filter=~is_searching)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.reset()
            run_in_terminal(self._hint)

        return bindings


def _output() -> Output:
    """A terminal that can do nothing gets no control sequence at all."""
    if is_dumb_terminal(os.environ.get("TERM", "")):
        return PlainTextOutput(sys.stdout)
    output = create_output(sys.stdout)
    if isinstance(output, Vt100_Output):
        # The cursor's position is not needed, and a terminal may not tell it.
        output.enable_cpr = False
    return output
