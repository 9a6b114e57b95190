"""The viewer of a deployed stack: its dashboard, and a person who may call what the page calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.session import REGION, LocalAws
from local.viewer.role import Viewer, viewer_policy
from local.viewer.server import serve

FUNCTIONS = ("ShowStatusFunction", "RestoreVolumeFunction", "TakeSnapshotsFunction", "PruneSnapshotsFunction")
"""The functions that the page shows and calls, by their names in the template."""


@contextmanager
def serve_stack(aws: LocalAws, stack_name: str, *, region: str = REGION, port: int = 0) -> Iterator[str]:
    """Serve the dashboard of a stack until the end of the block, with the viewer's role; gives its address.

    Raises:
        ValueError: the stack has no dashboard, or more than one.
    """
    found = aws.client("cloudformation", region).describe_stack_resources(StackName=stack_name)["StackResources"]
    dashboards = _ids(found, "AWS::CloudWatch::Dashboard")
    if len(dashboards) != 1:
        raise ValueError(f"the stack {stack_name} has {len(dashboards)} dashboards, expected one")
    functions = aws.client("lambda", region)
    named = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}
    arns = [
        functions.get_function_configuration(FunctionName=named[name])["FunctionArn"]
        for name in FUNCTIONS
        if name in named
    ]
    viewer = Viewer(aws, viewer_policy(arns, dashboards), f"{stack_name}-viewer")
    with serve(viewer, dashboards[0], port) as address:
        yield address


def _ids(resources: list[dict[str, Any]], kind: str) -> list[str]:
    return [item["PhysicalResourceId"] for item in resources if item["ResourceType"] == kind]
