"""Run a printed command of the AWS CLI as an operator would, with a client of boto3 in the place of the CLI."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

from botocore import xform_name


def run_command(line: str, client_of: Callable[[str, str], Any]) -> None:
    """Run a line such as `aws s3api put-bucket-policy --bucket b --policy '{...}'`.

    As in the CLI, each option is a parameter by its name, and a structure is JSON. `client_of` gives the client of a
    service in a region.
    """
    program, service, call, *options = shlex.split(line)
    assert program == "aws"
    named = dict(zip(options[::2], options[1::2], strict=True))
    client = client_of({"s3api": "s3"}.get(service, service), named.pop("--region"))
    method = call.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    members = {f"--{xform_name(name, '-')}": (name, kind) for name, kind in shape.members.items()}
    asked = {
        members[option][0]: json.loads(value) if members[option][1].type_name == "structure" else value
        for option, value in named.items()
    }
    getattr(client, method)(**asked)
