"""Whose a connection is, by the two ends of it: how the gateway finds the worker that has made a call. Linux only."""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LOOPBACK = socket.inet_aton("127.0.0.1")

SOCK_DIAG, BY_FAMILY, REQUEST, ERROR = 4, 20, 1, 2
HEADER = struct.Struct("=IHHII")
"""Of a netlink message: length, type, flags, sequence, sender (linux/netlink.h)."""
ASKED = struct.Struct("=BBBxI")
"""Family, protocol, extensions, states (linux/inet_diag.h, inet_diag_req_v2)."""
ENDS = struct.Struct("!HH16s16sI8s")
"""Ports and addresses of a connection, interface, cookie (inet_diag_sockid)."""
ANSWERED = struct.Struct("=BBBB")
"""Family, state, timer, retransmissions; then the ends (inet_diag_msg)."""
QUEUES = struct.Struct("=IIIII")
"""Expiry, both queues, user, inode; they end the answer."""
ANY_COOKIE = b"\xff" * 8


def holder(pids: Iterable[int], port: int, server_port: int) -> int | None:
    """The one of these processes that has the client's end of the connection from `port` to `server_port`.

    The client's port alone does not show it: the kernel gives it out again for a connection to another server.
    """
    ours = _sockets(port, server_port)
    return next((pid for pid in pids if not ours.isdisjoint(_open_sockets(pid))), None) if ours else None


def _sockets(port: int, server_port: int) -> set[str]:
    """The inodes of sockets between these two ports; none while a table is being changed, so ask again."""
    try:
        return set(_asked(port, server_port))
    except OSError:  # a kernel that does not answer such questions
        return set(_listed(port, server_port))


def _asked(port: int, server_port: int) -> Iterator[str]:
    """The inode of the one connection, from the kernel.

    Its tables have a row for each connection of the whole machine, and a quarter of a million places to check: 6 ms
    a time, and this is asked at every call that takes its time.

    Raises:
        OSError: this kernel does not say.
    """
    ends = ENDS.pack(port, server_port, LOOPBACK, LOOPBACK, 0, ANY_COOKIE)
    question = ASKED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as kernel:
        kernel.sendto(HEADER.pack(HEADER.size + len(question), BY_FAMILY, REQUEST, 0, 0) + question, (0, 0))
        answer = kernel.recv(4096)
    _, kind, *_ = HEADER.unpack_from(answer)
    at = HEADER.size
    if kind == ERROR:
        [code] = struct.unpack_from("=i", answer, at)
        if -code != errno.ENOENT:
            raise OSError(-code, os.strerror(-code))
        return
    found = ENDS.unpack_from(answer, at + ANSWERED.size)
    *_, inode = QUEUES.unpack_from(answer, at + ANSWERED.size + ENDS.size)
    if found[:2] == (port, server_port) and inode:  # else someone listens at that port
        yield str(inode)


def _listed(port: int, server_port: int) -> Iterator[str]:
    """The same from the kernel's tables."""
    for table in TABLES:
        if not Path(table).exists():
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            _, here, there, *_, inode = line.split()[:10]
            if (_port(here), _port(there)) == (port, server_port) and inode != "0":
                yield inode


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _open_sockets(pid: int) -> Iterator[str]:
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # the process went meanwhile
        return
    for entry in entries:
        try:
            target = str(entry.readlink())
        except OSError:  # the descriptor did; the others are still to be observed
            continue
        if target.startswith("socket:["):
            yield target[8:-1]
