"""What the command line and the environment say. A flag wins, and an empty one means none."""

import argparse
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from console.errors import UsageError

DEFAULT_URL = "http://127.0.0.1:4280/api"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EPILOG = """\
Without a question, and in a terminal, it is a conversation: /help says more there. What comes
through a pipe is one question, and the bare answer goes to standard output:

  echo "What is a turn?" | python -m console

Exit codes: 0 answered; 3 length, 4 content filter, 5 tool calls, 6 cancelled or disconnected,
7 incomplete, 8 error, 9 refused by the backend, 10 cannot be reached; 2 wrong usage, 130 left.
"""


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and the flag or variable that gave it."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that can be chosen. `url` ends in `/api`, without a slash behind it."""

    url: str
    token: str | None = field(default=None, repr=False)
    system_prompt: Given | None = None
    action: Given | None = None
    conversation: Given | None = None
    usage: bool = False
    question: str | None = None


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Reads both; exits with the help, or with 2 and words that name what is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return _options(given, environ)
    except UsageError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m console",
        description="Chat in a terminal with a running backend.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("question", nargs="*", help="ask this only, and end")
    add = parser.add_argument
    add("--url", help=f"the backend's address (CHAT_URL; {DEFAULT_URL})")
    add("--token", help="sent as `Authorization: Bearer` (CHAT_TOKEN, which no process list shows)")
    add(
        "--system-prompt",
        metavar="TEXT",
        help="where the action lets callers set it (AZURE_OPENAI_SYSTEM_PROMPT)",
    )
    add("--action", metavar="NAME", help="the action to use (CHAT_ACTION)")
    add("--conversation", metavar="ID", help="go on with this one (CHAT_CONVERSATION)")
    add("--usage", action="store_true", help="say how many tokens an answer took")
    return parser


def _options(given: argparse.Namespace, environ: Mapping[str, str]) -> Options:
    url = _given(given.url, "--url", environ, "CHAT_URL")
    token = _given(given.token, "--token", environ, "CHAT_TOKEN")
    conversation = _given(given.conversation, "--conversation", environ, "CHAT_CONVERSATION")
    address = _address(url) if url else DEFAULT_URL
    if token:
        _check_token(token, address)
    if conversation and not is_id(conversation.value):
        raise UsageError(
            f"{conversation.source} is {conversation.value!r}, which is no conversation's id: "
            "1 to 64 letters, digits, - and _."
        )
    question = " ".join(given.question) if given.question else None
    if question is not None and not question.strip():
        raise UsageError("The question is empty. Say what to ask, or leave it out to chat.")
    return Options(
        url=address,
        token=token.value if token else None,
        system_prompt=_given(
            given.system_prompt, "--system-prompt", environ, "AZURE_OPENAI_SYSTEM_PROMPT"
        ),
        action=_given(given.action, "--action", environ, "CHAT_ACTION"),
        conversation=conversation,
        usage=given.usage,
        question=question,
    )


def is_id(text: str) -> bool:
    """Whether a conversation can have this id."""
    return _ID.fullmatch(text) is not None


def _given(flag: str | None, name: str, environ: Mapping[str, str], variable: str) -> Given | None:
    """The value that counts, or None. As in the settings, `<insert …` stands for none."""
    value, source = (flag, name) if flag is not None else (environ.get(variable, ""), variable)
    return Given(value, source) if value.strip() and not value.startswith("<insert") else None


def _address(url: Given) -> str:
    """The API's base address; `/api` is added where it is left out."""
    what = f"{url.source} is no address of a backend"
    right = f"It looks like {DEFAULT_URL}."
    try:
        parts = urlsplit(url.value.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise UsageError(f"{what}: {exc}. {right}") from exc
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{what}: it begins with http:// or https:// and a host. {right}")
    if "@" in parts.netloc:
        # Not shown: it may be a password.
        raise UsageError(f"{what}: it has a user name in it. Give a token with CHAT_TOKEN instead.")
    if parts.query or parts.fragment or not _is_plain(parts.netloc + parts.path):
        raise UsageError(f"{what}: it has more than a host, a port and a path. {right}")
    path = parts.path.rstrip("/")
    path = path if path.endswith("/api") else f"{path}/api"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def is_loopback(url: str) -> bool:
    """Whether what goes to this address stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_token(token: Given, address: str) -> None:
    if not _is_plain(token.value):
        raise UsageError(
            f"{token.source} is no token: it has characters that no header may have, such as a "
            "space or a line break."
        )
    if not address.startswith("https://") and not is_loopback(address):
        raise UsageError(
            f"{token.source} would go unencrypted over the network. Use an address that begins "
            "with https://, or leave the token out."
        )
