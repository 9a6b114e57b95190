"""Known bytes: a file system and two more blocks, written into a snapshot and read back by the EBS direct APIs."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from tools.images import sparse

IMAGE = "ext4-used"
"""A file system with files, made by mke2fs (tools/images); verification recognises it."""
VOLUME_GIB = 1
BLOCK = 512 * 1024
LAST = VOLUME_GIB * 1024**3 // BLOCK - 1


@cache
def blocks() -> dict[int, bytes]:
    """The bytes by the index of their block."""
    image = sparse.load(IMAGE)
    case = b"Case 4711: evidence, saved by make acceptance. "
    more = {LAST // 2: case.ljust(BLOCK, b"\0"), LAST: case.rjust(BLOCK, b"\0")}
    return {**{index: image.block(index) for index in sorted(image.blocks())}, **more}


def digest(content: bytes) -> str:
    """The base64 SHA-256, as EBS has it."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def write(ebs: Any, snapshot_id: str) -> None:
    """Put all blocks into a snapshot that was started, and complete it. A second time it writes the same."""
    for index, content in blocks().items():
        ebs.put_snapshot_block(
            SnapshotId=snapshot_id,
            BlockIndex=index,
            BlockData=content,
            DataLength=BLOCK,
            Checksum=digest(content),
            ChecksumAlgorithm="SHA256",
        )
    ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=len(blocks()))


def differences(ebs: Any, snapshot_id: str) -> list[int]:
    """The indexes of the blocks that a snapshot does not hold as they were written.

    Raises:
        ClientError: the snapshot cannot be read; ResourceNotFoundException for about a minute after its completion.
    """
    pages: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while not pages or token:
        pages.append(ebs.list_snapshot_blocks(SnapshotId=snapshot_id, **token))
        token = {"NextToken": pages[-1]["NextToken"]} if pages[-1].get("NextToken") else {}
    tokens = {item["BlockIndex"]: item["BlockToken"] for page in pages for item in page["Blocks"]}
    wrong = []
    for index, content in blocks().items():
        if index in tokens:
            block = ebs.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockToken=tokens[index])
            if block["BlockData"].read() == content:
                continue
        wrong.append(index)
    return wrong
