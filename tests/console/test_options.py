"""Flags and environment: which wins, and what is refused in words."""

import pytest

from console.ends import error_words
from console.errors import FieldProblem, Refused
from console.options import DEFAULT_URL, Given, Options, parse


def test_nothing_is_needed():
    assert parse([], {}) == Options(url=DEFAULT_URL)


def test_flags_win_over_the_environment_and_empty_ones_mean_none():
    env = {
        "CHAT_URL": "https://e.com",
        "CHAT_TOKEN": "from-env",
        "AZURE_OPENAI_SYSTEM_PROMPT": "from env",
        "CHAT_ACTION": "from-env",
        "CHAT_CONVERSATION": "from-env",
    }
    assert parse(["--usage"], env) == Options(
        url="https://e.com/api",
        token="from-env",
        system_prompt=Given("from env", "AZURE_OPENAI_SYSTEM_PROMPT"),
        action=Given("from-env", "CHAT_ACTION"),
        conversation=Given("from-env", "CHAT_CONVERSATION"),
        usage=True,
    )
    flags = ["--url", "https://f.com", "--token", "t", "--action", "a", "--conversation", "c"]
    assert parse([*flags, "--system-prompt", "s"], env) == Options(
        url="https://f.com/api",
        token="t",
        system_prompt=Given("s", "--system-prompt"),
        action=Given("a", "--action"),
        conversation=Given("c", "--conversation"),
    )
    empty = ["--url=", "--token=", "--action=", "--conversation=", "--system-prompt="]
    assert parse(empty, env) == Options(url=DEFAULT_URL)


def test_a_placeholder_of_the_sample_settings_is_none():
    assert parse([], {"AZURE_OPENAI_SYSTEM_PROMPT": "<insert a prompt>"}).system_prompt is None


def test_the_question_may_be_several_words():
    assert parse(["What", "is", "a turn?"], {}).question == "What is a turn?"
    assert parse(["--", "--url"], {}).question == "--url"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:4280", "http://127.0.0.1:4280/api"),
        ("http://127.0.0.1:4280/", "http://127.0.0.1:4280/api"),
        ("http://127.0.0.1:4280/api/", "http://127.0.0.1:4280/api"),
        ("https://e.com/chat", "https://e.com/chat/api"),
        ("http://[::1]:80", "http://[::1]:80/api"),
    ],
)
def test_an_address_with_and_without_api(given: str, url: str):
    assert parse(["--url", given], {}).url == url


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "127.0.0.1:4280"], "--url is no address of a backend: it begins with http://"),
        (["--url", "ftp://e.com"], "it begins with http:// or https:// and a host"),
        (["--url", "http://"], "it begins with http:// or https:// and a host"),
        (["--url", "http://e.com:port"], "--url is no address of a backend: Port could not"),
        (["--url", "http://e.com/?a=b"], "it has more than a host, a port and a path"),
        (["--url", "http://e.com/a b"], "it has more than a host, a port and a path"),
        (["--url", "http://[::1"], "--url is no address of a backend: "),
        (["--url", "https://me:secret@e.com"], "Give a token with CHAT_TOKEN instead"),
        (["--url", "http://e.com", "--token", "secret"], "--token would go unencrypted"),
        (["--token", "secret secret"], "--token is no token"),
        (["--token", "secret\r\nx-other: y"], "--token is no token"),
        (["--conversation", "a b"], "--conversation is 'a b', which is no conversation's id"),
        (["  "], "The question is empty"),
        (["--sys", "x"], "unrecognized arguments: --sys"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {})
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert words in told
    assert "secret" not in told


@pytest.mark.parametrize("host", ["127.0.0.1:1", "127.8.8.8", "localhost", "a.localhost", "[::1]"])
def test_a_token_may_go_to_this_machine(host: str):
    assert parse(["--url", f"http://{host}", "--token", "t"], {}).token == "t"


@pytest.mark.parametrize("host", ["127.0.0.1.e.com", "localhost.e.com", "10.0.0.1", "0.0.0.0"])
def test_a_token_goes_nowhere_else_unencrypted(host: str):
    with pytest.raises(SystemExit):
        parse(["--url", f"http://{host}"], {"CHAT_TOKEN": "t"})
    assert parse(["--url", f"https://{host}"], {"CHAT_TOKEN": "t"}).token == "t"


def test_a_token_is_not_shown():
    assert "secret" not in repr(Options(url=DEFAULT_URL, token="secret"))


@pytest.mark.parametrize(
    ("error", "options", "words"),
    [
        (
            Refused("No.", code="field_locked", problems=[FieldProblem("systemPrompt", "No.")]),
            Options(url="", system_prompt=Given("s", "AZURE_OPENAI_SYSTEM_PROMPT")),
            'unset AZURE_OPENAI_SYSTEM_PROMPT, or give --system-prompt "".',
        ),
        (Refused("No.", code="unauthenticated"), Options(url="", token="t"), "The token that was"),
        (Refused("No.", code="unauthenticated"), Options(url=""), "Give a token with CHAT_TOKEN"),
        (Refused("No.", code="rate_limited", retry_after="7"), Options(url=""), "again in 7 s."),
        (Refused("No.", code="rate_limited", retry_after="121"), Options(url=""), "in 3 min."),
        (Refused("No.", code="rate_limited", retry_after="40000"), Options(url=""), "in 12 h."),
        (Refused("No.", code="other"), Options(url=""), "No."),
    ],
)
def test_refusals_say_what_to_do(error: Refused, options: Options, words: str):
    assert words in error_words(error, options)
