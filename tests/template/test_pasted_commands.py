"""Every command of the README and of the guides can be pasted: the program, the command and each option are there."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from typer.main import get_command

from lifeboat_cli.__main__ import APP

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
OF_THE_CLI = {"--query", "--output", "--region", "--profile", "--no-cli-pager"}
"""Options of the AWS CLI itself (https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html)."""

CUSTOM = {("logs", "tail"): {"--since", "--follow"}, ("s3", "cp"): {"--recursive"}}
"""Commands of the AWS CLI that are no operation of a service, with what our pages use of their options."""

SERVICES = {"s3api": "s3"}
PROGRAMS = {"aws", "cd", "export", "git", "lifeboat", "lsblk", "make", "pipx", "python", "sam", "uv", ".", "curl"}
SAM = {("build",), ("deploy",), ("delete",), ("remote", "invoke"), ("logs",), ("list", "endpoints")}


def commands() -> list[tuple[str, str]]:
    """Each line of the console blocks, with its page."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
            lines = [line.strip() for line in block.strip().splitlines()]
            found += [(page.name, line) for line in lines if line and not line.startswith("#")]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_of_a_page_can_be_pasted(page, line):
    words = shlex.split(line, comments=True)
    assert words[0] in PROGRAMS, page
    if words[0] == "lifeboat":
        check_lifeboat(words[1:])
    elif words[0] == "sam":
        assert any(tuple(words[1 : 1 + len(known)]) == known for known in SAM), line
    for call in re.findall(r"(?:^|\$\(|xargs -n 1 )aws ((?:[^|$]|\$\(\()+)", line):
        check_aws(call)


def check_lifeboat(words: list[str]) -> None:
    """Parse the words as the command line does; what it refuses raises."""
    app = get_command(APP)
    if words[0].startswith("--"):
        assert words == ["--install-completion"]
        return
    name, command, rest = app.resolve_command(app.make_context("lifeboat", list(words), resilient_parsing=True), words)
    assert command is not None
    command.make_context(name, rest)


def check_aws(call: str) -> None:
    service, operation, *_ = call.split()
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"'[^']*'", "", call)))
    allowed = CUSTOM.get((service, operation)) or members(service, operation)
    assert options - OF_THE_CLI <= allowed, (call, options - OF_THE_CLI - allowed)


@cache
def model_of(service: str) -> Any:
    return botocore.session.get_session().get_service_model(SERVICES.get(service, service))


@cache
def members(service: str, operation: str) -> set[str]:
    """The options of an operation, as the AWS CLI makes them of its input; a truth value has a negation."""
    model = model_of(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    options = {f"--{xform_name(name, '-')}" for name in shape.members}
    return options | {f"--no-{xform_name(n, '-')}" for n, kind in shape.members.items() if kind.type_name == "boolean"}
