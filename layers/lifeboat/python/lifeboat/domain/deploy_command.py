"""The command that sets parameters of the stack, as a person pastes it."""

from __future__ import annotations

from collections.abc import Mapping


def deploy_command(values: Mapping[str, str]) -> str:
    """`make deploy` with these parameters. It saves them, so that no later deployment brings the old values back."""
    named = (f"{name}={value}" for name, value in values.items())
    return " ".join(["make deploy", *(f"'{item}'" if " " in item else item for item in named)])
