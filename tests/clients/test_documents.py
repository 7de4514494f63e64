"""docs/openai.md: every sample runs as it stands, but for the address."""

import re
import secrets
import sys
from pathlib import Path

import pytest

from tests.clients.node import FOLDER
from tests.web.runtimes import call, find_node

PAGE = Path(__file__).resolve().parents[2] / "docs" / "openai.md"
ADDRESS = "http://127.0.0.1:4280/api"
CONVERSATION = "a-trip-to-rome-in-may"
_PART = re.compile(r"^#+ (?P<heading>[^\n]+)$|^```(?P<kind>\w+)\n(?P<code>.*?)^```$", re.M | re.S)


def samples() -> dict[str, tuple[str, str]]:
    """Kind and code of the samples, by the heading above."""
    found: dict[str, tuple[str, str]] = {}
    heading = ""
    for part in _PART.finditer(PAGE.read_text("utf-8")):
        heading = part["heading"] or heading
        if part["code"]:
            assert heading not in found
            found[heading] = part["kind"], part["code"]
    return found


SAMPLES = samples()
SAID = {"curl": "data: [DONE]", "mistralai": "painter", "Conversations": "What is a position?"}
"""What a sample prints, where it is not something about positions."""


def test_there_is_one_for_every_client() -> None:
    assert list(SAMPLES) == [
        "openai-python",
        "openai-node",
        "mistralai",
        "LangChain",
        "The AI SDK",
        "curl",
        "Conversations",
    ]


@pytest.mark.parametrize("heading", SAMPLES)
async def test_a_sample(backend: str, heading: str) -> None:
    kind, code = SAMPLES[heading]
    assert ADDRESS in code
    code = code.replace(ADDRESS, backend).replace(CONVERSATION, secrets.token_hex(16))
    node, _ = find_node()
    command = {
        "python": (sys.executable, "-"),
        "js": (node, "--input-type=module", "-"),
        "bash": ("bash", "-s"),
    }[kind]
    status, out, complaint = await call(*command, stdin=code, cwd=FOLDER)
    assert status == 0, complaint
    assert SAID.get(heading, "position") in out
