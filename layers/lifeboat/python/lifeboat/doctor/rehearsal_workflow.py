"""Rehearse a function's calls with its own role: find real resources, ask AWS about each call, judge the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifeboat.aws import clock, ec2_instances, ec2_snapshots, ec2_volumes, rehearsing
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.doctor.commands import Place
from lifeboat.doctor.line import Line, count, warn
from lifeboat.doctor.rehearsal import REHEARSING, Call, Props, judge_rehearsal
from lifeboat.doctor.request import parse_rehearsal
from lifeboat.domain.config import Config
from lifeboat.domain.data_volumes import data_attachments
from lifeboat.domain.ec2 import Instance, Snapshot, Volume
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso

NEED_SELECTED = frozenset({"take-snapshots"})
NEED_TARGET = frozenset({"attach-volume"})
"""The functions that may describe instances for this; the others need a snapshot."""

KEPT = frozenset({Tag.HOLD, Tag.SHARED})


def rehearse(event: Mapping[str, Any], function: str, invocation: Invocation) -> dict[str, Any]:
    """Answer `{"rehearse": true}`. `function` is the end of the function's name. Raises BadRequest."""
    parse_rehearsal(event)
    config = invocation.config
    place = Place(config.stack, config.region, config.account)
    try:
        planned = list(REHEARSING[function](_props(function, config), config))
    except AwsError as problem:
        advice = "Find the policy that denies it."
        lines = [warn("rehearsal", f"{function} could not rehearse. AWS said: {problem}", advice=advice)]
    else:
        calls: list[Call] = [item for item in planned if not isinstance(item, str)]
        without = [item for item in planned if isinstance(item, str)]
        lines = list[Line](judge_rehearsal(function, map(rehearsing.rehearse, calls), without, place))
    return {
        "at": iso(clock.now()),
        "function": function,
        "counts": count(lines),
        "lines": [line.as_dict() for line in lines],
    }


def _props(function: str, config: Config) -> Props:
    if function in NEED_SELECTED:
        key, value = config.selector.tag_key, config.selector.tag_value
        return Props(selected=_first_running(key, value))
    if function in NEED_TARGET:
        target = _first_running(Tag.RESTORE_TARGET, "true")
        return Props(target=target, displaceable=_displaceable(target) if target else None)
    return Props(snapshot=_snapshot(config.stack))


def _first_running(key: str, value: str) -> Instance | None:
    found = ec2_instances.each_instance_with_tag(key, value)
    alive = (item for item in found if item.state in {"running", "stopped"} and data_attachments(item))
    return next(alive, None)


def _displaceable(target: Instance) -> Volume | None:
    found = ec2_volumes.volumes(item.volume_id for item in data_attachments(target))
    return next((item for item in found.values() if item.tags.get(Tag.RESTORE_TARGET) == "true"), None)


def _snapshot(stack: str) -> Snapshot | None:
    found = ec2_snapshots.some_recovery_point_snapshots_of(stack, {"status": ["completed"]})
    free = (item for item in found if item.tier == "standard" and not KEPT & item.tags.keys())
    return max(free, key=lambda item: (item.started_at, item.id), default=None)
