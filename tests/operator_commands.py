"""Run a printed command of the AWS CLI as an operator would, with a client of boto3 in the place of the CLI."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

from botocore import xform_name


def run_command(line: str, client_of: Callable[[str, str], Any]) -> None:
    """Run a line such as `aws s3api put-bucket-policy --bucket b --policy '{...}'`.

    As in the CLI, each option is a parameter by its name, a structure or a list is JSON, a list may be one value, and a
    boolean has no value. `client_of` gives the client of a service in a region.
    """
    program, service, call, *options = shlex.split(line)
    assert program == "aws"
    named = _named(options)
    client = client_of({"s3api": "s3"}.get(service, service), named.pop("--region"))
    method = call.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    members = {f"--{xform_name(name, '-')}": (name, kind) for name, kind in shape.members.items()}
    asked = json.loads(named.pop("--cli-input-json", "{}"))
    asked |= {members[option][0]: _value(members[option][1].type_name, text) for option, text in named.items()}
    getattr(client, method)(**asked)


def _named(words: list[str]) -> dict[str, str]:
    """The options with their values; a flag has an empty one."""
    found: dict[str, str] = {}
    for word in words:
        if word.startswith("--"):
            found[word] = ""
        else:
            found[list(found)[-1]] = word
    return found


def _value(kind: str, text: str) -> Any:
    match kind:
        case "boolean":
            assert not text, "a flag"
            return True
        case "integer":
            return int(text)
        case "list":
            return json.loads(text) if text.startswith("[") else [text]
        case "structure":
            return json.loads(text)
    return text
