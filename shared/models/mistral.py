"""What Mistral's API wants otherwise inside messages and tools.

https://docs.mistral.ai/api/#tag/chat. It refuses members that it does not know, of messages too.
"""

from collections.abc import Iterator
from typing import Any, Final

from shared.errors import InvalidRequest
from shared.models.call_ids import nine

_TAKEN: Final[dict[str, frozenset[str]]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}


def messages(given: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """The messages as Mistral takes them: ids of nine letters and digits, no empty extras.

    Raises `InvalidRequest` for a member that says something and that Mistral does not know.
    """
    return tuple(_message(message) for message in given)


def tools(given: Any) -> Any:
    """Each function with `parameters`, without which Mistral refuses it."""
    return [_tool(tool) for tool in given] if isinstance(given, list) else given


def _message(message: dict[str, Any]) -> dict[str, Any]:
    taken = _TAKEN.get(message["role"])
    if taken is None:
        return message
    fitting = dict(_members(message, taken))
    if calls := fitting.get("tool_calls"):
        fitting["tool_calls"] = [_call(call) for call in calls]
    elif "tool_calls" in fitting:
        del fitting["tool_calls"]
    if isinstance(call_id := fitting.get("tool_call_id"), str):
        fitting["tool_call_id"] = nine(call_id)
    return fitting


def _members(message: dict[str, Any], taken: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for name, value in message.items():
        if name in taken:
            yield name, value
        elif value not in (None, "", [], {}):
            # What others' clients echo is mostly empty (`"refusal": null`), and means nothing.
            raise InvalidRequest(
                f"messages: a connection of the kind mistral does not take {name[:80]!r} in a "
                f"message of the role {message['role']}; leave it out.",
                field="messages",
            )


def _call(call: Any) -> Any:
    if isinstance(call, dict) and isinstance(call_id := call.get("id"), str):
        return call | {"id": nine(call_id)}
    return call


def _tool(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or isinstance(function.get("parameters"), dict):
        return tool
    return tool | {"function": function | {"parameters": {"type": "object", "properties": {}}}}
