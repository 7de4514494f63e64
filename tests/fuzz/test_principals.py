"""The platform's header: an owner comes of it, or nobody; never another's."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Unauthenticated
from shared.identity.principal import caller
from shared.settings import Auth
from tests.fuzz.examples import damaged, fuzzed, mutated, texts, values

WEB_APP = {
    "identityProvider": "github",
    "userId": "u1",
    "userDetails": "user",
    "userRoles": ["anonymous", "authenticated"],
}
_CLAIMS = "http://schemas.microsoft.com/identity/claims"
APP_SERVICE = {
    "auth_typ": "aad",
    "claims": [
        {"typ": f"{_CLAIMS}/tenantid", "val": "t1"},
        {"typ": f"{_CLAIMS}/objectidentifier", "val": "o1"},
    ],
    "name_typ": "n",
    "role_typ": "r",
}
SUBJECT = {"auth_typ": "x", "claims": [{"typ": "iss", "val": "i"}, {"typ": "sub", "val": "s"}]}
MODES = [Auth(mode="staticwebapps", trusted=True), Auth(mode="easyauth", trusted=True)]


def header(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def owner_of(text: str, auth: Auth) -> str | None:
    """Who it is; None: nobody."""
    try:
        found = caller(auth, text).owner
    except Unauthenticated as error:
        assert error.status == 401
        assert error.message.isprintable()
        return None
    assert found is not None
    parts = found.split(",")
    assert len(parts) in (3, 4)
    assert all(parts), found
    assert found.isascii()
    assert found.isprintable()
    return found


@fuzzed(800)
@given(
    st.one_of(values, mutated(WEB_APP, APP_SERVICE, SUBJECT)).map(header),
    st.sampled_from(MODES),
)
def test_any_principal(text: str, auth: Auth) -> None:
    owner_of(text, auth)


@fuzzed(400)
@given(
    st.one_of(
        texts,
        damaged(header(WEB_APP).encode()).map(lambda data: data.decode("latin-1")),
        st.binary(max_size=100).map(lambda data: base64.b64encode(data).decode()),
    ),
    st.sampled_from(MODES),
)
def test_any_text(text: str, auth: Auth) -> None:
    owner_of(text, auth)


_parts = st.one_of(texts, st.sampled_from(["a", "b", "a,b", "%2C", "swa", ",", "a%2Cb"]))


@fuzzed(800)
@given(st.tuples(_parts, _parts), st.tuples(_parts, _parts))
def test_two_people_are_never_one(one: tuple[str, str], other: tuple[str, str]) -> None:
    def owner(who: tuple[str, str]) -> str | None:
        principal = WEB_APP | {"identityProvider": who[0], "userId": who[1]}
        return owner_of(header(principal), MODES[0])

    first, second = owner(one), owner(other)
    assert first is None or second is None or (first == second) == (one == other)


@fuzzed(400)
@given(_parts, _parts, _parts, _parts)
def test_shapes_are_never_mixed_up(a: str, b: str, c: str, d: str) -> None:
    web_app = owner_of(header(WEB_APP | {"identityProvider": a, "userId": b}), MODES[0])
    claims = [
        {"typ": f"{_CLAIMS}/tenantid", "val": c},
        {"typ": f"{_CLAIMS}/objectidentifier", "val": d},
    ]
    app_service = owner_of(header(APP_SERVICE | {"auth_typ": a, "claims": claims}), MODES[0])
    subject = [{"typ": "iss", "val": c}, {"typ": "sub", "val": d}]
    other = owner_of(header({"auth_typ": a, "claims": subject}), MODES[0])
    known = [who for who in (web_app, app_service, other) if who is not None]
    assert len(set(known)) == len(known)


def test_deep_nesting_is_nobody() -> None:
    for raw in (b"[" * 40_000, b'{"claims":' * 4_000):
        assert owner_of(base64.b64encode(raw).decode(), MODES[0]) is None
