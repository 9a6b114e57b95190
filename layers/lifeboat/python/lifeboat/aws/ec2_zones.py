"""Availability zones: reads only."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.aws.errors import translated


def available_zones() -> tuple[str, ...]:
    """The names of the zones here in which every account may create volumes, sorted. Raises AwsError.

    Local and wavelength zones are left out: they need an opt-in, and have few volume types
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html).
    """
    with translated():
        answer = clients.ec2_reads().describe_availability_zones(
            Filters=[
                {"Name": "state", "Values": ["available"]},
                {"Name": "zone-type", "Values": ["availability-zone"]},
                {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
            ]
        )
    return tuple(sorted(item["ZoneName"] for item in answer["AvailabilityZones"]))
