"""`sam build` and `sam deploy` of the real template, as the guide says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping

from acceptance.state import ROOT, STACK_NAME, TAG, State

BUILT = ROOT / ".aws-sam" / "build" / "template.yaml"

type Deploy = Callable[[State, Mapping[str, str]], None]
"""Deploys the stack of a run with these parameters."""


class DeployError(RuntimeError):
    """SAM CLI failed; the message carries the end of its output."""


def with_sam(profile: str | None) -> Deploy:
    """Deploy with the credentials of a profile, or those of the environment."""

    def deploy(state: State, parameters: Mapping[str, str]) -> None:
        _sam("build")
        _sam(
            *("deploy", "--template-file", str(BUILT), "--stack-name", STACK_NAME, "--region", state.region),
            *("--s3-bucket", state.bucket, "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--tags", f"{TAG}={state.run}"),
            *(("--profile", profile) if profile else ()),
            "--parameter-overrides",
            *(f'ParameterKey={name},ParameterValue="{value}"' for name, value in parameters.items()),
        )

    return deploy


def _sam(*arguments: str) -> None:
    done = subprocess.run(
        ["sam", *arguments],
        cwd=ROOT,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeployError(f"sam {arguments[0]} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
