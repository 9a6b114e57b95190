"""`make setup` and `make deploy`: keep a person's parameters in one file that git ignores, and deploy with them.

`make deploy NotificationEmail=you@example.com` writes the parameter into `parameters.toml`, then runs `sam build` and
`sam deploy`. `samconfig.toml` names the same file, so a later plain `sam deploy` reverts nothing. SAM CLI takes each
value of the file whole, with blanks and commas.

    REGION=eu-central-1         deploy there, with parameters-eu-central-1.toml if it is not your own region
    STACK=other                 deploy a stack of this name, with parameters-other.toml
    PARAMETERS=vault.toml       use another file, for example of another account
    BUILT=path/template.yaml    deploy what `sam build` has made before, and do not build
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from tools.docs_template import read_template
from tools.marked_page import ROOT

SETTINGS = ("STACK", "REGION", "PARAMETERS", "BUILT")
DEFAULT_STACK = "lifeboat"
"""The name in samconfig.toml."""

HEADER = """\
# Your parameters of the stack. Git ignores this file. `make deploy NAME=value` writes into it; `sam deploy` reads it.
# docs/reference/parameters.md has every name. A parameter that is not here keeps the value of the last deployment.
# Write each value in double quotes.

# NotificationEmail = "you@example.com"
# TrustedAmiOwners = "055430919509"
# Retention = "last=3,daily=14,weekly=8,monthly=12,yearly=7"
"""
NEXT = """\

The environments are ready. Next, with the credentials and the region of your account:

  export PATH=$PWD/.venv/bin:$PWD/.tools/sam/bin:$PATH
  make deploy NotificationEmail=you@example.com
"""


class RefusedError(ValueError):
    """What was typed cannot be deployed. The message is one sentence."""


def typed(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of make's command line, and no other of the environment.

    make names them in MAKEFLAGS, behind `--`, a blank within a value with a backslash before it, and gives the values
    in the environment (GNU make's manual, "Options/Recursion").
    """
    _, _, words = environment.get("MAKEFLAGS", "").partition("-- ")
    names = re.findall(r"(?:^|(?<!\\)\s)([A-Za-z_][A-Za-z0-9_]*)[:+?]*=", words)
    return {name: environment.get(name, "") for name in names}


def check(name: str, value: str, parameters: Mapping[str, Any]) -> None:
    """Raise RefusedError, unless the template has this parameter and takes this value."""
    if name not in parameters:
        near = difflib.get_close_matches(name, parameters, 1, 0.5)
        meant = f"; did you mean {near[0]}?" if near else "; docs/reference/parameters.md has all names"
        raise RefusedError(f"{name} is no parameter of the stack{meant}")
    parameter = parameters[name]
    allowed = [str(item) for item in parameter.get("AllowedValues", ())]
    if allowed and value not in allowed:
        raise RefusedError(f"{name} is {value!r}, expected one of {', '.join(allowed)}")
    if "AllowedPattern" in parameter and not re.search(_in_python(parameter["AllowedPattern"]), value):
        raise RefusedError(f"{name} is {value!r}, expected {parameter['ConstraintDescription']}")
    if parameter["Type"] == "Number":
        least, most = parameter.get("MinValue", 0), parameter.get("MaxValue", float("inf"))
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) or not least <= float(value) <= most:
            raise RefusedError(f"{name} is {value!r}, expected a number from {least} to {most}")


def _in_python(pattern: str) -> str:
    """Java's `$` does not match before a line's end; Python's does."""
    return re.sub(r"\$$", r"\\Z", pattern)


def with_values(text: str, values: Mapping[str, str]) -> str:
    """The file with these values, each in the place of the old one or of its example."""
    for name, value in values.items():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        line = f'{name} = "{quoted}"'
        of_it = re.compile(rf"^[ \t]*{name}[ \t]*=.*$", re.MULTILINE)
        example = re.compile(rf"^#[ \t]*{name}[ \t]*=.*$", re.MULTILINE)
        place = next((kind for kind in (of_it, example) if kind.search(text)), None)
        text = place.sub(lambda _, line=line: line, text, count=1) if place else f"{text.rstrip()}\n{line}\n"
    return text


def save(file: Path, values: Mapping[str, str], parameters: Mapping[str, Any]) -> None:
    """Write the values into the file, and check all that it then has. Raises RefusedError and changes nothing."""
    if file.suffix != ".toml":
        raise RefusedError(f"PARAMETERS is {str(file)!r}, expected a file whose name ends in .toml")
    for name, value in values.items():
        check(name, value, parameters)
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else HEADER
        kept = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise RefusedError(f"{file.name} cannot be read: {error}") from None
    if values:
        text = with_values(text, values)
        kept = _with(kept, values, text, file)
    for name, value in kept.items():
        if not isinstance(value, str):
            raise RefusedError(f"{name} is {value!r} in {file.name}, expected a value in double quotes")
        check(name, value, parameters)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RefusedError(f"{file} cannot be written: {error.strerror}") from None


def _with(kept: Mapping[str, Any], values: Mapping[str, str], text: str, file: Path) -> Mapping[str, Any]:
    """What the changed text has: the values, and all else as before. Raises RefusedError if it is written otherwise."""
    try:
        new = tomllib.loads(text)
    except ValueError:
        new = {}
    if new != {**kept, **values}:
        names = ", ".join(values)
        raise RefusedError(f"{file.name} is written so that {names} must be changed there by hand; nothing was done")
    return new


def file_of(stack: str, region: str) -> str:
    """The file of a stack's parameters. Nothing of it is in the name of the usual stack in the person's own region."""
    return (
        "-".join(["parameters", *([stack] if stack and stack != DEFAULT_STACK else []), *([region] if region else [])])
        + ".toml"
    )


def deploy(environment: Mapping[str, str]) -> int:
    """Save what was typed, build and deploy; the exit code of the command that failed."""
    words = typed(environment)
    settings = {name: words.pop(name, "") for name in SETTINGS}
    region, stack = settings["REGION"], settings["STACK"]
    own_region = botocore.session.Session().get_config_variable("region")
    usual, own = file_of(stack, "" if region == own_region else region), file_of(stack, region or own_region or "")
    # The file of another region stays that of its stack when the person's own region has become this one.
    file = Path(settings["PARAMETERS"] or (own if Path(own).exists() else usual))
    save(file, words, read_template((ROOT / "template.yaml").read_text())["Parameters"])
    print(f"{file} has your parameters", flush=True)
    # `sam build` runs make for the layer, which must not take the parameters for its variables.
    clean = {name: value for name, value in environment.items() if name not in {*words, "MAKEFLAGS", "MFLAGS"}}
    if not settings["BUILT"] and (code := subprocess.run(["sam", "build"], env=clean, check=False).returncode):
        return code
    deployed = ["sam", "deploy", "--parameter-overrides", f"file://{file}"]
    if settings["BUILT"]:  # SAM CLI reads the samconfig.toml that is beside the template
        deployed += ["--template-file", settings["BUILT"], "--config-file", str(ROOT / "samconfig.toml")]
    deployed += ["--region", region] if region else []
    deployed += ["--stack-name", stack] if stack else []
    code = subprocess.run(deployed, env=clean, check=False).returncode
    if not code:
        print("\n".join(next_commands(stack or DEFAULT_STACK, region or own_region)), flush=True)
    return code


def next_commands(stack: str, region: str | None) -> list[str]:
    """What comes next, from the outputs of the stack; CloudFormation returns these in no order of ours."""
    try:
        client = botocore.session.Session().create_client("cloudformation", region_name=region)
        [found] = client.describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError):
        return []  # SAM CLI has said how the deployment ended, or no stack was wanted
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", ())}
    commands = [f"  {outputs[key]}" for key in sorted(outputs) if key.startswith("Next")]
    return ["", "Next:", "", *commands] if commands else []


def main(arguments: list[str]) -> int:
    """`setup` makes the file and says what comes next; `deploy` deploys."""
    try:
        if arguments == ["setup"]:
            if not (file := ROOT / "parameters.toml").exists():
                file.write_text(HEADER)
            print(NEXT)
            return 0
        return deploy(os.environ)
    except RefusedError as refused:
        print(f"deploy: {refused}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
