"""Reads by id: this account's own where only those are meant, and to the last page, even if a page is empty."""

from __future__ import annotations

import ast
import inspect
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from botocore import xform_name

from lifeboat.aws import clients, ec2_describe, ec2_images, ec2_instances, ec2_snapshots, ec2_volumes, sharing
from lifeboat.domain.ec2 import Instance

WHEN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
SNAPSHOT: Any = {"SnapshotId": "snap-1", "State": "completed", "StartTime": WHEN, "VolumeId": "vol-1"}
BY_ID: Any = {"Filters": [{"Name": "snapshot-id", "Values": ["snap-1"]}], "MaxResults": ec2_describe.PAGE}


@pytest.mark.parametrize(
    ("read", "asked"),
    [(ec2_snapshots.own_snapshots, {"OwnerIds": ["self"], **BY_ID}), (ec2_snapshots.snapshots, BY_ID)],
)
def test_snapshots_by_id(ec2_reads, read, asked):
    ec2_reads.add_response("describe_snapshots", {"Snapshots": [], "NextToken": "more"}, asked)
    ec2_reads.add_response("describe_snapshots", {"Snapshots": [SNAPSHOT]}, {**asked, "NextToken": "more"})
    assert read(["snap-1"]).keys() == {"snap-1"}


def test_without_ids_no_call_is_made(ec2_reads):
    observations = (
        ec2_snapshots.own_snapshots,
        ec2_snapshots.snapshots,
        ec2_volumes.volumes,
        ec2_instances.instances,
        ec2_snapshots.ever_locked,
        ec2_images.launch_images,
    )
    assert all(not read([]) for read in observations)


def test_locks_by_id(ec2_reads):
    asked = {"SnapshotIds": ["snap-1", "snap-2"]}
    ec2_reads.add_response("describe_locked_snapshots", {"Snapshots": [], "NextToken": "more"}, asked)
    found: Any = {"Snapshots": [{"SnapshotId": "snap-2", "LockState": "expired"}]}
    ec2_reads.add_response("describe_locked_snapshots", found, {**asked, "NextToken": "more"})
    assert ec2_snapshots.ever_locked(["snap-2", "snap-1"]) == {"snap-2"}


def test_images_by_id(ec2_reads):
    ec2_reads.add_response("describe_instance_image_metadata", {"InstanceImageMetadata": []})
    asked: Any = {
        "Filters": [{"Name": "image-id", "Values": ["ami-1"]}],
        "IncludeDeprecated": True,
        "IncludeDisabled": True,
    }
    ec2_reads.add_response("describe_images", {"Images": [], "NextToken": "more"}, asked)
    ec2_reads.add_response(
        "describe_images", {"Images": [{"ImageId": "ami-1", "OwnerId": "1"}]}, {**asked, "NextToken": "more"}
    )
    ec2_reads.add_response("get_image_ancestry", {"ImageAncestryEntries": []})
    found = ec2_images.image_evidence(Instance("i-1", "running", "eu-west-1a", "ami-1"))
    assert (found.owner_id, found.problems) == ("1", ())


@pytest.mark.parametrize(
    ("volumes", "word"),
    [
        ("ok", "ok"),
        ("initializing", "initializing"),
        ("impaired", "impaired"),
        ("insufficient-data", "unknown"),
        ("not-applicable", "ok"),
    ],
)
def test_the_volumes_check_counts_where_ec2_has_one(ec2_reads, volumes, word):
    checks: Any = {name: {"Status": "ok"} for name in ("InstanceStatus", "SystemStatus")}
    found: Any = {"InstanceStatuses": [{**checks, "AttachedEbsStatus": {"Status": volumes}}]}
    asked = {"InstanceIds": ["i-1"], "IncludeAllInstances": True}
    ec2_reads.add_response("describe_instance_status", {"InstanceStatuses": [], "NextToken": "more"}, asked)
    ec2_reads.add_response("describe_instance_status", found, {**asked, "NextToken": "more"})
    assert ec2_instances.status_checks("i-1") == word


@pytest.mark.parametrize("module", [ec2_images, ec2_instances, ec2_snapshots, ec2_volumes, sharing])
def test_every_paged_read_continues_to_the_last_page(module: ModuleType):
    """Through a paginator, or in a function that passes the token back."""
    model = clients.ec2_reads().meta.service_model
    paged = {
        xform_name(name)
        for name in model.operation_names
        if (answer := model.operation_model(name).output_shape) and "NextToken" in answer.members
    }
    observations, forgetful = set(), set()
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(function, ast.FunctionDef):
            continue
        text = ast.unparse(function)
        called = {
            node.func.attr
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        named = {node.value for node in ast.walk(function) if isinstance(node, ast.Constant) and node.value in paged}
        observations |= (called & paged) | named
        forgetful |= {f"{function.name}: {name}" for name in called & paged if "NextToken" not in text}
    assert not forgetful
    assert observations, "the test sees what is checked"
