"""How far a run is: a bar in a terminal, a line for every tenth elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def showing(documents: int) -> Iterator[Callable[[int, int], None]]:
    """What a run tells its progress to, while the block runs."""
    if not sys.stderr.isatty():
        yield _Lines().tell
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Documents", total=documents)
        yield lambda done, _: bar.update(task, completed=done)


class _Lines:
    def __init__(self) -> None:
        self._tenths = 0

    def tell(self, done: int, documents: int) -> None:
        tenths = 10 * done // max(1, documents)
        if tenths > self._tenths:
            self._tenths = tenths
            print(f"{done} of {documents} documents", file=sys.stderr, flush=True)
