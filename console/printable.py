"""Text that is safe to print: nothing in it steers the terminal."""

# Left are tab and line feed. Without ESC and the C1 controls there is no control sequence
# (ECMA-48, 5.4), and a carriage return would write over what stands there.
_CONTROLS = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)]
# Overrides show text in another order than it has: U+202D, U+202E (Unicode TR 36).
_OVERRIDES = [0x202D, 0x202E]
# Half a pair, which JSON can say and UTF-8 cannot.
_SURROGATES = range(0xD800, 0xE000)
_TABLE = dict.fromkeys((*_CONTROLS, *_OVERRIDES), "") | dict.fromkeys(_SURROGATES, "\ufffd")


def printable(text: str) -> str:
    """`text` without control characters; of those, tabs and line feeds stay."""
    return text.translate(_TABLE)


def one_line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters, cut with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
