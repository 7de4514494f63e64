"""Texts that are looked for, as services take them."""


def sendable(text: str) -> str:
    """Without what has no place in JSON or a database: NUL, and halves of surrogate pairs."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()
