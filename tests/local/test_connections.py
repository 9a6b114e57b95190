"""The worker that made a call is found by both ends of its connection."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from local.emulator import connections, processes
from local.emulator.connections import holder


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


@pytest.fixture(params=["asked", "listed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the kernel is asked: for the one connection, or, where it does not answer that, for all."""
    if request.param == "listed":
        monkeypatch.setattr(connections, "SOCK_DIAG", -1)  # a kernel without
    return str(request.param)


def test_a_clients_port_that_is_in_use_twice_is_two_connections(stack: ExitStack, way: str) -> None:
    one, two, nobodys = listening(stack), listening(stack), listening(stack)
    port = connected(stack, one)
    assert connected(stack, two, port) == port
    us, other = os.getpid(), os.getppid()
    ports = [int(server.getsockname()[1]) for server in (one, two, nobodys)]
    assert [holder([other, us], port, server_port) for server_port in ports] == [us, us, None]
    assert holder([other], port, ports[0]) is None, "another process has neither"


def test_who_listens_at_the_clients_port_has_not_made_the_call(stack: ExitStack, way: str) -> None:
    server = int(listening(stack).getsockname()[1])
    assert holder([os.getpid()], server, server) is None


def test_of_a_process_that_is_gone_nothing_is_held(stack: ExitStack, way: str) -> None:
    server = listening(stack)
    assert holder([2**22 + 1], connected(stack, server), int(server.getsockname()[1])) is None


def test_the_kernel_is_asked_for_one_connection_alone(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TABLES", ())
    server = listening(stack)
    assert holder([os.getpid()], connected(stack, server), int(server.getsockname()[1])) == os.getpid()


def test_what_has_arrived_and_is_not_read_is_seen(stack: ExitStack) -> None:
    server = listening(stack)
    port = int(server.getsockname()[1])
    assert not processes._unread(port)
    client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    assert processes._unread(port), "a connection that is not accepted"
    accepted, _ = server.accept()
    stack.enter_context(accepted)
    assert not processes._unread(port)
    client.sendall(b"x")
    assert processes._unread(port)
    accepted.recv(1)
    assert not processes._unread(port)
    client.shutdown(socket.SHUT_WR)
    assert not processes._unread(port), "there is nothing more to read, for as long as the connection is open"
