"""Headers that belong to one connection, not to the message: what no proxy passes on."""

from multidict import CIMultiDict, CIMultiDictProxy

# RFC 9110, section 7.6.1, and those of older proxies.
_HOP_BY_HOP = (
    *("connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
    *("proxy-authenticate", "proxy-authorization", "proxy-connection"),
)


def end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """A copy without these headers, and without those that `Connection` names."""
    named = [
        name.strip() for value in headers.getall("connection", ()) for name in value.split(",")
    ]
    kept = CIMultiDict(headers)
    for name in (*_HOP_BY_HOP, *named):
        kept.popall(name, None)
    return kept
