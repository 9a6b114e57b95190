"""What the bench runs as a process of its own beside its peers: `lifeboat SLOT`, or `naive`, a loop over boto3."""

from __future__ import annotations

import sys

import boto3


def naive() -> None:
    """CreateSnapshots for each selected instance, one after the other."""
    ec2 = boto3.client("ec2")
    chosen = [{"Name": "tag:lifeboat:backup", "Values": ["true"]}]
    for page in ec2.get_paginator("describe_instances").paginate(Filters=chosen):
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                ec2.create_snapshots(
                    InstanceSpecification={"InstanceId": instance["InstanceId"], "ExcludeBootVolume": True}
                )


if __name__ == "__main__":
    if sys.argv[1] == "naive":
        naive()
    else:
        from bench._in_process import back_up

        back_up(sys.argv[2])
