"""The loop that anybody would write: list the instances, ask for the snapshots of each, one after the other."""

import sys

import boto3

ec2 = boto3.client("ec2")
pages = ec2.get_paginator("describe_instances").paginate(
    Filters=[{"Name": "tag:lifeboat:backup", "Values": ["true"]}], PaginationConfig={"PageSize": 1000}
)
refused = 0
for page in pages:
    for reservation in page["Reservations"]:
        for instance in reservation["Instances"]:
            try:
                ec2.create_snapshots(
                    InstanceSpecification={"InstanceId": instance["InstanceId"], "ExcludeBootVolume": True},
                    TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "made-by", "Value": "loop"}]}],
                )
            except ec2.exceptions.ClientError:
                refused += 1
sys.exit(bool(refused))
