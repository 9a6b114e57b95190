"""The command that sets parameters of the stack, as a person pastes it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

DEFAULT_STACK = "lifeboat"
"""The name in samconfig.toml."""


def deploy_command(values: Mapping[str, str], *, stack: str = DEFAULT_STACK, region: str = "") -> str:
    """`make deploy` with these parameters. It saves them, so that no later deployment brings the old values back.

    `region` is named where the wrong stack must not get the values: without it, make deploys to the person's own.
    """
    place = {"STACK": stack if stack != DEFAULT_STACK else "", "REGION": region}
    named = (f"{name}={value}" for name, value in (place | dict(values)).items() if value or name not in place)
    # A value may come from a tag. The shell takes it as it is, and make takes two dollar signs for one.
    return shlex.join(["make", "deploy", *(item.replace("$", "$$") for item in named)])
