"""What a compiler would say of names: every one declared, used, called and passed as it should be.

`problems` returns sentences; none of them: nothing was found. It knows names, and of types only
those that can be told without Azure's own: literals, parameters, outputs of modules.
"""

from collections import Counter
from collections.abc import Iterator

from tree_sitter import Node

from tests.infra.bicep import (
    Bicep,
    Module,
    NotBicep,
    key_of,
    text_of,
    walk,
)

FUNCTIONS = {
    "cidrSubnet": "string",
    "concat": "array",
    "empty": "bool",
    "environment": "object",
    "guid": "string",
    "items": "array",
    "join": "string",
    "map": "array",
    "resourceGroup": "object",
    "split": "array",
    "string": "string",
    "subscription": "object",
    "subscriptionResourceId": "string",
    "tenant": "object",
    "trim": "string",
    "union": "object",
    "uniqueString": "string",
}
"""The language's own that the files call, with what they return here.

https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions
"""

NOT_AT_SUBSCRIPTION = {"resourceGroup()"}

DECORATORS = {
    "allowed",
    "batchSize",
    "description",
    "maxLength",
    "maxValue",
    "metadata",
    "minLength",
    "minValue",
}


def problems(bicep: Bicep) -> list[str]:
    """All that is wrong with the names of one file."""
    return [f"{bicep.path.name}: {problem}" for problem in _problems(bicep)]


def _problems(bicep: Bicep) -> Iterator[str]:
    names = list(_declared_names(bicep))
    for name, times in Counter(names).items():
        if times > 1:
            yield f"{name} is declared {times} times"
    used: set[str] = set()
    for node in bicep.root.named_children:
        for name, line in _references(node, frozenset()):
            used.add(name)
            if name not in names:
                yield f"line {line}: {name} is not declared"
        yield from _calls(bicep, node)
    for name in (*bicep.parameters, *bicep.variables):
        if name not in used:
            yield f"{name} is never used"
    for module in bicep.modules.values():
        yield from _module(bicep, module)
    yield from _outputs_used(bicep)


def _declared_names(bicep: Bicep) -> Iterator[str]:
    for node in bicep.root.named_children:
        if node.type in (
            "parameter_declaration",
            "variable_declaration",
            "resource_declaration",
            "module_declaration",
        ):
            yield text_of(node.named_children[0])


def _references(node: Node, local: frozenset[str]) -> Iterator[tuple[str, int]]:
    """The names that `node` mentions and that no loop or lambda around them declares."""
    match node.type:
        case "identifier":
            name = text_of(node)
            if name not in local:
                yield name, node.start_point.row + 1
        case "type" | "comment" | "decorators" | "target_scope_assignment":
            pass
        case "object_property":
            key, *values = node.named_children
            if key.type != "identifier":  # a key may be a text with `${}`
                yield from _references(key, local)
            for value in values:
                yield from _references(value, local)
        case "call_expression":
            yield from _references(node.named_children[1], local)
        case "for_statement":
            head, items, *body = (child for child in node.named_children if child.type != "comment")
            yield from _references(items, local)
            inner = local | set(_identifiers(head))
            for child in body:
                yield from _references(child, inner)
        case "lambda_expression":
            head, body_node = node.named_children
            yield from _references(body_node, local | set(_identifiers(head)))
        case kind if kind.endswith("_declaration"):
            for child in node.named_children[1:]:
                yield from _references(child, local)
        case _:
            for child in node.named_children:
                yield from _references(child, local)


def _identifiers(node: Node) -> Iterator[str]:
    for child in walk(node):
        if child.type in ("identifier", "loop_variable", "loop_enumerator"):
            yield text_of(child)


def _calls(bicep: Bicep, node: Node) -> Iterator[str]:
    known = DECORATORS if node.type == "decorators" else FUNCTIONS
    for child in walk(node):
        if child.type != "call_expression":
            continue
        function, line = text_of(child.named_children[0]), child.start_point.row + 1
        if function not in known:
            yield f"line {line}: {function}() is not known here"
        if bicep.scope == "subscription" and text_of(child) in NOT_AT_SUBSCRIPTION:
            yield f"line {line}: {text_of(child)} does not exist at the subscription"


def _module(bicep: Bicep, module: Module) -> Iterator[str]:
    path = bicep.path.parent / module.path
    if not path.is_file():
        yield f"{module.name}: there is no {module.path}"
        return
    try:
        target = Bicep.read(path)
    except NotBicep as error:
        yield f"{module.name}: {error}"
        return
    for name in module.params:
        if name not in target.parameters:
            yield f"{module.name}: {module.path} has no parameter {name}"
    for name, parameter in target.parameters.items():
        if name not in module.params:
            if parameter.required:
                yield f"{module.name}: the parameter {name} of {module.path} is missing"
            continue
        given = _type(bicep, _value_node(module.node, "params", name))
        if given is not None and given != parameter.type:
            yield f"{module.name}: {name} is {given}, and {module.path} wants {parameter.type}"


def _value_node(node: Node, *path: str) -> Node:
    """The value below an object's properties of these names."""
    for key in path:
        node = next(
            child.named_children[-1]
            for child in walk(node)
            if child.type == "object_property" and key_of(child) == key
        )
    return node


def _outputs_used(bicep: Bicep) -> Iterator[str]:
    for node in walk(bicep.root):
        found = _output_of(bicep, node)
        if found and found[1] not in found[0].outputs:
            line = node.start_point.row + 1
            yield f"line {line}: {found[0].path.name} has no output {found[1]}"


def _output_of(bicep: Bicep, node: Node) -> tuple[Bicep, str] | None:
    """The file and the name of the output, where the node is `module.outputs.name`."""
    if node.type != "member_expression":
        return None
    of, name = node.named_children
    parts = text_of(of).replace("!", "").split(".")
    if len(parts) != 2 or parts[1] != "outputs" or parts[0] not in bicep.modules:
        return None
    path = bicep.path.parent / bicep.modules[parts[0]].path
    return (Bicep.read(path), text_of(name)) if path.is_file() else None


def _type(bicep: Bicep, node: Node) -> str | None:
    """The type of an expression; None: who knows."""
    match node.type:
        case "string":
            return "string"
        case "number":
            return "int"
        case "boolean":
            return "bool"
        case "array" | "for_statement":
            return "array"
        case "object":
            return "object"
        case "ternary_expression":
            _, yes, no = node.named_children
            types = {_type(bicep, yes), _type(bicep, no)}
            return types.pop() if len(types) == 1 else None
        case "identifier" if text_of(node) in bicep.parameters:
            return bicep.parameters[text_of(node)].type
        case "identifier" if text_of(node) in bicep.variables:
            return _type(bicep, bicep.variables[text_of(node)].node.named_children[-1])
        case "call_expression":
            return FUNCTIONS.get(text_of(node.named_children[0]))
        case _:
            found = _output_of(bicep, node)
            output = found[0].outputs.get(found[1]) if found else None
            return output.type if output else None
