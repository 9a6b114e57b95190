"""Large layers, unpacked once for all emulators of this clone. The product's takes longer to unpack than to import.

A folder stays until an emulator unpacks another layer while none uses it. An emulator holds a lock on what it uses.
"""

import fcntl
import shutil
import zipfile
from io import BytesIO
from pathlib import Path
from typing import IO

FOLDER = Path(__file__).resolve().parents[2] / ".local" / "layers"
SHARED_FROM = 1_000_000
"""Bytes of an archive. A smaller one is unpacked as quickly as it is found."""

_locks: list[IO[str]] = []
"""Open as long as this process lives: the end of a process gives its locks back, however it ends."""


def unpack(content: bytes, digest: str) -> Path:
    """The folder of an archive, unpacked unless an emulator has done that already.

    Args:
        content: the archive, a zip file.
        digest: its name among all archives.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = FOLDER / digest
    with (FOLDER / "lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        lock = _lock_of(folder).open("w")
        fcntl.flock(lock, fcntl.LOCK_SH)
        _locks.append(lock)
        if not folder.exists():
            _remove_unused()
            unfinished = FOLDER / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            with zipfile.ZipFile(BytesIO(content)) as archive:
                archive.extractall(unfinished)
            unfinished.rename(folder)
    return folder


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove_unused() -> None:
    """Remove what no emulator uses. The caller holds the lock of the whole folder."""
    for path in FOLDER.glob("*.lock"):
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink()
