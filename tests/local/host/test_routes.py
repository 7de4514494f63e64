"""Route templates against paths, as the Functions host matches them."""

import json

import pytest

from local.host.routes import Function, RouteError, RouteTable, functions_from_metadata


def http(name: str, route: str, *methods: str) -> Function:
    return Function("id-" + name, name, "httpTrigger", "req", frozenset(methods), route)


def served(table: RouteTable, path: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
    match = table.match(method, path)
    return None if match is None else (match.function.name, match.params)


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("chat", "/api/chat", {}),
        ("chat", "/api/chat/", {}),
        ("Chat", "/API/cHAT", {}),
        ("/chat/", "/api/chat", {}),
        ("chat", "/api/chat/x", None),
        ("chat", "/chat", None),
        ("chat", "/api//chat", None),
        ("c/{id}", "/api/c/7", {"id": "7"}),
        ("c/{id}", "/api/c/", None),
        ("c/{id}", "/api/c/A%20b%C3%A9", {"id": "A bé"}),
        ("c/{id}", "/api/c/a%2Fb", {"id": "a%2Fb"}),
        ("c/{id}/m/{n:int}", "/api/c/x/m/-12", {"id": "x", "n": "-12"}),
        ("c/{id}/m/{n:int}", "/api/c/x/m/twelve", None),
        ("c/{n:int}", "/api/c/2147483648", None),
        ("c/{n:long}", "/api/c/2147483648", {"n": "2147483648"}),
        ("c/{id?}", "/api/c", {}),
        ("c/{id?}", "/api/c/1", {"id": "1"}),
        ("c/{id:int?}", "/api/c/x", None),
        ("c/{id:int?}", "/api/c", {}),
        ("c/{x:regex(^a?$)?}", "/api/c", {}),
        ("f/{*rest}", "/api/f/a/b", {"rest": "a/b"}),
        ("f/{**rest}", "/api/f", {}),
        ("f/{*rest:maxlength(3)}", "/api/f/a/bc", None),
        ("c/{b:bool}", "/api/c/TRUE", {"b": "TRUE"}),
        ("c/{x:alpha:length(2,3)}", "/api/c/ab", {"x": "ab"}),
        ("c/{x:alpha:length(2,3)}", "/api/c/abcd", None),
        ("c/{x:length(2)}", "/api/c/abc", None),
        ("c/{x:minlength(2)}", "/api/c/a", None),
        ("c/{x:min(3)}", "/api/c/3", {"x": "3"}),
        ("c/{x:max(3)}", "/api/c/4", None),
        ("c/{x:range(1,9)}", "/api/c/0", None),
        ("c/{x:float}", "/api/c/1.5", {"x": "1.5"}),
        ("c/{x:decimal}", "/api/c/.", None),
        ("c/{x:double}", "/api/c/-2", {"x": "-2"}),
        ("c/{x:regex(^a+$)}", "/api/c/aa", {"x": "aa"}),
        ("c/{x:regex(^a+$)}", "/api/c/ab", None),
        (
            "c/{x:guid}",
            "/api/c/0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
            {"x": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"},
        ),
        ("c/{x:guid}", "/api/c/0a9a7e1f", None),
    ],
)
def test_template(template: str, path: str, params: dict[str, str] | None) -> None:
    expected = None if params is None else ("f", params)
    assert served(RouteTable([http("f", template)], "api"), path) == expected


def test_the_more_literal_route_wins() -> None:
    table = RouteTable(
        [
            http("rest", "{*rest}"),
            http("plain", "c/{id}"),
            http("number", "c/{id:int}"),
            http("literal", "c/new"),
        ],
        "api",
    )
    assert served(table, "/api/c/new") == ("literal", {})
    assert served(table, "/api/c/1") == ("number", {"id": "1"})
    assert served(table, "/api/c/x") == ("plain", {"id": "x"})
    assert served(table, "/api/c/x/y") == ("rest", {"rest": "c/x/y"})


def test_methods_share_a_route() -> None:
    table = RouteTable([http("get", "c/{id}", "GET"), http("delete", "c/{id}", "DELETE")], "api")
    assert served(table, "/api/c/1", "GET") == ("get", {"id": "1"})
    assert served(table, "/api/c/1", "DELETE") == ("delete", {"id": "1"})
    assert served(table, "/api/c/1", "HEAD") is None


@pytest.mark.parametrize(("prefix", "path"), [("", "/chat"), ("/my/api/", "/my/api/chat")])
def test_prefix(prefix: str, path: str) -> None:
    assert served(RouteTable([http("f", "chat")], prefix), path) == ("f", {})


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("c/{id:colour}", "unknown constraint 'colour'"),
        ("c/{id:length(x)}", "argument 'x' of 'length' is wrong"),
        ("c/{id:regex([)}", "argument '\\[' of 'regex' is wrong"),
        ("c/a{id}", "must be a literal"),
        ("c/{*rest}/x", "only the last segment"),
        ("c/{id?}/x", "only the last segment"),
    ],
)
def test_template_that_cannot_be_served(template: str, message: str) -> None:
    with pytest.raises(RouteError, match=message):
        RouteTable([http("f", template)], "api")


def metadata(**binding: object) -> list[dict[str, object]]:
    return [{"id": "1", "name": "hello", "bindings": [json.dumps(binding)]}]


def test_functions_from_metadata() -> None:
    trigger = {"type": "httpTrigger", "name": "req", "authLevel": "ANONYMOUS"}
    (function,) = functions_from_metadata(metadata(**trigger, methods=["get"]))
    assert function == Function(
        "1", "hello", "httpTrigger", "req", frozenset({"GET"}), route="hello"
    )
    (timer,) = functions_from_metadata(metadata(type="timerTrigger", name="timer"))
    assert timer.route is None


def test_admin_level_is_refused() -> None:
    with pytest.raises(RouteError, match="auth level 'admin'"):
        functions_from_metadata(metadata(type="httpTrigger", name="req", authLevel="ADMIN"))


def test_function_without_trigger_is_refused() -> None:
    with pytest.raises(RouteError, match="'hello' has no trigger"):
        functions_from_metadata(metadata(type="http", name="$return"))
