"""The OpenAPI document beside the routes that there are."""

import json
import sys
from typing import Any

import pytest

from shared.api.openapi import document
from tests.e2e.client import NDJSON, Api
from tests.e2e.conftest import ROOT
from tests.e2e.described import described
from tests.e2e.test_meta import SAFE
from tests.web.runtimes import call

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"}
LIST = """
import json
import function_app
triggers = [function.get_trigger().get_dict_repr() for function in function_app.app.get_functions()]
print(json.dumps([t for t in triggers if t["type"] == "httpTrigger"], default=str))
"""
DESCRIBED = {
    path: {method.upper() for method in operations if method != "parameters"}
    for path, operations in document()["paths"].items()
}


async def test_every_route_is_described_and_nothing_else() -> None:
    code, out, complaint = await call(sys.executable, "-", stdin=LIST, cwd=ROOT)
    assert code == 0, complaint
    routes = {
        "/" + trigger["route"].replace("{*", "{"): {*trigger["methods"]}
        for trigger in json.loads(out)
    }
    assert routes == {path: methods | {"OPTIONS"} for path, methods in DESCRIBED.items()}


@pytest.mark.parametrize("path", DESCRIBED)
async def test_other_methods_are_the_hosts_404(api: Api, path: str) -> None:
    """As in Azure (azure-functions-host#10098): no 405, and no function is asked."""
    for method in sorted(METHODS - DESCRIBED[path]):
        reply = await api.call(method, path.replace("{", "").replace("}", ""))
        assert (reply.status, reply.body) == (404, b""), method
        assert "content-type" not in reply.headers


async def test_an_encoded_line_break_is_no_id(api: Api) -> None:
    """The web server of Functions' own extension has no route for it: no function is asked."""
    reply = await api.call("GET", "/conversations/a%0Ab")
    assert (reply.status, reply.json()) == (404, {"detail": "Not Found"})


def _reply(**changes: Any) -> tuple[int, dict[str, str], bytes]:
    headers = {"content-type": NDJSON, "x-accel-buffering": "no", **SAFE}
    body = b'{"type":"delta","text":"a","position":"1.1"}\n'
    reply: dict[str, Any] = {"status": 200, "headers": headers, "body": body} | changes
    return reply["status"], reply["headers"], reply["body"]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 418},
        {"headers": SAFE | {"content-type": NDJSON}},
        {"headers": SAFE | {"content-type": "text/html", "x-accel-buffering": "no"}},
        {"body": b'{"type":"delta","text":1,"position":"1.1"}\n'},
        {"body": b'{"type":"delta","text":"a","position":"1"}\n'},
        {"body": b'{"type":"sigh","text":"a","position":"1.1"}\n'},
    ],
    ids=["status", "headers", "content type", "text", "position", "event"],
)
def test_a_reply_that_is_not_described(changes: dict[str, Any]) -> None:
    described("POST", "/chat", *_reply())
    with pytest.raises(AssertionError):
        described("POST", "/chat", *_reply(**changes))


async def test_who_has_to_sign_in(api: Api, stranger: Api) -> None:
    """The document of a deployment says whether its callers have to."""
    open_to_all = (await api.call("GET", "/openapi.json")).json()["paths"]
    closed = (await stranger.call("GET", "/openapi.json")).json()["paths"]
    assert closed == document()["paths"]
    assert open_to_all == document(anonymous=True)["paths"]
    assert open_to_all["/chat"]["post"]["security"] == []
    assert closed["/chat"]["post"]["security"] == [{"principal": []}]
    assert closed["/openapi.json"]["get"]["security"] == []
    assert closed["/health"]["get"]["security"] == [{}, {"principal": []}]
