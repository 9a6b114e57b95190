"""The loop that anybody would write: list the snapshots, delete all but the newest ten of each volume."""

from collections import defaultdict

import boto3

KEPT = 10

ec2 = boto3.client("ec2")
pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], PaginationConfig={"PageSize": 1000})
by_volume = defaultdict(list)
for page in pages:
    for snapshot in page["Snapshots"]:
        by_volume[snapshot["VolumeId"]].append((snapshot["StartTime"], snapshot["SnapshotId"]))
for found in by_volume.values():
    for _, snapshot_id in sorted(found, reverse=True)[KEPT:]:
        ec2.delete_snapshot(SnapshotId=snapshot_id)
