"""How long AWS's answers are assumed to take, for runs on simulated time: AWS documents none of it."""

from __future__ import annotations

from local.control import Control

CREATE_SECONDS = 0.4
"""CreateSnapshots."""
EC2_SECONDS = 0.3
"""All others, when they are about many instances."""
EC2_ONE_SECONDS = 0.1
"""The same about one instance."""
TABLE_SECONDS = 0.01
TOPIC_SECONDS = 0.05


def slow_calls(control: Control, ec2: float = EC2_SECONDS) -> None:
    """Let every call of a function take its time on the simulated clock, until `Control.reset`; most of EC2's `ec2`."""
    for dry_run in (False, True):
        delays = {
            ("ec2", "CreateSnapshots"): CREATE_SECONDS,
            ("ec2", "*"): ec2,
            ("dynamodb", "*"): TABLE_SECONDS,
            ("sns", "*"): TOPIC_SECONDS,
        }
        for (service, action), seconds in delays.items():
            control.fault(
                action, "delay", service=service, seconds=seconds, count=0, caller=":assumed-role/", dry_run=dry_run
            )
