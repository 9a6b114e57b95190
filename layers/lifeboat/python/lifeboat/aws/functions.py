"""Lambda functions: invoke one asynchronously, and read how they are set up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated
from lifeboat.domain.stack import MISSING, Concurrency, FunctionState, StackResource, Switch

NOT_THERE = "ResourceNotFoundException"


def invoke_later(arn: str, event: Mapping[str, Any]) -> None:
    """Invoke a function asynchronously. Lambda may deliver the event more than once. Raises AwsError."""
    with translated():
        clients.functions().invoke(FunctionName=arn, InvocationType="Event", Payload=json.dumps(event).encode())


def find_function(name: str) -> FunctionState:
    """A function with the concurrency that is reserved for it. Raises AwsError."""
    client = clients.functions()
    try:
        with translated():
            found = client.get_function_configuration(FunctionName=name)
            reserved = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    except AwsError as problem:
        if problem.code != NOT_THERE:
            raise
        return FunctionState(name, MISSING)
    return FunctionState(
        name,
        found.get("State", "Active"),
        found.get("StateReason", ""),
        found.get("LastUpdateStatus", "Successful"),
        found.get("LastUpdateStatusReason", ""),
        reserved,
    )


def find_mapping(resource: StackResource) -> Switch:
    """An event source mapping, by which Lambda polls a queue. Raises AwsError."""
    try:
        with translated():
            found = clients.functions().get_event_source_mapping(UUID=resource.id)
    except AwsError as problem:
        if problem.code != NOT_THERE:
            raise
        return Switch(resource.logical_id, resource.id, MISSING)
    return Switch(resource.logical_id, resource.id, found["State"].upper())


def find_concurrency() -> Concurrency:
    """The limits of this account and region. Raises AwsError."""
    with translated():
        found = clients.functions().get_account_settings()["AccountLimit"]
    return Concurrency(found["ConcurrentExecutions"], found["UnreservedConcurrentExecutions"])
