"""The demo's proof: each recovery point is read back, and a damaged one is found before anybody needs it."""

from __future__ import annotations

from typing import Any

from acceptance.narration import shorten
from acceptance.shared_steps import PROVEN_WITHIN
from local.actors import Demo
from tools.images import sparse

FILE_SYSTEM = "xfs-v5-100-gib"
"""A fresh XFS of 100 GiB, made by mkfs.xfs (tools/images)."""


def make_file_system(demo: Demo, volume_id: str) -> None:
    """A person makes a file system on the data volume."""
    image = sparse.load(FILE_SYSTEM)
    blocks = {index: image.block(index) for index in sorted(image.blocks())}
    demo.aws.control.load_image(volume_id, blocks, region=demo.region)
    demo.narration.add("person", f"makes an XFS of 100 GiB on {volume_id}")


def damage(demo: Demo, instance_id: str, volume_id: str, proven: str) -> None:
    """A fault overwrites the file system's first sector. The next recovery point completes, and is found damaged."""
    demo.aws.control.write(volume_id, bytes(512), 0, region=demo.region)
    demo.narration.add("aws", f"a fault overwrites the XFS superblock on {volume_id}; nobody notices")
    demo.invoke("TakeSnapshotsFunction", "take_snapshots/one-instance.json", {"instance_ids": [instance_id]})
    demo.narration.add("person", "asks for a backup by hand")
    failed: dict[str, Any] | None = demo.wait_for(
        "the new recovery point is read back", lambda: demo.find_message("VerificationFailed"), PROVEN_WITHIN
    )
    demo.narration.check("the damaged recovery point is found", failed, failed and shorten(failed["summary"]))
    named = failed["details"]["newest_proven"] if failed else None
    demo.narration.equal("and the newest proven one is named", named, proven)


def check_plan(demo: Demo, plan: str, proven: str) -> None:
    """Whether a plan for `latest-proven` leaves the damaged recovery point out."""
    demo.narration.check("latest-proven leaves the damaged one out", f"Restore {proven} onto" in plan, shorten(plan))
