"""boto3 clients, made once per execution environment, from one session (a second session costs 60 ms of start)."""

from __future__ import annotations

import contextlib
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import NoRegionError
from botocore.session import get_session
from botocore.utils import parse_timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

# Reads may be repeated at will. Adaptive mode slows the client down when EC2's token buckets run dry
# (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html) instead of failing at the third refusal.
_READS = Config(retries={"mode": "adaptive", "total_max_attempts": 8}, connect_timeout=5, read_timeout=30)

# CreateSnapshots, AttachVolume and most other mutating calls have no idempotency token (facts: aws.md 2.1), so a
# repeated call after a lost answer acts twice. Here nothing is repeated behind our back: the caller looks again first.
_WRITES = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=60)

# A look at a region that may be gone: the others are still to be looked at, within one invocation.
_GLANCES = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=3, read_timeout=10)


@cache
def _session() -> boto3.Session:
    core = get_session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
    return boto3.Session(botocore_session=core)


def _time(value: Any) -> datetime:
    """Of a thousand instances EC2 tells four thousand times, all in ISO 8601. botocore's own parser tries everything
    that any service has ever sent, and takes longer than all the rest of the parsing.
    """
    if isinstance(value, str) and value[4:5] == "-":
        return datetime.fromisoformat(value)
    return parse_timestamp(value)


def make_ready() -> None:
    """Make the client that every door needs, before the first event: Lambda gives a whole processor to the making of an
    execution environment, and a share by its memory to an event
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html). Outside of Lambda, nothing.
    """
    with contextlib.suppress(NoRegionError):
        ec2_reads()


def ec2_reads(region: str | None = None) -> EC2Client:
    """Of the function's own region unless another one is named."""
    return _ec2_reads(region)


def ec2_writes(region: str | None = None) -> EC2Client:
    """Of the function's own region unless another one is named."""
    return _ec2_writes(region)


# Behind the two above, because a cache takes no region and the region None for two different things.
@cache
def _ec2_reads(region: str | None) -> EC2Client:
    return _session().client("ec2", region_name=region, config=_READS)


@cache
def _ec2_writes(region: str | None) -> EC2Client:
    return _session().client("ec2", region_name=region, config=_WRITES)


def ec2_glances(region: str) -> EC2Client:
    """Of a region that may not answer. Not kept: it is asked once."""
    return _session().client("ec2", region_name=region, config=_GLANCES)


def ec2_reads_as(access_key: str, secret: str, token: str) -> EC2Client:
    """With a role's temporary credentials, in the function's own region; not kept, because they do not last."""
    return _session().client(
        "ec2", aws_access_key_id=access_key, aws_secret_access_key=secret, aws_session_token=token, config=_READS
    )


@cache
def dynamodb() -> DynamoDBClient:
    return _session().client("dynamodb", config=Config(connect_timeout=5, read_timeout=10))


@cache
def sns() -> SNSClient:
    return _session().client("sns", config=Config(connect_timeout=5, read_timeout=10))


@cache
def sqs() -> SQSClient:
    return _session().client("sqs", config=Config(connect_timeout=5, read_timeout=10))


@cache
def sts() -> Any:
    return _session().client("sts", config=Config(connect_timeout=5, read_timeout=10))


@cache
def functions() -> LambdaClient:
    return _session().client("lambda", config=Config(connect_timeout=5, read_timeout=10))


def forget() -> None:
    """Drop every client, so that the next is made anew: tests change the environment under us."""
    for made in (_session, _ec2_reads, _ec2_writes, dynamodb, sns, sqs, sts, functions):
        made.cache_clear()
