"""One question, its answer, and an exit code: for pipes, files and scripts."""

import os
import sys
from collections.abc import Callable
from typing import Any

from console.answering import Shown, answer
from console.backend import Backend
from console.ends import Exit, end_words, error_code, error_words, exit_code, usage_words
from console.errors import ConsoleError, UsageError
from console.interrupts import on_interrupt
from console.options import Options
from console.turn import Turn, new_id


def fields_of(options: Options, question: str) -> dict[str, Any]:
    """The body of a request, but for its ids; what was not given is left out."""
    fields: dict[str, Any] = {"userPrompt": question}
    if options.action:
        fields["action"] = options.action.value
    if options.system_prompt:
        fields["systemPrompt"] = options.system_prompt.value
    return fields


async def ask_once(
    options: Options, question: str, shown: Shown, say: Callable[[str], None]
) -> Exit:
    """Asks, shows the answer, says every end but a good one; returns what to exit with."""
    conversation = options.conversation.value if options.conversation else new_id()
    async with Backend(options) as backend:
        turn = Turn(backend, conversation, fields_of(options, question))
        try:
            answered = await answer(backend, turn, shown, on_interrupt)
        except ConsoleError as error:
            say(error_words(error, options))
            return error_code(error)
        except BrokenPipeError:
            _drop_output()
            return Exit.BROKEN_PIPE
    if words := end_words(answered.end, answered.failure, tools=answered.tools):
        say(words)
    if options.usage:
        say(usage_words(answered.end.usage))
    return exit_code(answered.end.reason)


def read_question() -> str:
    """The whole of standard input, without the line breaks at its end.

    Raises UsageError where it is empty or no UTF-8.
    """
    if sys.stdin is None:
        raise UsageError("There is no question: standard input is closed.")
    if sys.stdin.isatty():
        print("Type the question; Ctrl-D at the beginning of a line asks it.", file=sys.stderr)
    try:
        # Windows shells put a byte order mark in front.
        question = sys.stdin.buffer.read().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as exc:
        raise UsageError(f"The question is no UTF-8: {exc}.") from exc
    if not question.strip():
        raise UsageError("There is no question: standard input is empty. Give one as an argument.")
    return question


def _drop_output() -> None:
    """Lets the interpreter flush what is left to nowhere, instead of complaining."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
