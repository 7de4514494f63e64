"""Functions and their HTTP routes, matched as the Functions host matches them.

Templates are ASP.NET Core's: literals regardless of case, `{name}`, `{name?}`, `{name:int}`,
`{*rest}`; the more literal route wins, segment by segment. A known path with another method is
404, not 405 (azure-functions-host issue 10098).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

_PARAMETER: Final = re.compile(r"\{(\*{0,2})([A-Za-z_]\w*)((?::[^:{}]+?(?:\([^)]*\))?)*)(\??)\}")
_CONSTRAINT: Final = re.compile(r":([a-z]+)(?:\(([^)]*)\))?", re.IGNORECASE)
_AUTH_LEVELS: Final = frozenset({"anonymous", "function"})


class RouteError(ValueError):
    """A function's binding that this host cannot serve; the message says which and why."""


def _whole_number(value: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", value, re.ASCII) is not None


def _number(value: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", value, re.ASCII) is not None


def _guid(value: str) -> bool:
    return re.fullmatch(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", value, re.IGNORECASE) is not None


_CONSTRAINTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "int": lambda value, _: _whole_number(value) and -(2**31) <= int(value) < 2**31,
    "long": lambda value, _: _whole_number(value) and -(2**63) <= int(value) < 2**63,
    "bool": lambda value, _: value.lower() in ("true", "false"),
    "guid": lambda value, _: _guid(value),
    "alpha": lambda value, _: re.fullmatch(r"[A-Za-z]*", value) is not None,
    "decimal": lambda value, _: _number(value),
    "double": lambda value, _: _number(value),
    "float": lambda value, _: _number(value),
    "length": lambda value, bounds: _in_range(len(value), bounds),
    "minlength": lambda value, bound: len(value) >= int(bound),
    "maxlength": lambda value, bound: len(value) <= int(bound),
    "min": lambda value, bound: _whole_number(value) and int(value) >= int(bound),
    "max": lambda value, bound: _whole_number(value) and int(value) <= int(bound),
    "range": lambda value, bounds: _whole_number(value) and _in_range(int(value), bounds),
    "regex": lambda value, pattern: re.search(pattern, value, re.IGNORECASE) is not None,
}


def _in_range(value: int, bounds: str) -> bool:
    low, _, high = bounds.partition(",")
    return int(low) <= value <= int(high or low)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the app, as the worker's metadata tells it."""

    id: str
    name: str
    trigger: str
    """The trigger's binding type, such as `httpTrigger` or `timerTrigger`."""
    parameter: str
    """The name of the parameter that takes the trigger's value."""
    methods: frozenset[str]
    """Upper case; empty means every method."""
    route: str | None
    """Without the prefix; None for other triggers than HTTP."""


@dataclass(frozen=True, slots=True)
class _Segment:
    literal: str | None = None
    name: str = ""
    constraints: tuple[tuple[str, str], ...] = ()
    optional: bool = False
    rest: bool = False

    def rank(self) -> int:
        """ASP.NET's precedence: literal, constrained, plain, constrained rest, rest."""
        if self.literal is not None:
            return 1
        return (4 if self.rest else 2) + (not self.constraints)

    def accepts(self, value: str) -> bool:
        if self.literal is not None:
            return self.literal == value.lower()
        return all(_CONSTRAINTS[name](value, argument) for name, argument in self.constraints)


@dataclass(frozen=True, slots=True)
class Match:
    """The function that serves a request, and the values of its route's parameters."""

    function: Function
    params: dict[str, str]


class RouteTable:
    """All HTTP routes of an app. Raises RouteError for a template that it cannot serve."""

    def __init__(self, functions: Iterable[Function], prefix: str) -> None:
        root = [part for part in prefix.split("/") if part]
        routes = [
            (_parse(function, "/".join([*root, function.route.strip("/")]).strip("/")), function)
            for function in functions
            if function.route is not None
        ]
        self._routes = sorted(routes, key=lambda route: [part.rank() for part in route[0]])

    def match(self, method: str, raw_path: str) -> Match | None:
        """The function for a method and a percent-encoded path, or None."""
        parts = [_decode(part) for part in raw_path.removeprefix("/").removesuffix("/").split("/")]
        if parts == [""]:
            parts = []
        for segments, function in self._routes:
            if function.methods and method not in function.methods:
                continue
            params = _bind(segments, parts)
            if params is not None:
                return Match(function, params)
        return None


def functions_from_metadata(metadata: Iterable[Mapping[str, Any]]) -> list[Function]:
    """The functions of `{"id", "name", "bindings": [JSON text]}` objects, as a worker sends them.

    Raises RouteError for a function without a trigger, or one that needs the admin key.
    """
    return [_function(entry) for entry in metadata]


def _function(entry: Mapping[str, Any]) -> Function:
    bindings = [json.loads(binding) for binding in entry["bindings"]]
    name = entry["name"]
    trigger = next((b for b in bindings if b["type"].lower().endswith("trigger")), None)
    if trigger is None:
        raise RouteError(f"function {name!r} has no trigger; every function needs one")
    route: str | None = None
    if trigger["type"] == "httpTrigger":
        route = trigger.get("route") or name
        level = str(trigger.get("authLevel") or "function").lower()
        if level not in _AUTH_LEVELS:
            raise RouteError(
                f"function {name!r} has the auth level {level!r}; "
                "this host serves 'anonymous' and 'function'"
            )
    return Function(
        id=entry["id"],
        name=name,
        trigger=trigger["type"],
        parameter=trigger["name"],
        methods=frozenset(method.upper() for method in trigger.get("methods") or ()),
        route=route,
    )


def _parse(function: Function, template: str) -> tuple[_Segment, ...]:
    segments = tuple(_segment(function, part) for part in template.split("/") if part)
    if any(part.rest or part.optional for part in segments[:-1]):
        raise RouteError(
            f"route {template!r} of function {function.name!r}: "
            "only the last segment may be optional or catch the rest"
        )
    return segments


def _segment(function: Function, text: str) -> _Segment:
    if "{" not in text and "}" not in text:
        return _Segment(literal=text.lower())
    found = _PARAMETER.fullmatch(text)
    if found is None:
        raise RouteError(
            f"route segment {text!r} of function {function.name!r}: "
            "a segment must be a literal, {name}, {name:constraint}, {name?} or {*name}"
        )
    stars, name, constraints, optional = found.groups()
    parsed = tuple((kind.lower(), bound or "") for kind, bound in _CONSTRAINT.findall(constraints))
    for kind, bound in parsed:
        _check_constraint(function, text, kind, bound)
    return _Segment(name=name, constraints=parsed, optional=bool(optional), rest=bool(stars))


def _check_constraint(function: Function, text: str, kind: str, bound: str) -> None:
    where = f"route segment {text!r} of function {function.name!r}"
    if kind not in _CONSTRAINTS:
        known = ", ".join(sorted(_CONSTRAINTS))
        raise RouteError(f"{where}: unknown constraint {kind!r}; known are {known}")
    try:
        _CONSTRAINTS[kind]("1", bound)
    except (ValueError, re.error) as exc:
        raise RouteError(f"{where}: the argument {bound!r} of {kind!r} is wrong: {exc}") from exc


def _bind(segments: tuple[_Segment, ...], parts: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for index, segment in enumerate(segments):
        if segment.rest:
            rest = "/".join(parts[index:])
            if not segment.accepts(rest):
                return None
            return params | ({segment.name: rest} if rest else {})
        if index >= len(parts):
            return params if segment.optional else None
        if not parts[index] or not segment.accepts(parts[index]):
            return None
        if segment.literal is None:
            params[segment.name] = parts[index]
    return params if len(parts) <= len(segments) else None


def _decode(part: str) -> str:
    # As in ASP.NET Core, an encoded slash stays encoded: it is no separator.
    return unquote(part.replace("%2F", "%252F").replace("%2f", "%252f"), errors="replace")
