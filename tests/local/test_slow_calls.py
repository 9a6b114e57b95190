"""A function's call that AWS answers late: the simulated clock moves on by as much, whatever threads wait for it."""

from __future__ import annotations

import pytest

from local import stack
from local.control import Control
from local.session import LocalAws
from tests.local.conftest import Deploy

SECONDS = 30
CALLS = """
import time
from concurrent.futures import ThreadPoolExecutor
import boto3
def handler(event, context):
    ec2 = boto3.client("ec2")
    begun = time.time()
    with ThreadPoolExecutor(event["at_once"]) as threads:
        list(threads.map(lambda _: ec2.describe_volumes(), range(event["calls"])))
    return time.time() - begun
"""


@pytest.mark.parametrize(("at_once", "calls"), [(1, 2), (3, 6)])
def test_a_slow_call_of_a_function_takes_simulated_time(
    aws: LocalAws, control: Control, deploy: Deploy, *, at_once: int, calls: int
) -> None:
    function = deploy(CALLS, [{"Action": "ec2:*", "Resource": "*"}], Timeout=900)
    control.fault("DescribeVolumes", "delay", seconds=SECONDS, count=0)
    took = stack.invoke(aws, function.name, {"at_once": at_once, "calls": calls}).payload
    assert took == pytest.approx(calls / at_once * SECONDS, abs=0.1)
