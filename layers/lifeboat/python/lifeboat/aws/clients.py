"""boto3 clients, made once per execution environment, from one session. A second session adds 60 ms to the start."""

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

# Reads may be repeated. Adaptive mode slows the client down when EC2's token buckets are empty
# (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html) instead of failing at the third refusal.
_READS = Config(retries={"mode": "adaptive", "total_max_attempts": 8}, connect_timeout=5, read_timeout=30)

# CreateSnapshots, AttachVolume and most other mutating calls have no idempotency token, so a call repeated after a lost
# answer acts twice. botocore repeats none of them: the caller observes first, then decides.
_WRITES = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=60)

# Reads of a snapshot's blocks, hundreds in one invocation. Another invocation goes on where one ends.
_BLOCK_READS = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30)

# Reads of a region that may not answer. They fail fast, so that the invocation can observe the other regions.
_FAST_READS = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=3, read_timeout=10)


@cache
def _session() -> boto3.Session:
    core = get_session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
    return boto3.Session(botocore_session=core)


def _time(value: Any) -> datetime:
    """Parse a time. EC2 sends ISO 8601, four times for each instance. botocore's own parser tries many formats and
    takes longer than the rest of the parsing.
    """
    if isinstance(value, str) and value[4:5] == "-":
        return datetime.fromisoformat(value)
    return parse_timestamp(value)


def make_ready() -> None:
    """Make the client that every handler needs, before the first event. Outside Lambda do nothing.

    Lambda initialises an execution environment with a whole processor, and runs an event with a share that depends on
    the function's memory (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html).
    """
    with contextlib.suppress(NoRegionError):
        ec2_reads()


def ec2_reads(region: str | None = None) -> EC2Client:
    """A client for reads; without `region` in the function's own."""
    return _ec2_reads(region)


def ec2_writes(region: str | None = None) -> EC2Client:
    """A client for mutating calls; without `region` in the function's own."""
    return _ec2_writes(region)


# These two have the cache, because a cache distinguishes a missing argument from None.
@cache
def _ec2_reads(region: str | None) -> EC2Client:
    return _session().client("ec2", region_name=region, config=_READS)


@cache
def _ec2_writes(region: str | None) -> EC2Client:
    return _session().client("ec2", region_name=region, config=_WRITES)


def ec2_fast_reads(region: str) -> EC2Client:
    """A client for reads of a region that may not answer. Not cached, because it is used once."""
    return _session().client("ec2", region_name=region, config=_FAST_READS)


def ec2_reads_as(access_key: str, secret: str, token: str) -> EC2Client:
    """A client for reads with a role's temporary credentials, in the function's own region. Not cached: they expire."""
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


def ebs(region: str | None = None) -> Any:
    """The EBS direct APIs. Throttled reads are paced by the caller, so botocore repeats few of them."""
    return _ebs(region)


@cache
def _ebs(region: str | None) -> Any:
    return _session().client("ebs", region_name=region, config=_BLOCK_READS)


@cache
def s3() -> Any:
    return _session().client("s3", config=Config(connect_timeout=5, read_timeout=30))


@cache
def step_functions() -> Any:
    # A wake may fail, and work of an invocation may not wait for it long. A repeated call has the same name.
    retries: Any = {"mode": "standard", "total_max_attempts": 2}
    return _session().client("stepfunctions", config=Config(retries=retries, connect_timeout=3, read_timeout=5))


@cache
def functions() -> LambdaClient:
    return _session().client("lambda", config=Config(connect_timeout=5, read_timeout=10))


@cache
def cloudformation() -> Any:
    return _session().client("cloudformation", config=Config(connect_timeout=5, read_timeout=10))


@cache
def scheduler() -> Any:
    return _session().client("scheduler", config=Config(connect_timeout=5, read_timeout=10))


@cache
def events() -> Any:
    return _session().client("events", config=Config(connect_timeout=5, read_timeout=10))


@cache
def cloudwatch() -> Any:
    return _session().client("cloudwatch", config=Config(connect_timeout=5, read_timeout=10))


@cache
def efs() -> Any:
    return _session().client("efs", config=_FAST_READS)


@cache
def kms(region: str) -> Any:
    """A client of a region. One that does not answer costs seconds."""
    return _session().client("kms", region_name=region, config=_FAST_READS)


def forget() -> None:
    """Drop every client. Tests change the environment."""
    made_once = (_session, _ec2_reads, _ec2_writes, dynamodb, sns, sqs, sts, _ebs, s3, step_functions, functions)
    for made in (*made_once, cloudformation, scheduler, events, cloudwatch, efs, kms):
        made.cache_clear()
