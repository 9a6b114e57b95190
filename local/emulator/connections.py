"""Whose a connection is, by the two ends of it: how the gateway finds the worker that has made a call. Linux only."""

from collections.abc import Iterator
from pathlib import Path

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def holds(pid: int, port: int, server_port: int) -> bool:
    """Whether a process has the client's end of the connection from `port` to `server_port`.

    The client's port alone does not tell: the kernel gives it out again for a connection to another server.
    """
    ours = set(_sockets(port, server_port))
    return bool(ours) and not ours.isdisjoint(_open_sockets(pid))


def _sockets(port: int, server_port: int) -> Iterator[str]:
    """The inodes of sockets between these two ports; none while the table is being changed, so ask again."""
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
        except OSError:  # the descriptor did; the others are still to be looked at
            continue
        if target.startswith("socket:["):
            yield target[8:-1]
