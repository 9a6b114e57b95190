"""Restore: a person asks; everything is checked and made beforehand; the volumes are swapped; or all is as it was.

The state machine is `rules/restore.py`. Here is the loop around it: look, decide, write the record down, act, look
again. The record is written before the act (write-ahead), and only if nobody moved it meanwhile; so an invocation may
be killed anywhere, two may run at once, and any event or the sweep goes on where things stand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lifeboat import news
from lifeboat.aws import clock, ec2, restores, topic
from lifeboat.aws.errors import AwsError
from lifeboat.chains.trust import judge
from lifeboat.config import Config
from lifeboat.events import BadRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LOOK_AGAIN = 0.5
"""Seconds between two looks at what EC2 finishes within seconds: a detach, an attach."""

PATIENCE = 30.0
"""Seconds one invocation may spend on such looks (design.md, "The chains"); the rest is for the next event or sweep."""
