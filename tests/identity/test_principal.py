"""The platform's header as a caller: both shapes, and everything that must be refused."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Unauthenticated
from shared.identity.principal import MAX_HEADER_CHARS, caller
from shared.messages import Caller
from shared.settings import Auth

SWA, EASY = Auth("staticwebapps", trusted=True), Auth("easyauth", trusted=True)
OID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
TID = "http://schemas.microsoft.com/identity/claims/tenantid"
NAME_ID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"


def header(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(raw).decode()


def swa(**fields: Any) -> str:
    standard = {
        "identityProvider": "github",
        "userId": "d75b260a64504067bfc5b2905e3b8182",
        "userDetails": "name",
        "userRoles": ["anonymous", "authenticated"],
    }
    return header({k: v for k, v in (standard | fields).items() if v is not ...})


def easy(*claims: Any, auth_typ: Any = "aad") -> str:
    listed = [{"typ": c[0], "val": c[1]} if isinstance(c, tuple) else c for c in claims]
    return header({"auth_typ": auth_typ, "claims": listed, "name_typ": "n", "role_typ": "r"})


def test_anonymous_callers_have_no_owner_whatever_they_send() -> None:
    for sent in (None, "", "rubbish", swa()):
        assert caller(Auth("anonymous", trusted=True), sent) == Caller(None)


def test_static_web_apps() -> None:
    assert caller(SWA, swa()) == Caller("swa,github,d75b260a64504067bfc5b2905e3b8182")
    assert caller(SWA, swa(userDetails=...)) == caller(SWA, swa())
    assert caller(SWA, swa(userId="A")) != caller(SWA, swa(userId="a"))


@pytest.mark.parametrize(
    ("claims", "owner"),
    [
        ([("oid", "O"), ("tid", "T")], "oid,aad,T,O"),
        ([(OID, "O"), (TID, "T")], "oid,aad,T,O"),
        ([(OID, "O"), ("oid", "O"), ("tid", "T"), ("roles", "a"), ("roles", "b")], "oid,aad,T,O"),
        ([("oid", "O"), ("tid", "T"), ("iss", "I"), ("sub", "S")], "oid,aad,T,O"),
        ([("iss", "https://i/"), ("sub", "S")], "sub,aad,https%3A%2F%2Fi%2F,S"),
        ([("iss", "I"), (NAME_ID, "S"), ("oid", "O")], "sub,aad,I,S"),
    ],
)
def test_app_service(claims: list[tuple[str, str]], owner: str) -> None:
    assert caller(EASY, easy(*claims)) == Caller(owner)
    assert caller(SWA, easy(*claims)) == Caller(owner)


def test_base64_may_lack_its_padding() -> None:
    for name in ("a", "ab", "abc"):
        sent = swa(userId=name)
        assert caller(SWA, sent.rstrip("=")) == caller(SWA, sent)


@pytest.mark.parametrize("auth", [Auth("staticwebapps", False), Auth("easyauth", False)])
@pytest.mark.parametrize("sent", [None, swa(), easy(("oid", "O"), ("tid", "T"))])
def test_a_header_that_anyone_may_set_counts_for_nothing(auth: Auth, sent: str | None) -> None:
    with pytest.raises(Unauthenticated, match="WEBSITE_AUTH_ENABLED is not True"):
        caller(auth, sent)


@pytest.mark.parametrize("auth", [SWA, EASY])
@pytest.mark.parametrize("sent", [None, ""])
def test_no_header(auth: Auth, sent: str | None) -> None:
    with pytest.raises(Unauthenticated, match="Sign in first"):
        caller(auth, sent)


@pytest.mark.parametrize("roles", [[], ["anonymous"], ["Anonymous", " ANONYMOUS ", ""]])
def test_nobody_but_anonymous(roles: list[str]) -> None:
    with pytest.raises(Unauthenticated, match="no role but anonymous"):
        caller(SWA, swa(userRoles=roles))


TWICE = b'{"identityProvider":"a","userId":"me","userId":"you","userRoles":["authenticated"]}'


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("rubbish!", "not base64"),
        ("a", "not base64"),
        (f"{swa()}, {swa()}", "not base64"),
        (swa().replace(swa()[5], "-", 1), "not base64"),
        ("ünïcödé", "not base64"),
        (swa() + "====", "not base64"),
        ("A" * (MAX_HEADER_CHARS + 1), "longer than"),
        (header(b"rubbish"), "not JSON"),
        (header(b"\xff\xfe{}"), "not JSON"),
        (header(b"[" * 40_000), "not JSON"),
        (header(TWICE), "not JSON, or names a field twice"),
        (header([]), "no JSON object"),
        (header(None), "no JSON object"),
        (header("text"), "no JSON object"),
        (header({}), "another shape"),
        (header({"userId": "me", "userRoles": ["authenticated"]}), "another shape"),
        (swa(userRoles=...), "userRoles"),
        (swa(userRoles=None), "userRoles"),
        (swa(userRoles="authenticated"), "userRoles"),
        (swa(userRoles=["authenticated", 5]), "userRoles"),
        (swa(userId=...), "userId"),
        (swa(userId=""), "userId"),
        (swa(userId=" "), "userId"),
        (swa(userId=5), "userId"),
        (swa(userId=["me"]), "userId"),
        (swa(userId="x" * 513), "userId"),
        (swa(userId="\ud83d"), "half a character"),
        (swa(identityProvider=""), "identityProvider"),
        (swa(identityProvider=None), "identityProvider"),
        (easy(auth_typ=""), "auth_typ"),
        (easy(auth_typ=None), "auth_typ"),
        (header({"auth_typ": "aad"}), "claims"),
        (header({"auth_typ": "aad", "claims": {"oid": "O"}}), "claims"),
        (easy("oid"), "claims"),
        (easy(), "neither"),
        (easy(("oid", "O")), "neither"),
        (easy(("tid", "T"), ("sub", "S")), "neither"),
        (easy(("OID", "O"), ("tid", "T")), "neither"),
        (easy({"typ": None, "val": "O"}, ("tid", "T")), "neither"),
        (easy({"typ": ["oid"], "val": "O"}, ("tid", "T")), "neither"),
        (easy(("oid", ""), ("tid", "T")), "object id"),
        (easy(("oid", None), ("tid", "T")), "object id"),
        (easy(("oid", "O"), ("oid", "P"), ("tid", "T")), "more than one object id"),
        (easy(("oid", "O"), (OID, "P"), ("tid", "T")), "more than one object id"),
        (easy(("oid", "O"), ("tid", "T"), (TID, None)), "more than one tenant"),
        (easy(("iss", "I"), ("sub", "S"), (NAME_ID, "R")), "more than one subject"),
    ],
)
def test_whatever_is_not_as_expected_is_refused(sent: str, words: str) -> None:
    with pytest.raises(Unauthenticated, match=words):
        caller(SWA, sent)


def test_app_service_authentication_never_sets_the_other_shape() -> None:
    with pytest.raises(Unauthenticated, match="another shape"):
        caller(EASY, swa())


@given(sent=st.text(max_size=200) | st.binary(max_size=200).map(header))
def test_nothing_but_an_identity_passes(sent: str) -> None:
    for auth in (SWA, EASY):
        with pytest.raises(Unauthenticated):
            caller(auth, sent)


VALUES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(str.strip)


@given(one=st.tuples(VALUES, VALUES), two=st.tuples(VALUES, VALUES))
def test_different_callers_are_different_owners(one: tuple[str, str], two: tuple[str, str]) -> None:
    def shapes(a: str, b: str) -> list[str]:
        return [
            swa(identityProvider=a, userId=b),
            easy(("tid", a), ("oid", b)),
            easy(("iss", a), ("sub", b)),
            easy(("tid", "x"), ("oid", b), auth_typ=a),
        ]

    owners = [caller(SWA, sent).owner for pair in {one, two} for sent in shapes(*pair)]
    expected = {
        (kind, *pair) if kind < 3 or pair[0] != "aad" else (1, "x", pair[1])
        for pair in {one, two}
        for kind in range(4)
    }
    assert len(set(owners)) == len(expected)
    assert all(owner is not None and owner.isascii() for owner in owners)
