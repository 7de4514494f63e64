"""The live lines: drawn over without a trace, in terminals of any size."""

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.region import Region

LINES = st.lists(st.text("abc ", max_size=12), max_size=12)


class Emulator:
    def __init__(self, columns: int, rows: int) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.Stream(self.screen)
        self.frames: list[str] = []
        self.region = Region(self.write, lambda: (self.screen.columns, self.screen.lines))

    def write(self, frame: str) -> None:
        self.frames.append(frame)
        self._stream.feed(frame)

    @property
    def text(self) -> str:
        past = [
            "".join(line[x].data for x in range(self.screen.columns)).rstrip()
            for line in self.screen.history.top
        ]
        return "\n".join(past + [line.rstrip() for line in self.screen.display]).rstrip()


@given(st.lists(st.tuples(LINES, LINES), max_size=8), st.integers(min_value=2, max_value=9))
def test_what_is_above_stays_and_what_is_live_goes(frames, rows: int):
    emulator = Emulator(12, rows)
    printed: list[str] = []
    for above, live in frames:
        emulator.region.draw(above, live)
        printed += above
        newest = live if len(live) <= rows - 1 else ["…", *live[len(live) - rows + 2 :]][: rows - 1]
        if rows > 2:
            expected = "\n".join(line.rstrip() for line in [*printed, *newest])
            assert emulator.text == expected.rstrip()
    emulator.region.close()
    assert emulator.text == "\n".join(line.rstrip() for line in printed).rstrip()


def test_only_what_changed_is_written():
    emulator = Emulator(20, 10)
    emulator.region.draw([], ["one", "two", "thr"])
    emulator.region.draw([], ["one", "two", "three"])
    assert "one" not in emulator.frames[-1]
    assert "three" in emulator.frames[-1]
    emulator.region.draw([], ["one", "two", "three"])
    assert len(emulator.frames) == 2
    assert emulator.text == "one\ntwo\nthree"


def test_a_live_line_that_is_wider_than_it_seems_takes_one_row():
    emulator = Emulator(5, 6)
    emulator.region.draw([], ["abcdefghij", "x"])
    emulator.region.draw(["abcdefghij"], ["y"])
    assert emulator.text == "abcde\nfghij\ny"


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tiny_screens(rows: int):
    emulator = Emulator(20, rows)
    for n in range(5):
        emulator.region.draw([f"above {n}"], [f"live {n}", f"more {n}"])
    emulator.region.close()
    assert emulator.text == "\n".join(f"above {n}" for n in range(5))
