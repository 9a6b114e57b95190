"""What the kernel says of the workers' processes: whether one moves, or waits for something to come from outside."""

import fcntl
import os
import select
import socket
import stat
import termios
from pathlib import Path

CALM = 3
"""So many observations in a row must find nothing moving in a worker with several threads: its last request may
just be on its way from the socket to the count of requests."""

_calm: dict[int, tuple[tuple[int, ...], int]] = {}


def _threads(pid: int) -> tuple[bool, tuple[int, ...]]:
    """Whether all threads of a process wait, and how often each has been on a processor."""
    waiting, switches = True, []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("State:"):
                waiting = waiting and line.split()[1] == "S"
            elif "ctxt_switches" in line:
                switches.append(int(line.split()[1]))
    return waiting, tuple(switches)


def _unread(port: int) -> bool:
    """Whether something has arrived on our sockets that we have not read yet.

    We ask our own sockets: the kernel's table has every connection of the machine, and takes 6 ms to read.
    """
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 only their numbers are wanted
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as ours:
                if ours.family == socket.AF_INET and ours.getsockname()[1] == port and _has_arrived(ours):
                    return True
        except OSError:  # it has just been closed
            continue
    return False


def _has_arrived(ours: socket.socket) -> bool:
    """Whether there is a connection to accept, or there are bytes to read; the client's end is neither."""
    if ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return bool(select.select([ours], [], [], 0)[0])
    return any(fcntl.ioctl(ours, termios.FIONREAD, bytes(4)))


def is_blocked(pid: int, sleepers: int) -> bool:
    """Whether all threads of a worker wait, `sleepers` of them for the simulated clock.

    One thread that sleeps is all there is to know. With several, others may wait for those that sleep; then what the
    kernel says of each counts, and it must say the same several times.
    """
    try:
        if len(os.listdir(f"/proc/{pid}/task")) <= sleepers:  # noqa: PTH208 only their number is wanted
            return True
        waiting, switches = _threads(pid)
        if not waiting or _unread(int(os.environ["GATEWAY_PORT"])):
            _calm.pop(pid, None)
            return False
    except OSError:  # it has just ended
        return False
    known, times = _calm.get(pid, ((), 0))
    times = times + 1 if known == switches else 1
    _calm[pid] = (switches, times)
    return times >= CALM


def movement(pids: list[int]) -> tuple[object, ...]:
    """Something that changes for as long as one of these processes moves; never the same for one that could run."""
    found: list[object] = []
    for pid in pids:
        try:
            waiting, switches = _threads(pid)
        except OSError:
            continue
        found.append((pid, switches) if waiting else object())
    return tuple(found)
