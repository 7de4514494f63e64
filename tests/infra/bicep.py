"""A Bicep file as Python values: what it declares, with expressions kept as text.

No compiler is at hand, so this reads what tree-sitter parses. `references.py` looks after names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypedDict

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

LANGUAGE = Language(tree_sitter_bicep.language())

type Value = bool | int | str | Call | Choice | Loop | list[Value] | dict[str, Value] | None


class Expression(str):
    """What only a deployment can evaluate, as its text: a name, a path, a text with `${}`."""

    __slots__ = ()


@dataclass(frozen=True)
class Call:
    """A call of a function."""

    function: str
    arguments: tuple[Value, ...]
    text: str


@dataclass(frozen=True)
class Choice:
    """`condition ? yes : no`."""

    condition: str
    yes: Value
    no: Value


@dataclass(frozen=True)
class Loop:
    """`[for … in items: body]`."""

    items: str
    body: Value


class NotBicep(ValueError):
    """The parser found an error; says where."""


@dataclass(frozen=True)
class Declaration:
    """What every declaration has: its name, its decorators by their names, the comment above."""

    name: str
    decorators: Mapping[str, tuple[Value, ...]]
    comment: str
    """The lines directly above it, without `//`; empty: there is none."""
    node: Node = field(compare=False, repr=False)


@dataclass(frozen=True)
class Parameter(Declaration):
    type: str
    default: Value
    required: bool


@dataclass(frozen=True)
class Variable(Declaration):
    value: Value


@dataclass(frozen=True)
class Output(Declaration):
    type: str
    value: Value


@dataclass(frozen=True)
class Body(Declaration):
    """A resource or a module: what it says, on which condition, and for each of what."""

    properties: Mapping[str, Value]
    condition: str | None
    loop: str | None


@dataclass(frozen=True)
class Resource(Body):
    type: str
    api_version: str
    existing: bool


@dataclass(frozen=True)
class Module(Body):
    path: str
    """As it is written, relative to the file."""

    @property
    def params(self) -> Mapping[str, Value]:
        params = self.properties.get("params", {})
        assert isinstance(params, dict), f"params of {self.name} are no object"
        return params


@dataclass(frozen=True)
class Bicep:
    """One file. Raises `NotBicep` where it is not in the language."""

    path: Path
    root: Node = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "Bicep":
        return cls.parse(path.read_text(encoding="utf-8"), path)

    @classmethod
    def parse(cls, text: str, path: Path = Path("example.bicep")) -> "Bicep":
        root = Parser(LANGUAGE).parse(text.encode()).root_node
        if root.has_error:
            wrong = next(node for node in walk(root) if node.is_error or node.is_missing)
            lines = text.splitlines()
            line = min(wrong.start_point.row + 1, len(lines))
            raise NotBicep(f"{path.name}:{line}: {lines[line - 1].strip()}")
        return cls(path, root)

    @property
    def text(self) -> str:
        return text_of(self.root)

    @cached_property
    def scope(self) -> str:
        """`targetScope`."""
        for node in self.root.named_children:
            if node.type == "target_scope_assignment":
                return str(value_of(node.named_children[-1]))
        return "resourceGroup"

    @cached_property
    def first_line(self) -> str:
        return self.text.splitlines()[0]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        return {name: _parameter(node) for name, node in self._declared("parameter_declaration")}

    @cached_property
    def variables(self) -> dict[str, Variable]:
        return {
            name: Variable(**_common(node), value=value_of(node.named_children[-1]))
            for name, node in self._declared("variable_declaration")
        }

    @cached_property
    def outputs(self) -> dict[str, Output]:
        return {
            name: Output(
                **_common(node),
                type=text_of(node.named_children[1]),
                value=value_of(node.named_children[-1]),
            )
            for name, node in self._declared("output_declaration")
        }

    @cached_property
    def resources(self) -> dict[str, Resource]:
        return {name: _resource(node) for name, node in self._declared("resource_declaration")}

    @cached_property
    def modules(self) -> dict[str, Module]:
        return {
            name: Module(**_body(node), path=text_of(node.named_children[1])[1:-1])
            for name, node in self._declared("module_declaration")
        }

    def _declared(self, kind: str) -> Iterator[tuple[str, Node]]:
        for node in self.root.named_children:
            if node.type == kind:
                yield text_of(node.named_children[0]), node


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    yield node
    for child in node.children:
        yield from walk(child)


def text_of(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def key_of(prop: Node) -> str:
    """The name of an `object_property`."""
    value = value_of(prop.named_children[0])
    assert isinstance(value, str)
    return value


def value_of(node: Node) -> Value:
    """The value that a node stands for."""
    match node.type:
        case "string" if all(child.type in ("'", "string_content") for child in node.children):
            return "".join(text_of(child) for child in node.named_children)
        case "number":
            return int(text_of(node))
        case "boolean":
            return text_of(node) == "true"
        case "null":
            return None
        case "array":
            return [value_of(child) for child in _told(node)]
        case "object":
            return {key_of(prop): value_of(_told(prop)[-1]) for prop in _told(node)}
        case "parenthesized_expression":
            return value_of(_told(node)[0])
        case "for_statement":
            *_, items, body = _told(node)
            return Loop(text_of(items), value_of(body))
        case "ternary_expression":
            condition, yes, no = _told(node)
            return Choice(text_of(condition), value_of(yes), value_of(no))
        case "call_expression":
            function, arguments = _told(node)
            values = tuple(value_of(argument) for argument in _told(arguments))
            return Call(text_of(function), values, text_of(node))
        case _:
            return Expression(text_of(node))


def strings_of(value: Value) -> Iterator[str]:
    """Every text and expression in a value."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from strings_of(item)
        case dict():
            for item in value.values():
                yield from strings_of(item)
        case Call():
            for item in value.arguments:
                yield from strings_of(item)
        case Choice():
            yield from strings_of(value.yes)
            yield from strings_of(value.no)
        case Loop():
            yield from strings_of(value.body)


def _told(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


class _Common(TypedDict):
    name: str
    decorators: dict[str, tuple[Value, ...]]
    comment: str
    node: Node


class _Body(_Common):
    properties: dict[str, Value]
    condition: str | None
    loop: str | None


def _common(declaration: Node) -> _Common:
    above = declaration.prev_sibling
    row = declaration.start_point.row
    decorators: dict[str, tuple[Value, ...]] = {}
    if above is not None and above.type == "decorators":
        for decorator in above.named_children:
            call = value_of(decorator.named_children[0])
            assert isinstance(call, Call)
            decorators[call.function] = call.arguments
        row, above = above.start_point.row, above.prev_sibling
    lines: list[str] = []
    while above is not None and above.type == "comment" and above.start_point.row == row - 1:
        lines.insert(0, text_of(above).removeprefix("//").strip())
        row, above = above.start_point.row, above.prev_sibling
    return {
        "name": text_of(declaration.named_children[0]),
        "decorators": decorators,
        "comment": " ".join(lines),
        "node": declaration,
    }


def _parameter(node: Node) -> Parameter:
    _, kind, *default = _told(node)
    return Parameter(
        **_common(node),
        type=text_of(kind),
        default=value_of(default[0]) if default else None,
        required=not default and not text_of(kind).endswith("?"),
    )


def _body(node: Node) -> _Body:
    body, condition, loop = node.named_children[-1], None, None
    if body.type == "for_statement":
        *_, items, body = _told(body)
        loop = text_of(items)
    if body.type == "if_statement":
        test, body = _told(body)
        condition = text_of(test)[1:-1]
    properties = value_of(body)
    assert isinstance(properties, dict)
    return {**_common(node), "properties": properties, "condition": condition, "loop": loop}


def _resource(node: Node) -> Resource:
    kind, _, version = text_of(node.named_children[1])[1:-1].partition("@")
    existing = any(child.type == "existing" for child in node.children)
    return Resource(**_body(node), type=kind, api_version=version, existing=existing)
