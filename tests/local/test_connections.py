"""The worker that made a call is found by both ends of its connection."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from local.emulator.connections import holds


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def listening(stack: ExitStack) -> socket.socket:
    made = stack.enter_context(socket.socket())
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


def connected(stack: ExitStack, server: socket.socket, port: int = 0) -> int:
    """A connection to a server, from any port or from this one; the port it is from."""
    made = stack.enter_context(socket.socket())
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.connect(server.getsockname())
    return int(made.getsockname()[1])


def test_a_clients_port_that_is_in_use_twice_tells_two_connections_apart(stack: ExitStack) -> None:
    one, two, nobodys = listening(stack), listening(stack), listening(stack)
    port = connected(stack, one)
    assert connected(stack, two, port) == port
    ports = [int(server.getsockname()[1]) for server in (one, two, nobodys)]
    assert [holds(os.getpid(), port, server_port) for server_port in ports] == [True, True, False]
    assert not holds(os.getppid(), port, ports[0]), "another process has neither"


def test_of_a_process_that_is_gone_nothing_is_held(stack: ExitStack) -> None:
    server = listening(stack)
    assert not holds(2**22 + 1, connected(stack, server), int(server.getsockname()[1]))
