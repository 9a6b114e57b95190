"""The end of a copy is published to the home region, where the stack in the destination says which one that is.

Whether these events come, are lost or come twice, the same copies are made and the same is published, each once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import pytest

from lifeboat.copies.plan import IN_FLIGHT
from local.session import REGION, LocalAws
from tests.e2e.copy_cases import (
    AWAY,
    COPY,
    COPY_SECONDS,
    all_there,
    at_most_at_a_time,
    copies,
    new_instance,
    point_id,
    published,
    refused,
    seed_point,
)
from tests.e2e.stage import SETTINGS, Regions, Stage, tags_of

POINTS = 45
"""More than twice what may be on its way at once: what ends must wake what follows."""
AT_ONCE = 5
"""How many copies end, and wake the function, at the same moment."""


@pytest.fixture(scope="module")
def deployed() -> Iterator[Regions]:
    with LocalAws({**SETTINGS, "delays": {"copy": COPY_SECONDS}}) as aws:
        # The same parameters may be given everywhere: a region sends nothing to itself.
        home = Stage(aws, {"CopyToRegions": AWAY, "CopyExisting": "true", "HomeRegion": REGION})
        yield Regions(home, Stage(aws, {"HomeRegion": REGION}, region=AWAY))


@pytest.fixture
def regions(deployed: Regions) -> Iterator[Regions]:
    yield deployed
    deployed.home.control.settle()
    deployed.home.control.reset()
    deployed.home.control.set_delays(copy=COPY_SECONDS)
    for stage in (deployed.home, deployed.away):
        assert stage.failed_events() == []
        assert stage.denied() == []


@pytest.fixture
def instance() -> str:
    return new_instance()


@pytest.mark.parametrize(("region", "rules"), [(REGION, 0), (AWAY, 1)])
def test_only_where_home_is_elsewhere_a_rule_sends_there(regions, region, rules):
    events = regions.home.aws.client("events", region)
    targets = [
        target["Arn"]
        for rule in events.list_rules()["Rules"]
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    ]
    assert len([arn for arn in targets if arn.startswith(f"arn:aws:events:{REGION}:")]) == rules


def test_events_alone_bring_a_backlog_over_under_the_cap_none_lost_none_doubled(regions, instance):
    home = regions.home
    sources = [snapshot for number in range(POINTS) for snapshot in seed_point(home, instance, number)]
    home.control.set_delays(copy=math.inf)
    home.reconcile(COPY)  # the only one: what ends wakes what follows
    home.control.advance(COPY_SECONDS)
    while home.control.finish("copy", most=AT_ONCE):
        home.control.settle()
        home.control.advance(COPY_SECONDS)

    assert all_there(home, instance, POINTS)
    found = copies(home, instance)
    assert Counter(tags_of(copy)["lifeboat:copy-of"] for copy in found) == dict.fromkeys(sources, 1)
    assert at_most_at_a_time(found) == IN_FLIGHT
    assert refused(home) == []
    assert Counter(published(home, instance, "SnapshotsCopied")) == dict.fromkeys(
        (point_id(instance, number) for number in range(POINTS)), 1
    )


@pytest.mark.parametrize("effect", ["drop", "double", "delay"])
def test_events_that_are_lost_doubled_or_late_change_nothing(regions, instance, effect):
    home = regions.home
    home.control.event_fault(effect, detail_type="EBS Snapshot Notification", count=0)
    [source] = seed_point(home, instance, 0)
    home.reconcile(COPY)
    assert len(published(home, instance, "SnapshotsCopied")) == (effect != "drop")
    home.reconcile(COPY)
    assert published(home, instance, "SnapshotsCopied") == [point_id(instance, 0)]
    [copy] = copies(home, instance)
    assert tags_of(copy)["lifeboat:copy-of"] == source


def test_a_copy_that_failed_is_published_at_once(regions, instance):
    home = regions.home
    [source] = seed_point(home, instance, 0)
    home.control.fail_creation("copy", resource=source, cause="Given key ID is not accessible")
    home.reconcile(COPY)
    assert published(home, instance, "CopyFailed") == [point_id(instance, 0)]


def test_others_copies_wake_nobody_for_long(regions):
    home = regions.home
    foreign = home.control.seed_snapshot(size=1)
    mark = home.control.mark()
    home.aws.client("ec2", AWAY).copy_snapshot(SourceRegion=REGION, SourceSnapshotId=foreign)
    home.control.settle()
    [invocation] = home.control.invocations(mark, function=home.outputs[COPY])
    assert invocation["result"] == {"waits_for": "the reconcile run: none of this stack's copies has ended"}
    assert home.control.counts(mark, caller=home.outputs[COPY]) == {"ec2:DescribeSnapshots": 1}


def test_a_copy_from_elsewhere_is_not_sent_home(regions):
    home = regions.home
    other = home.control.seed_snapshot(size=1, region="us-east-1")
    mark = home.control.mark()
    home.aws.client("ec2", AWAY).copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=other)
    home.control.settle()
    assert home.control.invocations(mark, function=home.outputs[COPY]) == []
