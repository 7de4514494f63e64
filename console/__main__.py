"""`python -m console`: a conversation in a terminal, or one question and its answer."""

import asyncio
import io
import os
import sys
from collections.abc import Sequence

from console.bare import Bare
from console.ends import Exit
from console.errors import UsageError
from console.interrupts import on_termination
from console.once import ask_once, read_question
from console.options import Options, parse
from console.session import Session
from console.terminal import Terminal, can_draw


def main(arguments: Sequence[str]) -> int:
    """Runs the program; returns what to exit with."""
    options = parse(arguments, os.environ)
    _speak_utf8()
    try:
        if options.question is None and not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
            return asyncio.run(_run(options, read_question()))
        return asyncio.run(_run(options, options.question))
    except UsageError as error:
        _complain(str(error))
        return Exit.USAGE
    except KeyboardInterrupt:
        return Exit.LEFT


async def _run(options: Options, question: str | None) -> int:
    """Does the work, and gives it up when the program is told to end."""
    work = asyncio.create_task(_work(options, question))
    told = False

    def end() -> None:
        nonlocal told
        told = True
        work.cancel()

    with on_termination(end):
        try:
            return await work
        except asyncio.CancelledError:
            if not told:
                raise  # Ctrl-C before anything watched for it.
            return Exit.TERMINATED


async def _work(options: Options, question: str | None) -> int:
    if question is None:
        return await Session(options, Terminal()).run()
    if options.question is not None and _is_terminal(sys.stdout) and can_draw():
        terminal = Terminal()
        return await ask_once(options, question, terminal.page(), _complain)
    return await ask_once(options, question, Bare(sys.stdout, _complain), _complain)


def _complain(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _is_terminal(stream: io.TextIOBase | object) -> bool:
    return isinstance(stream, io.IOBase) and stream.isatty()


def _speak_utf8() -> None:
    """What is piped is UTF-8 everywhere; a terminal that cannot show a character gets `?`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
