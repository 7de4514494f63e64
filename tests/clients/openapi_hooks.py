"""What schemathesis finds that is no finding: each with its reason.

A schema-valid request may be refused for what JSON Schema cannot say, and then in these words only;
anything else fails, as does every other check.
"""

import atexit
import json
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData, UnsupportedMethodResponse

SEEN = "OPENAPI_SEEN"
"""The variable that names a file: each operation's statuses are written there at the end."""

REFUSED_ALL_THE_SAME = {
    r"messages\[\d+\]\.role must be user: ": "the last item of an array",
    r"messages\[\d+\]\.(content|files|context)[: ].*": "the last item of an array",
    r"messages\[\d+\]\.(role|parts)\b.*": "the last item of an array",
    r"message\.parts must have the outputs of tools": "only those of the last step count: an order",
    r"With a conversation the last message must be ": "the last item of an array",
    r"messages\[\d+\]\.tool_call_id must be the id of a call ": "a value that another one repeats",
    r"messages\[\d+\] must be a tool message": "an order of items",
    r"messages\[\d+\] must have content or tool_calls": "only where a header names no conversation",
    r"messages\[\d+\]\.(prefix|audio|function_call) is not": "only where a header names none",
    r".* cannot go with a conversation": "a header may name it",
    r"metadata\.conversation_id and the header ": "a body's value that a header repeats",
    r".* is another name for ": "two fields that must be equal",
    r"toolResults must hold one result for each call: ": "unique by one of an item's fields",
    r"(toolResults|messages) must answer the calls ": "what the conversation is waiting for",
    r"cursor must be a nextCursor ": "what a page gave: it is opaque",
    r"There is no action of that name": "what the deployment has",
    r"There is no connection of that name": "what the deployment has",
    r"(The model service knows no |.*: the model ).*": "what the model service has and takes",
    r".*: a connection of the kind ": "what the connection is",
    r"(maxCompletionTokens|max_completion_tokens) must be at most ": "a setting of the deployment",
    r"n times max_completion_tokens must be at most ": "a product, and a setting",
    r".*: Expected int( \| null)?, got float\.$": "2.0 is an integer to JSON Schema, and none here",
    r"(conversationId|id|metadata\.conversation_id) must have at least 16 ": "who is calling",
    r"turnId needs a conversationId where callers are anonymous": "who is calling",
}
"""The words of each refusal, and what it depends on that no schema can say."""

NO_ROUTE = b'{"detail":"Not Found"}'


@schemathesis.hook
def filter_failure(
    context: Any, failure: object, case: object, response: schemathesis.Response
) -> bool:
    """False: it is none."""
    if response.status_code == 404 and response.content == NO_ROUTE:
        # The web server of Functions' extension cannot route this path, and asks no function.
        return "%0A" not in str(response.request.url)
    if isinstance(failure, RejectedPositiveData):
        return response.status_code != 400 or not _expected(detail(response.content))
    if isinstance(failure, UnsupportedMethodResponse):
        # The Functions host answers so for a route that it has (azure-functions-host#10098); no
        # function is asked. tests/e2e/test_described.py: that it is so, for every method.
        return response.status_code != 404 or response.content != b""
    return True


def _expected(told: str) -> bool:
    return any(re.match(words, told, re.DOTALL) for words in REFUSED_ALL_THE_SAME)


def detail(body: bytes) -> str:
    """What a refusal says, on any protocol."""
    told: dict[str, Any] = json.loads(body)
    return str(told["error"]["message"] if "error" in told else told["detail"])


_seen: defaultdict[str, set[int]] = defaultdict(set)


@schemathesis.hook
def after_call(context: Any, case: Any, response: schemathesis.Response) -> None:
    if response.request.method == case.operation.method.upper():
        _seen[case.operation.label].add(response.status_code)


@atexit.register
def _write() -> None:
    if SEEN in os.environ:
        told = {name: sorted(statuses) for name, statuses in _seen.items()}
        Path(os.environ[SEEN]).write_text(json.dumps(told), "utf-8")
