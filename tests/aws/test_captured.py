"""Where a live account showed EC2 otherwise than its documentation lets one expect (tests/fixtures/captures)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from lifeboat.aws import clients, ec2_calls, ec2_snapshots
from lifeboat.domain.ec2_calls import CopySnapshot, CreateVolume

WHEN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def pending(name: str, volume: str, transfer: str = "standard") -> Any:
    return {
        "SnapshotId": name,
        "State": "pending",
        "StartTime": WHEN,
        "VolumeId": volume,
        "VolumeSize": 0,
        "TransferType": transfer,
    }


def test_a_pending_snapshot_with_a_transfer_type_is_no_copy():
    found = [
        pending("snap-backup", "vol-0123456789abcdef0"),
        pending("snap-copy", "vol-ffffffff"),
        pending("snap-soon", "vol-ffffffff", "time-based"),
    ]
    with Stubber(clients.ec2_reads("eu-west-1")) as reads:
        reads.add_response("describe_snapshots", {"Snapshots": found})
        assert ec2_snapshots.pending_copies_in("eu-west-1") == {"snap-copy", "snap-soon"}


VOLUME = CreateVolume(
    client_token="token", snapshot_id="snap-1", zone="z", type="gp3", size=1, encrypted=False, tags={}
)
FAST_VOLUME = CreateVolume(
    client_token="token",
    snapshot_id="snap-1",
    zone="z",
    type="gp3",
    size=1,
    encrypted=False,
    tags={},
    initialization_rate=100,
)
COPY = CopySnapshot("us-east-1", "snap-1", "why", {})
FAST_COPY = CopySnapshot("us-east-1", "snap-1", "why", {}, None, 15)


@pytest.mark.parametrize("code", ["InvalidParameterValue", "InvalidParameterDependency", "InvalidParameterCombination"])
@pytest.mark.parametrize(("change", "counts"), [(VOLUME, True), (COPY, True), (FAST_VOLUME, False), (FAST_COPY, False)])
def test_a_dry_run_reports_a_value_that_ec2_refuses(ec2_writes, change, code, counts):
    """Not where the restore would ask once more without a time or a rate."""
    call = "create_volume" if isinstance(change, CreateVolume) else "copy_snapshot"
    ec2_writes.add_client_error(call, code, "no such value")
    assert ec2_calls.rehearse(change) == (f"{code}: no such value" if counts else "")
