"""What other accounts offer: the snapshots that they share with this one, and what they tell of them.

One look for the vault, which copies all of it, and for a restore, which cannot wait until it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeboat.aws import sharing
from lifeboat.copies.vault import SharedSnapshots, read_shared
from lifeboat.domain.catalogue import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifeboat.aws.invocation import Invocation
    from lifeboat.domain.config import VaultSource
    from lifeboat.domain.ec2 import Snapshot

SHARED_LISTED = 10_000
"""How many snapshots a source may share or tell of: some 50 MB of the function's memory."""


def shared_by(source: VaultSource) -> dict[str, Snapshot]:
    """What a source shares, by id, as EC2 shows it. Raises AwsError, and TooMany."""
    return sharing.shared_by(source.account, most=SHARED_LISTED)


def described_by(source: VaultSource, shared: Mapping[str, Snapshot], invocation: Invocation) -> SharedSnapshots:
    """What a source tells of that. Raises AwsError when its role cannot be used, and TooMany."""
    points = read_catalogue(sharing.described_by(source.reader, most=SHARED_LISTED)).points
    return read_shared(points, shared, source=source.account, stack=invocation.config.stack)
