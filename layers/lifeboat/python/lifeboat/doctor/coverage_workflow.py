"""Report what the protection does not cover: observe, judge, answer, and each week publish."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lifeboat.aws import clock, ec2_instances, ec2_snapshots, ec2_volumes, file_systems, keys, sharing
from lifeboat.aws.errors import translated
from lifeboat.aws.invocation import Invocation
from lifeboat.backup import selected_store as selections
from lifeboat.doctor import messages
from lifeboat.doctor.commands import Place
from lifeboat.doctor.coverage import judge_coverage
from lifeboat.doctor.coverage_facts import Coverage, Instances, find_settled, find_unselected, lineages_of, own_keys
from lifeboat.doctor.facts import Seen
from lifeboat.doctor.line import count
from lifeboat.doctor.observation_workflow import KEYS, MOST, observe_stack, seen
from lifeboat.doctor.request import CoverageRequest
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.stack import NotSeen
from lifeboat.domain.text import iso
from lifeboat.status.protection import select

PLATFORM_TAG = ("Cado", "CadoResponse")
"""The tag that the platform's vendor puts on its file system of EFS, which keeps every original."""


def report(request: CoverageRequest, invocation: Invocation) -> dict[str, Any]:
    """Answer a request of the coverage report. By its schedule it is published, once in a week.

    Raises AwsError for what passes, and ClientError where the message cannot be published.
    """
    config = invocation.config
    lines = list(judge_coverage(observe(invocation), config, Place(config.stack, config.region, config.account)))
    if request.scheduled_time:
        year, week, _ = request.scheduled_time.isocalendar()
        message = messages.coverage_report(**invocation.stamp(), lines=lines)
        invocation.publish_once("published-check", f"coverage {year}-W{week:02}", message)
    return {
        "at": iso(clock.now()),
        "stack": config.stack,
        "region": config.region,
        "account": config.account,
        "counts": count(lines),
        "lines": [line.as_dict() for line in lines],
    }


def observe(invocation: Invocation) -> Coverage:
    """What there is to protect, and where its recovery points are."""
    config, now = invocation.config, clock.now()
    stack = observe_stack(invocation)
    instances = seen(lambda: _instances(invocation))
    selected = () if isinstance(instances, NotSeen) else instances.selected
    volumes = seen(lambda: ec2_volumes.volumes(volume_id for item in selected for volume_id in item.devices))
    known: Mapping[str, Volume] = {} if isinstance(volumes, NotSeen) else volumes
    points = seen(partial(_points, config.stack))
    lineages = lineages_of(selected, known)
    settled = {} if isinstance(points, NotSeen) else find_settled(points, lineages, now)
    return Coverage(
        now=now,
        parameters=stack if isinstance(stack, NotSeen) else stack.parameters,
        instances=instances,
        volumes=volumes,
        keys={arn: seen(partial(keys.find_key, arn)) for arn in own_keys(known, config.account)[:KEYS]},
        points=points,
        settled=settled,
        copies={item.region: seen(partial(_copies, item.region, config.stack)) for item in config.copy_to},
        shared=_shared(settled, invocation),
        file_systems=seen(lambda: file_systems.file_systems_with_tag(*PLATFORM_TAG)),
    )


def _instances(invocation: Invocation) -> Instances:
    selector, now = invocation.config.selector, clock.now()
    with translated():
        since = selections.selected_since(invocation.config.table)
    selected, unselected = [], []
    for item in ec2_instances.each_instance():
        if selector.selects(item):
            selected.append(select(item, since.get(item.id, now)))
        elif other := find_unselected(item, selector):
            unselected.append(other)
    return Instances(tuple(selected), tuple(unselected))


def _points(stack: str) -> tuple[RecoveryPoint, ...]:
    return tuple(read_catalogue(ec2_snapshots.recovery_point_snapshots_of(stack, {}, most=MOST)).points)


def _copies(region: str, stack: str) -> tuple[RecoveryPoint, ...]:
    found = ec2_snapshots.recovery_point_snapshots_elsewhere(region, stack, {}, most=MOST)
    return tuple(read_catalogue(found).points)


def _shared(settled: Mapping[str, RecoveryPoint], invocation: Invocation) -> Seen[frozenset[str]]:
    config = invocation.config
    ids = sorted({member.snapshot.id for point in settled.values() for member in point.members})
    if not config.vault_account or not ids:
        return frozenset()
    return seen(lambda: sharing.shared_with(config.vault_account, config.stack, ids))
