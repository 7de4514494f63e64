"""Free ports: the wanted one, the next one, any."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from local.ports import HOST, free_ports, is_free


@contextmanager
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_not_free():
    with taken() as port:
        assert not is_free(port)


def test_a_free_port_is_free():
    port = next(free_ports())
    assert is_free(port)


def test_moves_on_from_a_taken_port_to_the_next():
    with taken() as port:
        candidates = list(islice(free_ports(port), 3))
    assert port not in candidates
    assert candidates[0] > 0
    assert len(set(candidates)) == 3


def test_begins_with_the_wanted_port():
    with taken() as port:
        pass
    assert next(free_ports(port)) == port


def test_ends_at_the_last_port_there_is():
    assert all(0 < port < 65536 for port in islice(free_ports(65530), 30))
