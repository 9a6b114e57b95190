"""Bytes in snapshots: moto's EBS direct APIs serve only what they made themselves, and list it in one page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from moto.core.responses import ActionResult
from moto.ebs.models import Block, EBSSnapshot, ebs_backends
from moto.ebs.responses import EBSResponse
from moto.ec2 import ec2_backends

from tests.functions.conftest import ACCOUNT
from tools.images.sparse import SparseImage

BLOCK = 512 * 1024
REGION = "eu-west-1"


def write_blocks(snapshot_id: str, written: Mapping[int, bytes], region: str = REGION) -> EBSSnapshot:
    """Make these the blocks of a snapshot that EC2 made. Each is filled with zeros."""
    made = EBSSnapshot(ACCOUNT, ec2_backends[ACCOUNT][region].snapshots[snapshot_id])
    made.block_size = BLOCK
    for index, data in sorted(written.items()):
        whole = data.ljust(BLOCK, b"\0")
        checksum = base64.b64encode(hashlib.sha256(whole).digest()).decode()
        made.put_block(index, whole, checksum, "SHA256", BLOCK)
    ebs_backends[ACCOUNT][region].snapshots[snapshot_id] = made
    return made


def load_image(snapshot_id: str, image: SparseImage) -> EBSSnapshot:
    """Make an image of the real tools what a snapshot holds; its volume gets the image's size."""
    ec2_backends[ACCOUNT][REGION].snapshots[snapshot_id].volume.size = image.size // 2**30
    return write_blocks(snapshot_id, {index: image.block(index) for index in image.blocks()})


def _list_in_pages(self: EBSResponse) -> ActionResult:
    """As EBS: from the block that is asked for, at most so many, and a token where there are more."""
    found = self.ebs_backend.list_snapshot_blocks(snapshot_id=self._get_param("SnapshotId"))
    start, most = int(self._get_param("StartingBlockIndex") or 0), int(self._get_param("MaxResults"))
    rest = [index for index in found.blocks if index >= start]
    answer: dict[str, Any] = {
        "Blocks": [{"BlockIndex": index, "BlockToken": found.blocks[index].block_token} for index in rest[:most]],
        "VolumeSize": found.volume_size,
        "BlockSize": found.block_size,
    }
    return ActionResult(answer | ({"NextToken": "more"} if rest[most:] else {}))


@pytest.fixture
def in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EBSResponse, "list_snapshot_blocks", _list_in_pages)


def flip_a_byte(block: Block) -> None:
    """Change the bytes of a block and not the checksum that is sent with them."""
    block.block_data = bytes([block.block_data[0] ^ 1]) + block.block_data[1:]
