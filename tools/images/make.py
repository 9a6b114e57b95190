"""Makes the images of tests/fixtures/images with the real tools. Run as root on Linux: `make images`.

Needs xfsprogs, e2fsprogs, ntfs-3g, gdisk, fdisk and lvm2, loop devices, and a kernel that mounts XFS and ext4. The
tools draw UUIDs, so every run makes other images: run `make image-verdicts` afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.images.sparse import FOLDER, store

MIB, GIB = 1 << 20, 1 << 30
XFS_SIZE = 304 * MIB

ENVIRONMENT = {**os.environ, "TEST_DIR": "/tmp", "TEST_DEV": "/tmp", "QA_CHECK_FS": "1"}  # noqa: S108
"""mkfs.xfs refuses small volumes and logs, but not where xfstests sets these."""

SMALL_LOG = ("-m", "reflink=0,finobt=0,inobtcount=0", "-l", "size=4m", "-d", "agcount=2")
"""The smallest log, which soon begins a second round."""

SAME_UUID = "1b0a4e1c-6d5a-4d0e-9a51-0c1f3e1d2b3a"


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout


@contextmanager
def loop(path: Path, offset: int = 0, size: int = 0) -> Iterator[str]:
    limit = ["--sizelimit", str(size)] if size else []
    device = run("losetup", "--find", "--show", "--offset", str(offset), *limit, path).strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[Path]:
    with loop(path) as device, tempfile.TemporaryDirectory() as folder:
        run("mount", *options, device, folder)
        try:
            yield Path(folder)
        finally:
            run("umount", folder)


def empty(path: Path, size: int) -> None:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def xfs(*options: str, size: int = XFS_SIZE) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        empty(path, size)
        run("mkfs.xfs", "-q", "-f", *options, path)

    return make


def ext(kind: str, features: str, *options: str, size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        empty(path, size)
        chosen = ["-O", features] if features else []
        run("mkfs.ext4", "-q", "-F", "-t", kind, *chosen, *options, path)

    return make


def ntfs(*options: str, size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        empty(path, size)
        run("mkntfs", "-q", "-F", "-f", *options, path)

    return make


def fill(folder: Path, count: int, name: str = "row") -> None:
    """Make and remove small files, so that every group of headers is written."""
    for number in range(count):
        place = folder / f"d{number % 5}"
        place.mkdir(exist_ok=True)
        (place / f"{name}-{number}").write_bytes(b"%08d" % number * 8)
        if number % 3 == 0:
            (place / f"{name}-{number}").unlink()


def used(make: Callable[[Path], None], count: int = 100) -> Callable[[Path], None]:
    """Mount, write files and unmount."""

    def after(path: Path) -> None:
        make(path)
        with mounted(path) as folder:
            fill(folder, count)

    return after


def crashed(make: Callable[[Path], None], count: int = 100) -> Callable[[Path], None]:
    """Mount, write files, and cut the file system off from its disk while the log holds what is not in place yet."""

    def after(path: Path) -> None:
        make(path)
        with mounted(path) as folder:
            fill(folder, count)
            os.sync()
            fill(folder, count, "late")
            run("xfs_io", "-x", "-c", "shutdown -f", folder)  # the same ioctl in XFS and ext4

    return after


def log_cleared(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Clear a dirty log, so that all of its sectors carry later cycle numbers."""

    def after(path: Path) -> None:
        make(path)
        run("xfs_repair", "-L", path)

    return after


def new_uuid(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def after(path: Path) -> None:
        make(path)
        run("xfs_admin", "-U", "generate", path)

    return after


def grown(path: Path) -> None:
    """Four allocation groups, then half of another."""
    xfs()(path)
    os.truncate(path, XFS_SIZE + XFS_SIZE // 8 + 12288)
    with mounted(path) as folder:
        run("xfs_growfs", folder)
        fill(folder, 30)


def xfs_external_log(path: Path) -> None:
    log = path.with_suffix(".log")
    empty(log, 64 * MIB)
    empty(path, XFS_SIZE)
    run("mkfs.xfs", "-q", "-f", "-l", f"logdev={log},size=64m", path)


def ext4_grown(path: Path) -> None:
    ext("ext4", "", "-b", "1024", size=24 * MIB)(path)
    os.truncate(path, 60 * MIB)
    run("e2fsck", "-f", "-y", path)
    run("resize2fs", path)


def xfs_v4_used(path: Path) -> None:
    """With files in it, by a prototype: few kernels still mount version 4."""
    proto = path.with_suffix(".proto")
    tree = "".join(f"d{number} d--755 0 0\nfile ---644 0 0 /etc/hostname\n$\n" for number in range(120))
    proto.write_text(f"/\n0 0\nd--755 0 0\n{tree}$\n")
    xfs("-m", "crc=0", "-p", str(proto))(path)


def xfs_v4_crashed(path: Path) -> None:
    """Version 4 with the log of a crashed version 5: made by hand, because few kernels still mount version 4.

    Version 4 does not check the CRC of log records, and xfs_repair reads this log as dirty.
    """
    layout = ("-l", "size=8m,agnum=1", "-d", "agcount=4")
    crashed(xfs("-m", f"reflink=0,uuid={SAME_UUID}", *layout))(path)
    log = path.with_suffix(".log")
    start = log_start(path)
    run("dd", f"if={path}", f"of={log}", "bs=4096", f"skip={start}", "count=2048", "status=none")
    xfs("-m", f"crc=0,uuid={SAME_UUID}", *layout)(path)
    at = log_start(path)
    run("dd", f"if={log}", f"of={path}", "bs=4096", f"seek={at}", "count=2048", "conv=notrunc", "status=none")


def log_start(path: Path) -> int:
    """Where the log begins, in blocks of 4,096 bytes from the start of the volume."""
    number = run("xfs_db", "-r", "-c", "sb 0", "-c", "p logstart", path).split()[-1]
    words = run("xfs_db", "-r", "-c", f"convert fsblock {number} daddr", path).split()
    return int(words[-1].strip("()")) // 8


def inside(path: Path, offset: int, make: Callable[[Path], None]) -> None:
    """Make a file system in a file of its own, and put it into the image at `offset`."""
    part = path.with_suffix(".part")
    make(part)
    run("dd", f"if={part}", f"of={path}", "bs=4096", f"seek={offset // 4096}", "conv=notrunc,sparse", "status=none")
    part.unlink()


def gpt(path: Path) -> None:
    empty(path, 420 * MIB)
    sgdisk = ("sgdisk", "-n1:2048:+304M", "-c1:data", "-n2:0:+40M", "-c2:logs", "-n3:0:+16M", "-t3:0700", "-n9:0:+8M")
    run(*sgdisk, path)
    inside(path, MIB, xfs())
    inside(path, 305 * MIB, ext("ext4", "", "-b", "1024", size=40 * MIB))
    inside(path, 345 * MIB, ntfs(size=16 * MIB))


def mbr(path: Path) -> None:
    empty(path, 100 * MIB)
    layout = "label: dos\nstart=1MiB,size=16MiB,type=7\nstart=17MiB,size=80MiB,type=5\n"
    layout += "start=18MiB,size=20MiB,type=83\nstart=40MiB,size=24MiB,type=83\nstart=66MiB,size=8MiB,type=82\n"
    subprocess.run(["sfdisk", "-q", str(path)], input=layout, text=True, check=True)
    inside(path, MIB, ntfs(size=16 * MIB))
    inside(path, 18 * MIB, ext("ext2", "", "-b", "1024", size=20 * MIB))
    inside(path, 40 * MIB, ext("ext4", "", "-b", "1024", size=24 * MIB))


def lvm2(size: int, *options: str, changes: int = 1) -> Callable[[Path], None]:
    """A physical volume with a volume group, two logical volumes, and so many further changes of its metadata.

    lvcreate needs the device mapper. vgcfgrestore writes the same metadata without it.
    """

    def make(path: Path) -> None:
        empty(path, size)
        with loop(path) as device:
            group = f"vg{os.getpid()}"
            lvm("pvcreate", *options, device)
            lvm("vgcreate", group, device)
            backup = path.with_suffix(".vg")
            lvm("vgcfgbackup", "-f", str(backup), group)
            backup.write_text(with_volumes(backup.read_text()))
            lvm("vgcfgrestore", "-f", str(backup), group)
            for number in range(changes):
                lvm("vgchange", "--addtag", f"change{number}-{'x' * 900}", group)

    return make


def lvm(command: str, *arguments: str) -> None:
    config = 'devices { use_devicesfile=0 scan=["/dev"] } activation { udev_sync=0 udev_rules=0 }'
    run(command, "-q", "-y", "--config", config, *arguments)


def with_volumes(text: str) -> str:
    """The backup of a volume group with logical volumes: one in one piece, one in two."""
    ids = ("aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg", "hhhhhh-iiii-jjjj-kkkk-llll-mmmm-nnnnnn")
    volumes = [
        volume("data", ids[0], [(0, 2, 1)]),
        volume("logs", ids[1], [(0, 1, 0), (1, 1, 3)]),
    ]
    end = text.index("\n}", text.index("physical_volumes"))
    return text[:end] + "\nlogical_volumes {\n" + "".join(volumes) + "}\n" + text[end:]


def volume(name: str, uuid: str, segments: list[tuple[int, int, int]]) -> str:
    parts = "".join(
        f'segment{number} {{\nstart_extent = {start}\nextent_count = {count}\ntype = "striped"\nstripe_count = 1\n'
        f'stripes = ["pv0", {first}]\n}}\n'
        for number, (start, count, first) in enumerate(segments, 1)
    )
    head = f'{name} {{\nid = "{uuid}"\nstatus = ["READ", "WRITE", "VISIBLE"]\nflags = []\ncreation_time = 1\n'
    return f'{head}creation_host = "host"\nsegment_count = {len(segments)}\n{parts}}}\n'


def gpt_lvm2(path: Path) -> None:
    """A file system in a logical volume in a partition."""
    empty(path, 64 * MIB)
    run("sgdisk", "-n1:2048:+48M", "-t1:8e00", path)
    inside(path, MIB, lvm2(48 * MIB, changes=2))
    inside(path, MIB + MIB + 4 * MIB, ext("ext4", "", "-b", "1024", size=8 * MIB))


IMAGES: dict[str, Callable[[Path], None]] = {
    "xfs-v5": xfs(),
    "xfs-v5-plain": xfs("-m", "reflink=0,bigtime=0,finobt=0,inobtcount=0", "-d", "agcount=2"),
    "xfs-v5-rmapbt-4096": xfs("-s", "size=4096", "-m", "rmapbt=1", "-d", "agcount=3"),
    "xfs-v5-1024": xfs("-s", "size=1024", "-b", "size=1024", "-d", "agcount=5"),
    "xfs-v5-2048": xfs("-s", "size=2048", "-b", "size=2048", "-i", "size=1024"),
    "xfs-v5-many-groups": xfs("-d", "agcount=19"),
    "xfs-v5-new-uuid": new_uuid(xfs("-l", "size=10m")),
    "xfs-v5-cleared-log": log_cleared(crashed(xfs("-m", "reflink=0"))),
    "xfs-v5-used": used(xfs()),
    "xfs-v5-grown": grown,
    "xfs-v5-crashed": crashed(xfs()),
    "xfs-v5-100-gib": xfs(size=100 * GIB),
    "xfs-v5-1000-groups": xfs("-d", "agcount=1000", size=100 * GIB),
    "xfs-v5-wrapped-crashed": crashed(xfs(*SMALL_LOG), 6000),
    "xfs-v5-external-log": xfs_external_log,
    "xfs-v5-stripes": xfs("-d", "su=64k,sw=4", "-l", "su=32k"),
    "xfs-v4": xfs("-m", "crc=0"),
    "xfs-v4-4096": xfs("-m", "crc=0", "-s", "size=4096", "-d", "agcount=8"),
    "xfs-v4-used": xfs_v4_used,
    "xfs-v4-crashed": xfs_v4_crashed,
    "xfs-v4-512-blocks": xfs("-m", "crc=0", "-b", "size=512", "-i", "size=256"),
    "ext2": ext("ext2", "", "-b", "1024", size=24 * MIB),
    "ext2-4096": ext("ext2", "", "-b", "4096", size=300 * MIB),
    "ext3": ext("ext3", "", "-b", "1024", "-J", "size=1", size=32 * MIB),
    "ext3-crashed": crashed(ext("ext3", "", "-b", "1024", "-J", "size=1", size=32 * MIB), 60),
    "ext4": ext("ext4", "", size=300 * MIB),
    "ext4-1024": ext("ext4", "", "-b", "1024", size=60 * MIB),
    "ext4-no-64bit": ext("ext4", "^64bit", "-b", "1024", size=40 * MIB),
    "ext4-crc16": ext("ext4", "^metadata_csum,uninit_bg", "-b", "1024", size=40 * MIB),
    "ext4-crc16-64bit": ext("ext4", "^metadata_csum,uninit_bg,64bit", "-b", "2048", size=60 * MIB),
    "ext4-plain": ext("ext4", "^metadata_csum,^64bit,^flex_bg,^uninit_bg", "-b", "1024", size=40 * MIB),
    "ext4-sparse-super2": ext("ext4", "sparse_super2,^resize_inode", "-b", "1024", size=60 * MIB),
    "ext4-meta-bg": ext("ext4", "meta_bg,^resize_inode", "-b", "1024", size=150 * MIB),
    "ext4-csum-seed": ext("ext4", "metadata_csum_seed", "-b", "1024", size=24 * MIB),
    "ext4-bigalloc": ext("ext4", "bigalloc", "-b", "1024", size=60 * MIB),
    "ext4-100-gib": ext("ext4", "", size=100 * GIB),
    "ext4-used": used(ext("ext4", "", "-b", "1024", size=40 * MIB)),
    "ext4-crashed": crashed(ext("ext4", "", "-b", "1024", size=40 * MIB), 60),
    "ext4-grown": ext4_grown,
    "ntfs": ntfs(size=16 * MIB),
    "ntfs-512": ntfs("-c", "512", size=8 * MIB),
    "ntfs-64k": ntfs("-c", "65536", size=40 * MIB),
    "ntfs-4096": ntfs("-s", "4096", size=32 * MIB),
    "gpt": gpt,
    "mbr": mbr,
    "lvm2": lvm2(24 * MIB),
    "lvm2-wrapped": lvm2(64 * MIB, changes=56),
    "lvm2-two-areas": lvm2(32 * MIB, "--metadatacopies", "2"),
    "gpt-lvm2": gpt_lvm2,
}


def main(wanted: list[str]) -> None:
    """Make the named images, or all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in wanted or list(IMAGES):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            IMAGES[name](path)
            print(f"{name}: {store(name, path)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
