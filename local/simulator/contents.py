"""What volumes hold in a world: a file system that mkfs.ext4 made, and data behind it that people write.

Only the file system's own records matter to what is proven, and they lie in the first block. People write data behind
the file system, so its records change by damage alone: what is damaged shows on what EC2 holds.
"""

import base64
import lzma
from collections.abc import Sequence

from local.emulator.ec2 import blocks
from local.emulator.ec2.blocks import BLOCK_SIZE, Block, Blocks
from local.emulator.ec2.model import Snapshot, Volume
from local.simulator.chance import Chance

FIRST_BLOCK = lzma.decompress(
    base64.b64decode(
        b"/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4iqTAfxdAABv/f//o7eA1S2Jvl56Wn0qMoeIgXEcT7mSV1ckPQ0sf7zKBf21yImr+7YP9XKt+BnbF4"
        b"WAMBk7PeWUELxeOhFfz0eRMk7OFOI4jtVkVpIJA/qGNTq27hScUvEfdgwL2ZBLbuXGAaK+DecZS6+dvV2sme3TdUCR4T91flcU7pkoXjy4D17W"
        b"LBmeH+k2DMZt9tBaXHfo5tUW/aKqDTiQb+daptu0wdBvpMe5jVDTRXbQL55Jqh1QPZeQwWGKwO0ulSocPJTAtYa66c06m8gXDHNdOFJPTzDJiQ"
        b"Dibqrwt+XySaiklCh/o2DfVkVWxVULAuy8iqkpDbkEfce5+0A3FTwZtwUZZPSA3ZSppzpehR4rDsdBTbHqoioVAjKRg2bQQQpHB8C7ZJRxbHtc"
        b"zE2xQXuOVYtnVEeM3fwBHibgVibf1mlw5UwLuDBsCrMvg84cLcKFHq+LExxt9IP7Hn9jmIhqjNLGFsx2QCUQoOP6UOjwy/r01FhZJcbhQqW5dT"
        b"PMIe6OVtJppdTjSoyCIVOaVMwPjyd3He9cwigIaekgCb5AInO/orPoO5SMe8gVsTgqWhCrxc0QKBeGU2WiUS9VTmOrGjTS849uMIHmMUO13sjJ"
        b"Sqs431zjqSiB1Pr3mT68VbHkIrHuXynp6UmRTG2x3npTX/ksHOyibnhdEQAAd2i0fPBzxiEAAZgElNUIABPtWbaxxGf7AgAAAAAEWVo="
    )
)
"""The first 512 KiB of an ext4 of 16 MiB; nothing else of it is written. Made by e2fsprogs 1.47.0 with
`mkfs.ext4 -b 4096 -I 256 -N 512 -O metadata_csum,64bit,^resize_inode -E lazy_itable_init=0,lazy_journal_init=0`."""

HEADER = 0
"""The block that has the records of the file system."""

CHECKED = range(1024 + 0x100, 1024 + 0x3F0)
"""Bytes of the superblock behind its magic number: the checksum at its end is of them."""

FIRST_OF_DATA, DATA_BLOCKS = 64, 6
"""Where people write: behind the file system, and few blocks."""


def format_volume(volume: Volume) -> None:
    """Make a file system on a volume."""
    blocks.write(volume.blocks, 0, FIRST_BLOCK, volume.size)


def write_data(volume: Volume, place: float, chance: Chance, *, encrypted: bool = False) -> int:
    """Write some of the data, or all of it with bytes as an encryption leaves them; how many blocks."""
    first = FIRST_OF_DATA + int(place * DATA_BLOCKS)
    wanted = range(FIRST_OF_DATA, FIRST_OF_DATA + DATA_BLOCKS) if encrypted else range(first, first + 1)
    for index in wanted:
        data = chance.randbytes(BLOCK_SIZE if encrypted else 200)
        blocks.write(volume.blocks, index * BLOCK_SIZE, data, volume.size)
    return len(wanted)


def damage_header(held: Blocks, place: float) -> bool:
    """Let a byte of the superblock rot; whether there is one."""
    if HEADER not in held:
        return False
    held[HEADER] = held[HEADER].rotten(CHECKED[int(place * len(CHECKED))])
    return True


def damage_on_the_way(held: Blocks, place: float) -> bool:
    """Let one block of a snapshot arrive as other bytes than its checksum says; whether there is one."""
    if not held:
        return False
    index = sorted(held)[int(place * len(held))]
    held[index] = held[index].garbled(7)
    return True


def find_damage(snapshot: Snapshot, *, all_blocks: bool = False) -> Sequence[int]:
    """The blocks of a snapshot that are not as they were written: of its file system's records, or of all."""
    found = [HEADER] if HEADER in snapshot.blocks and not _is_sound(snapshot.blocks[HEADER]) else []
    examined = snapshot.blocks if all_blocks else {}
    return sorted({*found, *(index for index, block in examined.items() if block.garbled_at is not None)})


def _is_sound(block: Block) -> bool:
    return block.garbled_at is None and block.kept == FIRST_BLOCK
