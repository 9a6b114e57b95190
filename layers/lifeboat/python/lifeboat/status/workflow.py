"""Show how the stack stands: one answer to what a person asks first. Nothing is changed and nothing is published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lifeboat.aws import ec2_instances
from lifeboat.aws.errors import translated
from lifeboat.aws.invocation import Invocation
from lifeboat.backup import overdue
from lifeboat.backup import store as backups
from lifeboat.backup.overdue import Overdue
from lifeboat.copies.record import CopyRecord, CopyState
from lifeboat.domain.bad_request import BadRequest, shown
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso, one_line
from lifeboat.restore import store as restores
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.record import Restore
from lifeboat.status import answer as shape
from lifeboat.status.attention import LISTED, Concerns, Late, Need, Place, needs, still_failed, why_overdue
from lifeboat.status.forecast import RUNS, Forecast, forecast
from lifeboat.status.observation_workflow import HELD, WHOLE_INSTANCES, Observer
from lifeboat.status.page import AfterInstance, BeforePoint, page_of_instances, page_of_points
from lifeboat.status.protection import (
    Digest,
    InstanceView,
    Selected,
    lineage_of,
    unprotected,
    view,
    view_unprotected,
)
from lifeboat.status.request import InstanceRequest, ListRequest, StatusRequest

FORECASTS = 10
"""For how many instances of one Name the next deletions are rehearsed."""

RESTORES_NAMED = 5
"""How many open restores the summary names."""

RUNS_SHOWN = 10
"""How many of the last runs of retention are shown."""


def show(request: StatusRequest | InstanceRequest | ListRequest, invocation: Invocation) -> dict[str, Any]:
    """Answer a request of show_status. Raises BadRequest for an instance that nothing is known of, and AwsError."""
    observer = Observer(invocation)
    if isinstance(request, ListRequest):
        found = _list_all(request, observer)
    elif isinstance(request, InstanceRequest):
        found = _show_named(request, observer)
    else:
        found = _show_all(request, observer)
    config = invocation.config
    place = {"at": iso(observer.now), "stack": config.stack, "region": config.region, "account": config.account}
    if observer.unread and "summary" in found:
        found["summary"] += " AWS did not show everything: see unread."
    return {**place, **found, "unread": [one_line(reason) for reason in observer.unread]}


# --- the stack


def _show_all(request: StatusRequest, observer: Observer) -> dict[str, Any]:
    """A page of the protected instances, and before the first page what concerns all of them."""
    chosen = observer.all_protected()
    after = request.next if isinstance(request.next, AfterInstance) else None
    ids, following = page_of_instances(((item.id, len(item.volumes)) for item in chosen.values()), after, request.limit)
    page = [chosen[instance_id] for instance_id in ids]
    state = _observe_state(observer)
    if after is not None:
        return _page(page, following, state, observer)
    everything = observer.everything() if len(chosen) <= WHOLE_INSTANCES else None
    digest = _digest_all(chosen, everything, observer)
    overview = _overview(chosen, digest, state, observer, whole=everything is not None)
    return {**overview, **_page(page, following, state, observer, digest if everything is not None else None)}


@dataclass(frozen=True, slots=True)
class _State:
    """What the table has that is open."""

    restores: Mapping[str, Restore]
    backups: Mapping[str, datetime]
    copying: Mapping[str, Mapping[str, CopyRecord]]


def _observe_state(observer: Observer) -> _State:
    table = observer.invocation.config.table
    with translated():
        return _State(restores.open_by_instance(table), backups.open_backups(table), observer.copying())


def _digest_all(
    chosen: Mapping[str, Selected], everything: Sequence[RecoveryPoint] | None, observer: Observer
) -> Digest:
    """What all recovery points say, or where they are too many those of the last slots."""
    digest = observer.digest()
    if everything is not None:
        digest.add(everything)
        return digest
    for points in observer.recent(sum(len(item.volumes) for item in chosen.values())):
        digest.add(points, kept=False)
    return digest


def _page(
    page: Sequence[Selected],
    following: AfterInstance | None,
    state: _State,
    observer: Observer,
    digest: Digest | None = None,
) -> dict[str, Any]:
    """The instances of a page. `digest` has their recovery points, if they were read already."""
    volumes = observer.volumes(page)
    digest = digest or observer.of_instances(page, volumes)
    late = {item.instance_id for item in _overdue(page, digest)}
    views = [view(item, digest, volumes, late) for item in page]
    return {"instances": _instances(views, state, observer), "next": str(following) if following else None}


def _instances(
    views: Sequence[InstanceView],
    state: _State,
    observer: Observer,
    forecasts: Mapping[str, Forecast] | None = None,
) -> list[dict[str, Any]]:
    places = observer.places((point for item in views for point in item.named()), state.copying)
    return [
        shape.describe_instance(item, places, observer.now, state.restores.get(item.id), (forecasts or {}).get(item.id))
        for item in views
    ]


def _overdue(instances: Iterable[Selected], digest: Digest) -> tuple[Overdue, ...]:
    """The overdue ones, by the rule of BackupOverdue."""
    if digest.expected is None:
        return ()
    ages = overdue.ages((volume for item in instances for volume in item.volumes), digest.good, digest.now)
    return overdue.overdue(ages, expected=digest.expected, pending=digest.pending)


# --- what concerns all


def _overview(
    chosen: Mapping[str, Selected], digest: Digest, state: _State, observer: Observer, *, whole: bool
) -> dict[str, Any]:
    place = _place(observer)
    late = _overdue(chosen.values(), digest)
    failed = observer.failed()
    older = digest if whole else _older(late[:LISTED], failed, observer)
    listed = [chosen[item.instance_id] for item in late[:LISTED]]
    concerns = Concerns(
        late=_explained(_overdue(listed, older), chosen, digest, state),
        restores=tuple(state.restores.values()),
        suspects=observer.suspects(),
        failed=still_failed(failed, older),
        copying=tuple(_each_copy(state)),
        unconfirmed=observer.unconfirmed(),
        failed_events=observer.failed_events(),
    )
    found = needs(concerns, place)
    needed = len(found) + len(late) - len(listed)
    names = _names((*concerns.suspects, *concerns.failed), chosen)
    counts = {
        "instances": len(chosen),
        "overdue": len(late),
        "open_restores": len(state.restores),
        "open_backups": len(state.backups),
        "open_copies": sum(record.state is CopyState.OPEN for record in concerns.copying),
        "suspected": len(concerns.suspects),
        "needs_a_person": needed,
    }
    return {
        "summary": shape.summarize(counts, tuple(state.restores.values())[:RESTORES_NAMED]),
        "counts": counts,
        **_needs(found, needed, names, place),
        "schedule": _schedule(observer),
        **shape.list_first(
            [shape.describe_late(item, names[item.overdue.instance_id]) for item in concerns.late], "overdue", len(late)
        ),
        **shape.list_first(_restores(state.restores.values(), place, observer), "restores"),
        "ended_restores": _restores(observer.recent_restores(), place, observer),
        **shape.list_first(
            [{"id": point_id, "begun_at": iso(begun_at)} for point_id, begun_at in sorted(state.backups.items())],
            "open_backups",
        ),
        "retention": {
            "policy": observer.invocation.config.retention,
            "minimum_kept": observer.invocation.config.min_keep,
            "runs": [shape.describe_run(item) for item in observer.runs()[:RUNS_SHOWN]],
        },
        **_not_protected(chosen, digest, state, observer, whole=whole),
    }


def _each_copy(state: _State, point_ids: Collection[str] | None = None) -> Iterator[CopyRecord]:
    """What is to be copied or was given up, in any region; with `point_ids` only of these recovery points."""
    for records in state.copying.values():
        yield from (item for item in records.values() if point_ids is None or item.point_id in point_ids)


def _older(late: Iterable[Overdue], failed: Iterable[RecoveryPoint], observer: Observer) -> Digest:
    """All recovery points of the overdue instances and of those with a failed verification."""
    digest = observer.digest()
    for points in observer.of(
        Tag.INSTANCE, {*(item.instance_id for item in late), *(point.instance_id for point in failed)}
    ):
        digest.add(points)
    return digest


def _explained(
    late: Iterable[Overdue], chosen: Mapping[str, Selected], digest: Digest, state: _State
) -> tuple[Late, ...]:
    return tuple(
        Late(item, why_overdue(chosen[item.instance_id], digest, state.restores.get(item.instance_id))) for item in late
    )


def _not_protected(
    chosen: Mapping[str, Selected], digest: Digest, state: _State, observer: Observer, *, whole: bool
) -> dict[str, Any]:
    """The instances that are gone or not selected, with their recovery points; None where these are too many."""
    if not whole:
        return {"not_protected": None}
    volumes = observer.volumes(chosen.values())
    lineages = {lineage_of(volume_id, volumes) for item in chosen.values() for volume_id in item.devices}
    ids = unprotected(digest, chosen, lineages)
    views = [view_unprotected(instance_id, digest) for instance_id in ids[:LISTED]]
    return shape.list_first(_instances(views, state, observer), "not_protected", len(ids))


def _names(points: Iterable[RecoveryPoint], chosen: Mapping[str, Selected]) -> dict[str, str]:
    """The Name of each instance: the one that it has, or else the one that its recovery points have."""
    recorded = {point.instance_id: point.instance_name for point in points}
    return recorded | {item.id: item.name for item in chosen.values()}


def _needs(found: Sequence[Need], count: int, names: Mapping[str, str], place: Place) -> dict[str, Any]:
    described = [shape.describe_need(item, names, place) for item in found[:LISTED]]
    return shape.list_first(described, "needs_a_person", count)


def _schedule(observer: Observer) -> dict[str, Any]:
    following = observer.slots_to_come(1)
    return {
        "expression": observer.schedule.text,
        "time_zone": observer.schedule.time_zone,
        "expected_slot": iso(observer.expected) if observer.expected else None,
        "next_slot": iso(following[0]) if following else None,
    }


def _restores(found: Iterable[Restore], place: Place, observer: Observer) -> list[dict[str, Any]]:
    deadlines = Deadlines(**observer.invocation.config.deadlines)
    return [shape.describe_restore(item, deadlines, place) for item in found]


def _place(observer: Observer) -> Place:
    config = observer.invocation.config
    tag = (config.selector.tag_key, config.selector.tag_value)
    return Place(config.stack, config.region, config.account, observer.now, tag)


# --- one instance


@dataclass(slots=True)
class _Named:
    """The instances that a request names: the protected ones in `chosen`, the others only in `ids`.

    `points` are their recovery points, and those of the lineages of their volumes.
    """

    chosen: Mapping[str, Selected]
    volumes: Mapping[str, Volume]
    ids: Collection[str]
    points: Sequence[RecoveryPoint]
    digest: Digest


def _show_named(request: InstanceRequest, observer: Observer) -> dict[str, Any]:
    """The instances of an id or a Name, protected or gone, or with `list` their recovery points."""
    named = _observe_named(request, observer)
    if request.list:
        return _list(named.points, request, observer)
    state, place = _observe_state(observer), _place(observer)
    after = request.next if isinstance(request.next, AfterInstance) else None
    ids, following = page_of_instances(((instance_id, 1) for instance_id in named.ids), after, request.limit)
    late = _overdue(named.chosen.values(), named.digest)
    overdue_ids = {item.instance_id for item in late}
    views = [
        view(named.chosen[item], named.digest, named.volumes, overdue_ids)
        if item in named.chosen
        else view_unprotected(item, named.digest)
        for item in ids
    ]
    here = [restore for instance_id, restore in state.restores.items() if instance_id in named.ids]
    concerns = Concerns(
        late=_explained(late[:LISTED], named.chosen, named.digest, state),
        restores=tuple(here),
        suspects=tuple(point for point in named.points if point.suspected),
        failed=still_failed([item for item in named.points if item.proof and not item.proven], named.digest),
        copying=tuple(_each_copy(state, {point.id for point in named.points})),
    )
    found = needs(concerns, place)
    return {
        **_needs(found, len(found), _names(named.points, named.chosen), place),
        "schedule": _schedule(observer),
        **shape.list_first(_restores(here, place, observer), "restores"),
        "ended_restores": _restores(observer.ended_restores(named.volumes.values()), place, observer),
        **(_list(named.points, replace(request, limit=request.points, next=None), observer) if request.points else {}),
        "instances": _instances(views, state, observer, _forecasts(ids[:FORECASTS], named, observer)),
        "next": str(following) if following else None,
    }


def _forecasts(ids: Iterable[str], named: _Named, observer: Observer) -> dict[str, Forecast]:
    """What retention will delete of each of these instances: of its recovery points and of all of its lineages."""
    rules, slots = observer.rules(), observer.slots_to_come(RUNS)
    found: dict[str, Forecast] = {}
    for instance_id in ids if slots else ():
        instance = named.chosen.get(instance_id)
        lineages = {lineage_of(item, named.volumes) for item in instance.devices} if instance else set()
        own = {point.id for point in named.points if point.instance_id == instance_id}
        lineages.update(name for point in named.points if point.id in own for name in point.lineages)
        points = [point for point in named.points if point.id in own or lineages.intersection(point.lineages)]
        found[instance_id] = forecast(instance_id, points, slots, rules(instance.retention if instance else None))
    return found


def _observe_named(request: InstanceRequest, observer: Observer) -> _Named:
    """Raises BadRequest if no protected instance and no recovery point has this id or Name, or too many have it."""
    name = request.instance
    found = (
        ec2_instances.instances([name]).values() if request.is_id else ec2_instances.instances_with_tag("Name", name)
    )
    chosen = observer.protected(found)
    of_name = observer.of_instance(name) if request.is_id else observer.of_name(name)
    if of_name is None or len(chosen) > WHOLE_INSTANCES:
        raise BadRequest(
            f"instance is {shown(name)}, expected the id of one instance: so many have this Name that their recovery "
            "points cannot be read at once"
        )
    ids = {*chosen, *(point.instance_id for point in of_name)}
    if not ids:
        selector = observer.invocation.config.selector
        raise BadRequest(
            f"instance is {shown(name)}, expected the id or the Name of an instance with the tag "
            f"{selector.tag_key}={selector.tag_value}, or of one that has recovery points of this stack"
        )
    volumes = observer.volumes(chosen.values())
    lineages = {lineage_of(volume_id, volumes) for item in chosen.values() for volume_id in item.devices}
    others = [
        point
        for tag, values in ((Tag.INSTANCE, set(chosen) - {name}), (Tag.LINEAGE, lineages))
        for some in observer.of(tag, values)
        for point in some
    ]
    points = {tuple(member.snapshot.id for member in point.members): point for point in (*of_name, *others)}
    digest = observer.digest()
    digest.add(points.values())
    return _Named(chosen, volumes, ids, tuple(points.values()), digest)


# --- recovery points


def _list_all(request: ListRequest, observer: Observer) -> dict[str, Any]:
    points = observer.everything()
    if points is None:
        raise BadRequest(f"list is true without an instance, expected one: this stack has more than {HELD:,} snapshots")
    return _list(points, request, observer)


def _list(
    points: Sequence[RecoveryPoint], request: InstanceRequest | ListRequest, observer: Observer
) -> dict[str, Any]:
    """A page of recovery points, the newest first."""
    before = request.next if isinstance(request.next, BeforePoint) else None
    page, following = page_of_points(points, before, request.limit)
    with translated():
        copying = observer.copying()
    places = observer.places(page, copying)
    return {
        "recovery_points": [shape.describe_point(point, places, observer.now) for point in page],
        "next": str(following) if following else None,
    }
