"""Records what the real tools say of corrupted images, so that tests need none of them: `make image-verdicts`.

The verdicts of `xfs_repair -n`, `e2fsck -fn`, `ntfsfix -n` and `sgdisk -v` go into a JSON file beside the images. Of an
image that is dirty, and of which a tool complains anyway, only new complaints count.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path

from tools.images.corruptions import Corruption, draw
from tools.images.sparse import FOLDER, SparseImage, load, names, write_out

SEED, COUNT = 1, 2000
VERDICTS = FOLDER / "verdicts.json"
TOOLS: dict[str, tuple[str, ...]] = {
    "xfs": ("xfs_repair", "-n", "-f"),
    "ext": ("e2fsck", "-f", "-n"),
    "ntfs": ("ntfsfix", "-n"),
    "gpt": ("sgdisk", "-v"),
}
SKIPPED = (
    *("xfs-v5-external-log", "gpt-lvm2", "xfs-v5-wrapped-crashed"),
    *("xfs-v5-1000-groups", "xfs-v5-100-gib", "ext4-100-gib"),
)
"""A volume is missing, the table is that of `gpt`, there are complaints anyway; and three are large."""

_NOT_COMPLAINTS = re.compile(
    r"^\s*$|^\w+( \w+)?\? no$|\*\*\*|^Pass |^\s+- |^e2fsck |^Phase |files \(.*non-contiguous\)|^segments, "
    r"|free sectors|^No problems found"
)


def tool_of(name: str) -> tuple[str, ...] | None:
    """The tool that checks an image; None if there is none."""
    kind = next((kind for kind in TOOLS if name.startswith(kind)), None)
    return TOOLS[kind] if kind and name not in SKIPPED else None


def say(command: tuple[str, ...], image: SparseImage, path: Path) -> tuple[int, tuple[str, ...]]:
    """The exit status of a tool, and the lines in which it may complain."""
    write_out(image, path)
    try:
        done = subprocess.run(
            [*command, str(path)], capture_output=True, text=True, errors="replace", timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, ("timeout",)
    lines = (done.stdout + done.stderr).replace(str(path), "IMAGE").splitlines()
    return done.returncode, tuple(line for line in lines if not _NOT_COMPLAINTS.search(line))


def finds(before: tuple[int, tuple[str, ...]], after: tuple[int, tuple[str, ...]]) -> list[str]:
    """The new complaints; empty if the tool finds nothing."""
    new = [line for line in after[1] if line not in before[1]]
    return new if new or after[0] == before[0] else [f"exit status {after[0]}"]


def record(count: int = COUNT) -> None:
    """Draw the corruptions, ask the tools, and write the file."""
    wanted = [name for name in names() if tool_of(name)]
    rows = []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "image"
        for number, name in enumerate(wanted):
            share = count * (number + 1) // len(wanted) - count * number // len(wanted)
            command, image = tool_of(name), load(name)
            assert command
            before = say(command, image, path)
            for one in draw(name, image, share, SEED):
                found = finds(before, say(command, one.apply(image), path))
                rows.append({**_short(one), "found": found[0][:100] if found else ""})
            print(f"{name}: {share}")
    VERDICTS.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


NEEDS_MORE = re.compile(
    r"counted|(bno|cnt|ino)bt|space tree|[Bb]itmap differences|is in the future|last (write|mount) time"
    r"|Directories count|root inode|invalid journal \(inode|Journal inode|Entry '|orphaned inode|bad agbno \d+ in agfl"
)
"""Complaints about what only trees, bitmaps, inodes or today's date show. `read` covers none of these."""


def is_covered(complaint: str) -> bool:
    """Whether a tool's first complaint is about what `read` covers."""
    return bool(complaint) and not NEEDS_MORE.search(complaint)


def recorded() -> list[tuple[Corruption, str]]:
    """Each recorded corruption with the tool's first complaint, empty if it had none."""
    rows = json.loads(VERDICTS.read_text())
    return [(Corruption(**{key: row[key] for key in row if key != "found"}), row["found"]) for row in rows]


def _short(one: Corruption) -> dict[str, object]:
    return {key: value for key, value in asdict(one).items() if value not in (0, "") or key == "at"}


if __name__ == "__main__":
    record()
