"""Shared snapshots: what other accounts share with this one, and what their tags say.

The vault copies all of them. A restore also reads them here, because it cannot wait for the vault's copies.
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
"""The most snapshots that a source may share or describe: some 50 MB of the function's memory."""


def shared_by(source: VaultSource) -> dict[str, Snapshot]:
    """The snapshots that a source shares, by id, as EC2 shows them, without tags. Raises AwsError and TooMany."""
    return sharing.shared_by(source.account, most=SHARED_LISTED)


def described_by(source: VaultSource, shared: Mapping[str, Snapshot], invocation: Invocation) -> SharedSnapshots:
    """The shared snapshots with the metadata in the source's tags.

    Raises AwsError when the source's role cannot be used, and TooMany.
    """
    points = read_catalogue(sharing.described_by(source.reader, most=SHARED_LISTED)).points
    return read_shared(points, shared, source=source.account, stack=invocation.config.stack)
