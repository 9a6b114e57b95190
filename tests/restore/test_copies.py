"""A recovery point only in another region: what the request means, which copy is used, what a failed copy causes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifeboat.copies.plan import set_id_for
from lifeboat.copies.vault import read_shared
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.ec2_calls import CopySnapshot, CreateVolume, Refused, Throttled, Unknown
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.recovery_point_tags import tags_of_copy
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.restore.decision import Complete, Observed, Requeue
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.refused import after_copy_begun, after_failure
from lifeboat.restore.machine.transitions import begin, cancel, next_step
from lifeboat.restore.machine.volumes import plan_first_calls
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.preflight.facts import PreflightFacts, Severity
from lifeboat.restore.preflight.selection import may_be_elsewhere, may_be_shared_by, merge_places, select_named
from lifeboat.restore.record import Direction, Fetch, Restore, RestoreState, RestoreStep
from lifeboat.restore.request import RecoveryPointChoice, VolumeOverrides
from tests.builders import ACCOUNT, DATA, PLATFORM, SLOT, point_tags, snapshot, volume
from tests.restore.preflight_cases import (
    FRESH,
    SECOND,
    another,
    asked,
    codes,
    data_volume,
    fresh,
    known,
    planned,
    points,
)
from tests.restore.preflight_cases import NOW as ASKED

HERE, AWAY = "eu-west-1", "eu-central-1"
KEY_HERE = f"arn:aws:kms:{HERE}:{ACCOUNT}:key/22222222-2222-3333-4444-555555555555"
NOW = ASKED
SETTLE = Deadlines().settle
DAY = timedelta(days=1)


def elsewhere(*snapshots: Snapshot, region: str = AWAY) -> tuple[RecoveryPoint, ...]:
    """Recovery points of another region, where their keys are."""
    there = [replace(item, kms_key_id=(item.kms_key_id or "").replace(HERE, region) or None) for item in snapshots]
    return tuple(replace(point, region=region) for point in points(*there))


def copy_of(source: Snapshot, number: int = 1, region: str = AWAY, **facts: Any) -> Snapshot:
    """A copy here of what is in another region, of its first attempt."""
    [member] = read_catalogue([source]).points[0].members
    begun = facts.get("started_at", SLOT + timedelta(hours=number))
    set_id = facts.pop("set_id", source.tags[Tag.SET])
    values = {
        "id": f"snap-copy-{number}",
        "volume_id": "vol-ffffffff",
        "state": "completed",
        "started_at": begun,
        "size": source.size,
        "owner_id": ACCOUNT,
        "encrypted": True,
        "kms_key_id": KEY_HERE,
        "tags": tags_of_copy(member, region=region, set_id=set_id, now=begun),
    }
    return Snapshot(**{**values, **facts})


def only_elsewhere(**facts: Any) -> PreflightFacts:
    return known(**{"points": (), "elsewhere": elsewhere(another(1)), **facts})


# --- which recovery point

ONE, TWO = another(1), another(2, SLOT + timedelta(hours=1))
LATEST: dict[str, tuple[dict[str, Any], str, str]] = {
    "only elsewhere": ({"points": (), "elsewhere": elsewhere(ONE, TWO)}, "snap-2", AWAY),
    "the newer one is elsewhere": ({"points": points(ONE), "elsewhere": elsewhere(ONE, TWO)}, "snap-2", AWAY),
    "the newer one is here": ({"points": points(TWO), "elsewhere": elsewhere(ONE)}, "snap-2", ""),
    "its copy is here": ({"points": points(copy_of(TWO)), "elsewhere": elsewhere(ONE, TWO)}, "snap-copy-1", ""),
    "its copy is on its way": (
        {"points": points(copy_of(TWO, state="pending")), "elsewhere": elsewhere(ONE, TWO)},
        "snap-2",
        AWAY,
    ),
    "its copy has failed": (
        {"points": points(copy_of(TWO, state="error")), "elsewhere": elsewhere(ONE, TWO)},
        "snap-2",
        AWAY,
    ),
    "its second copy is good": (
        {
            "points": points(copy_of(TWO, state="error"), copy_of(TWO, 2, set_id="set-2~2")),
            "elsewhere": elsewhere(ONE, TWO),
        },
        "snap-copy-2",
        "",
    ),
    "it is in two regions: the first": (
        {"points": (), "elsewhere": (*elsewhere(TWO), *elsewhere(TWO, region="us-east-1"))},
        "snap-2",
        AWAY,
    ),
    "it has failed in the first": (
        {"points": (), "elsewhere": (*elsewhere(replace(TWO, state="error")), *elsewhere(TWO, region="us-east-1"))},
        "snap-2",
        "us-east-1",
    ),
    "it failed here, and its copy is good elsewhere": (
        {"points": points(replace(TWO, state="error")), "elsewhere": elsewhere(copy_of(TWO, region=HERE))},
        "snap-copy-1",
        AWAY,
    ),
}


@pytest.mark.parametrize("name", LATEST)
@pytest.mark.parametrize("by", ["latest", "instance", "id"])
def test_the_newest_is_taken_wherever_it_is_good(name: str, by: str) -> None:
    facts, snapshot_id, region = LATEST[name]
    choice = {
        "latest": RecoveryPointChoice(),
        "instance": RecoveryPointChoice(instance_id=ONE.tags[Tag.INSTANCE]),
        "id": RecoveryPointChoice(id="rp-2"),
    }[by]
    found = planned(preflight(asked(recovery_point=choice), known(**facts), NOW))
    assert (found.snapshot_id, found.fetch.call.region if found.fetch else "") == (snapshot_id, region)


def test_every_recovery_point_is_there_once() -> None:
    facts = known(points=points(ONE), elsewhere=elsewhere(ONE, TWO))
    assert [(point.id, point.region) for point in merge_places(facts)] == [("rp-1", ""), ("rp-2", AWAY)]


@pytest.mark.parametrize(
    ("choice", "asked_elsewhere"),
    [
        (RecoveryPointChoice(), True),
        (RecoveryPointChoice(instance_id="i-1"), True),
        (RecoveryPointChoice(id="rp-1"), False),
        (RecoveryPointChoice(id="rp-2"), True),
        (RecoveryPointChoice(id="rp-3"), True),
        (RecoveryPointChoice(snapshot_ids=("snap-1",)), False),
        (RecoveryPointChoice(snapshot_ids=("snap-1", "snap-9")), True),
    ],
)
def test_other_regions_are_read_unless_the_named_one_is_here(
    choice: RecoveryPointChoice, asked_elsewhere: bool
) -> None:
    facts = known(points=points(ONE, replace(TWO, state="pending")), snapshots={"snap-1": ONE})
    assert may_be_elsewhere(choice, facts) is asked_elsewhere


def test_the_finding_for_an_unknown_id_names_the_regions_that_were_read() -> None:
    facts = known(points=(), restore_from=("us-east-1", AWAY), unread_regions={"us-east-1": "no answer"})
    found = preflight(asked(recovery_point=RecoveryPointChoice(id="rp-9")), facts, NOW)
    assert codes(found) == ["no-recovery-point"]
    assert "in eu-west-1 or eu-central-1" in found.text


def test_a_region_that_could_not_be_read_is_named() -> None:
    found = preflight(asked(), known(unread_regions={AWAY: "ConnectTimeoutError: no answer"}), NOW)
    assert codes(found, Severity.WARN) == ["region-not-read"]
    assert found.plan, "what is here can be restored all the same"
    assert "ConnectTimeoutError" in found.text


def test_an_archived_one_names_the_region_it_is_in() -> None:
    facts = only_elsewhere(elsewhere=elsewhere(replace(ONE, tier="archive")))
    found = preflight(asked(recovery_point=RecoveryPointChoice(id="rp-1")), facts, NOW)
    assert "archived" in codes(found)
    assert f"--region {AWAY}" in found.text


def test_snapshots_of_two_regions_are_refused() -> None:
    facts = known(points=points(ONE), snapshots={"snap-1": ONE}, elsewhere=elsewhere(TWO))
    found = preflight(asked(recovery_point=RecoveryPointChoice(snapshot_ids=("snap-1", "snap-2"))), facts, NOW)
    assert "several-recovery-points" in codes(found)


def test_a_snapshot_without_metadata_is_not_combined_with_one_elsewhere() -> None:
    plain = replace(ONE, id="snap-7", tags={})
    facts = known(points=(), snapshots={"snap-7": plain}, elsewhere=elsewhere(TWO))
    found = preflight(asked(recovery_point=RecoveryPointChoice(snapshot_ids=("snap-7", "snap-2"))), facts, NOW)
    assert "several-recovery-points" in codes(found)


# --- the plan


def test_the_plan_begins_with_the_copy_and_says_so() -> None:
    found = preflight(asked(), only_elsewhere(completion_minutes=30), NOW)
    assert found.plan
    assert found.plan.step is RestoreStep.COPIES
    assert f"- copy snap-1 from {AWAY}" in found.text
    assert f"{FRESH} is not touched meanwhile" in found.text
    [call] = plan_first_calls(found.plan)
    assert isinstance(call, CopySnapshot)
    assert (call.region, call.snapshot_id, call.completion_minutes) == (AWAY, "snap-1", 30)
    assert call.tags[Tag.COPY_OF] == "snap-1"
    assert call.tags[Tag.COPIED_FROM] == AWAY
    assert call.tags[Tag.SET] == "set-1"
    assert call.tags[Tag.STACK] == "lifeboat"
    assert call.tags[Tag.RESTORE] == found.plan.id
    assert found.plan.id in call.description


@pytest.mark.parametrize(
    ("overrides", "facts", "key"),
    [
        ({}, {}, None),
        ({}, {"kms_key_id": KEY_HERE}, KEY_HERE),
        ({"kms_key_id": "alias/mine"}, {"kms_key_id": KEY_HERE}, "alias/mine"),
    ],
)
def test_the_sources_key_is_not_used_here(overrides: dict[str, Any], facts: dict[str, Any], key: str) -> None:
    found = preflight(asked(volume=VolumeOverrides(**overrides)), only_elsewhere(**facts), NOW)
    made = planned(found)
    assert made.fetch
    assert (made.encrypted, made.kms_key_id, made.fetch.call.kms_key_id) == (True, key, key)


def test_an_unencrypted_restore_has_an_unencrypted_copy() -> None:
    plain = volume(encrypted=False, kms_key_id=None)
    source = another(1, volumes=(plain,), encrypted=False, kms_key_id=None)
    facts = only_elsewhere(elsewhere=elsewhere(source), kms_key_id=KEY_HERE)
    made = planned(preflight(asked(volume=VolumeOverrides(encrypted=False)), facts, NOW))
    assert made.fetch
    assert (made.encrypted, made.fetch.call.kms_key_id) == (False, None)


def test_a_copy_that_would_have_too_many_tags_is_refused() -> None:
    crowded = replace(ONE, tags={**ONE.tags, **{f"lifeboat:extra-{number}": "" for number in range(40)}})
    found = preflight(asked(), only_elsewhere(elsewhere=elsewhere(crowded)), NOW)
    assert codes(found) == ["too-many-tags"]
    assert "A copy of snapshot snap-1 would need" in found.text


@pytest.mark.parametrize(
    ("here", "set_id"),
    [
        ((), "set-1"),
        ((copy_of(ONE),), "set-1"),
        ((copy_of(ONE, state="pending", set_id="set-1~2"),), "set-1~2"),
        ((copy_of(ONE, state="error"),), "set-1~2"),
        ((copy_of(ONE, state="error"), copy_of(ONE, 2, state="error", set_id="set-1~2")), "set-1~3"),
        ((copy_of(TWO, state="error"),), "set-1"),
    ],
)
def test_further_copies_complete_the_newest_attempt_that_has_not_failed(
    here: tuple[Snapshot, ...], set_id: str
) -> None:
    [point] = elsewhere(ONE)
    assert set_id_for(point, here) == set_id


# --- a set that was copied twice


def test_a_snapshot_copied_twice_for_one_set_leaves_a_whole_recovery_point() -> None:
    volumes = (volume(), data_volume(SECOND, "/dev/sdi"))
    tags = point_tags(*volumes, recovery_point_id="rp-1")
    first, second = (snapshot(id=f"snap-{item.id}", volume_id=item.id, tags=tags) for item in volumes)
    [member_1, member_2] = read_catalogue([first, second]).points[0].members

    def copied(number: int, member: Any, **facts: Any) -> Snapshot:
        tags = tags_of_copy(member, region=AWAY, set_id="set-1", now=SLOT)
        return replace(member.snapshot, id=f"snap-{number}", volume_id="vol-ffffffff", tags=tags, **facts)

    copies = [copied(1, member_1, state="pending"), copied(2, member_1), copied(3, member_2)]
    whole, rest = read_catalogue(copies).points
    assert (whole.id, whole.condition) == ("rp-1", "good")
    assert {member.snapshot.id for member in whole.members} == {"snap-2", "snap-3"}
    assert (rest.id, rest.condition) == ("rp-1+2", "incomplete")


# --- which copy, and its outcome


def begun(**facts: Any) -> Restore:
    found = preflight(asked(), only_elsewhere(**facts), NOW)
    assert found.plan
    return begin(found.plan, NOW)


def observed(*copies: Snapshot) -> Observed:
    return Observed(fresh(), {item.id: item for item in [data_volume()]}, copies={item.id: item for item in copies})


def fetch_of(restore: Restore) -> Fetch:
    [made] = restore.volumes
    assert made.fetch
    return made.fetch


def asked_for(restore: Restore) -> tuple[Restore, CopySnapshot]:
    step = next_step(restore, observed(), NOW)
    assert isinstance(step.action, CopySnapshot)
    return step.restore, step.action


def test_without_a_copy_it_starts_one_and_no_volume() -> None:
    restore, action = asked_for(begun())
    assert action == plan_first_calls(restore)[0]
    assert isinstance(next_step(restore, observed(), NOW + timedelta(seconds=30)).action, Requeue)


@pytest.mark.parametrize(
    ("copies", "copy_id"),
    [
        ((copy_of(ONE, state="pending"),), "snap-copy-1"),
        ((copy_of(ONE, state="pending"), copy_of(ONE, 2)), "snap-copy-2"),
        ((copy_of(ONE), copy_of(ONE, 2)), "snap-copy-1"),
        ((copy_of(ONE, state="error"), copy_of(ONE, 2)), "snap-copy-2"),
        ((copy_of(ONE, tier="archive"), copy_of(ONE, 2)), "snap-copy-2"),
    ],
)
def test_a_copy_in_this_region_is_used_whoever_made_it(copies: tuple[Snapshot, ...], copy_id: str) -> None:
    step = next_step(begun(), observed(*copies), NOW)
    assert fetch_of(step.restore).copy_id == step.restore.volumes[0].snapshot_id == copy_id
    assert not isinstance(step.action, CopySnapshot)


@pytest.mark.parametrize(
    "other",
    [copy_of(TWO), copy_of(ONE, region="us-east-1"), copy_of(ONE, state="error"), copy_of(ONE, tier="archive")],
    ids=["of another", "from another region", "failed before", "archived"],
)
def test_a_snapshot_that_is_not_its_copy_is_not_used(other: Snapshot) -> None:
    assert isinstance(next_step(begun(), observed(other), NOW).action, CopySnapshot)


def test_the_volume_is_made_of_the_copy_and_with_its_key() -> None:
    restore, action = asked_for(begun())
    restore = after_copy_begun(restore, action, "snap-copy-1")
    assert isinstance(next_step(restore, observed(copy_of(ONE, state="pending")), NOW).action, Requeue)
    step = next_step(restore, observed(copy_of(ONE)), NOW)
    assert isinstance(step.action, CreateVolume)
    assert (step.action.snapshot_id, step.action.kms_key_id) == ("snap-copy-1", KEY_HERE)
    assert step.restore.step is RestoreStep.VOLUMES


def test_the_key_of_the_request_is_used() -> None:
    found = preflight(asked(volume=VolumeOverrides(kms_key_id="alias/mine")), only_elsewhere(), NOW)
    assert found.plan
    step = next_step(begin(found.plan, NOW), observed(copy_of(ONE)), NOW)
    assert isinstance(step.action, CreateVolume)
    assert step.action.kms_key_id == "alias/mine"


def test_after_a_lost_answer_the_copy_is_not_repeated_at_once() -> None:
    restore, action = asked_for(begun())
    restore = after_failure(restore, action, Unknown("no answer"), NOW)
    assert isinstance(next_step(restore, observed(), NOW + SETTLE - timedelta(seconds=1)).action, Requeue)
    assert isinstance(next_step(restore, observed(), NOW + SETTLE).action, CopySnapshot)


@pytest.mark.parametrize("refusal", [Refused("ResourceLimitExceeded"), Refused("InternalError"), Throttled()])
def test_a_copy_that_was_refused_for_now_is_repeated_soon(refusal: Refused | Throttled) -> None:
    restore, action = asked_for(begun())
    restore = after_failure(restore, action, refusal, NOW)
    assert isinstance(next_step(restore, observed(), NOW).action, Requeue)
    later = next_step(restore, observed(), NOW + Deadlines().again)
    assert isinstance(later.action, CopySnapshot)
    assert len(later.restore.timeline) == len(restore.timeline), "one line in the timeline"


def test_a_refused_copy_rolls_the_restore_back() -> None:
    restore, action = asked_for(begun())
    restore = after_failure(restore, action, Refused("InvalidSnapshot.NotFound", "it is gone"), NOW)
    assert restore.failure == f"CopySnapshot of snap-1 from {AWAY}: InvalidSnapshot.NotFound: it is gone"
    assert next_step(restore, observed(), NOW).action == Complete(RestoreState.ROLLED_BACK)


def test_a_time_that_is_refused_is_left_out_not_the_copy() -> None:
    restore, action = asked_for(begun(completion_minutes=30))
    restore = after_failure(restore, action, Refused("InvalidParameterValue", "no"), NOW)
    again = next_step(restore, observed(), NOW)
    assert isinstance(again.action, CopySnapshot)
    assert again.action.completion_minutes == 0
    refused = after_failure(again.restore, again.action, Refused("InvalidParameterValue", "no"), NOW)
    assert refused.direction is Direction.ROLLBACK


def test_a_copy_without_permission_is_not_retried() -> None:
    restore, action = asked_for(begun(completion_minutes=30))
    assert after_failure(restore, action, Refused("UnauthorizedOperation"), NOW).direction is Direction.ROLLBACK


@pytest.mark.parametrize(
    ("copies", "said"),
    [
        ((), "has vanished, as it does when a KMS key may not be used"),
        ((copy_of(ONE, state="error", state_message="Given key ID is not accessible"),), "key ID is not accessible"),
        ((copy_of(ONE, state="error"),), "state error, as it does when a KMS key"),
        ((copy_of(ONE, state="recoverable"),), "state recoverable"),
    ],
)
def test_a_failed_copy_rolls_the_restore_back_with_the_reason(copies: tuple[Snapshot, ...], said: str) -> None:
    restore, action = asked_for(begun())
    restore = after_copy_begun(restore, action, "snap-copy-1")
    step = next_step(restore, observed(*copies), NOW + SETTLE)
    assert step.action == Complete(RestoreState.ROLLED_BACK)
    assert said in (step.restore.failure or "")


@pytest.mark.parametrize(
    ("left", "key"),
    [((), None), ((copy_of(ONE, state="error", kms_key_id="arn:theirs"),), None)],
    ids=["vanished", "failed"],
)
def test_a_failed_copy_of_another_caller_is_followed_by_an_own_copy(
    left: tuple[Snapshot, ...], key: str | None
) -> None:
    theirs = copy_of(ONE, state="pending", kms_key_id="arn:theirs")
    restore = next_step(begun(), observed(theirs), NOW).restore
    assert fetch_of(restore).copy_id == theirs.id
    at = NOW + timedelta(minutes=1)
    step = next_step(restore, observed(*left), at)
    [wanted] = plan_first_calls(begun())
    assert isinstance(wanted, CopySnapshot)
    # However long ago it was planned: by the time of asking Lifeboat's own copies are known.
    assert step.action == replace(wanted, tags={**wanted.tags, Tag.COPIED_AT.value: iso(at)})
    assert step.restore.volumes[0].kms_key_id == key, "the key of the copy that is not used"
    assert any("this restore did not start that copy" in entry.text for entry in step.restore.timeline)
    own = after_copy_begun(step.restore, step.action, "snap-copy-2") if isinstance(step.action, CopySnapshot) else None
    assert own
    made = next_step(own, observed(*left, copy_of(ONE, 2)), NOW + timedelta(minutes=2)).action
    assert isinstance(made, CreateVolume)
    assert (made.snapshot_id, made.kms_key_id) == ("snap-copy-2", KEY_HERE)


def test_a_failed_copy_of_another_caller_is_replaced_by_a_completed_one() -> None:
    restore = next_step(begun(), observed(copy_of(ONE, state="pending")), NOW).restore
    step = next_step(restore, observed(copy_of(ONE, state="error"), copy_of(ONE, 2)), NOW + timedelta(minutes=1))
    assert isinstance(step.action, CreateVolume)
    assert step.action.snapshot_id == "snap-copy-2"


def test_a_copy_may_take_a_moment_to_show() -> None:
    restore, action = asked_for(begun())
    restore = after_copy_begun(restore, action, "snap-copy-1")
    assert isinstance(next_step(restore, observed(), NOW + timedelta(seconds=10)).action, Requeue)


def test_a_copy_whose_answer_was_lost_and_that_failed_is_not_made_again() -> None:
    restore, action = asked_for(begun())
    restore = after_failure(restore, action, Unknown("no answer"), NOW)
    failed = copy_of(ONE, state="error", started_at=NOW)
    assert next_step(restore, observed(failed), NOW + SETTLE).action == Complete(RestoreState.ROLLED_BACK)


def test_a_copy_past_its_deadline_rolls_the_restore_back_and_stays() -> None:
    restore, action = asked_for(begun())
    restore = after_copy_begun(restore, action, "snap-copy-1")
    pending = observed(copy_of(ONE, state="pending"))
    assert isinstance(next_step(restore, pending, NOW + DAY).action, Requeue)
    step = next_step(restore, pending, NOW + DAY + timedelta(seconds=1))
    assert step.action == Complete(RestoreState.ROLLED_BACK)
    assert "for longer than 1440 minutes" in (step.restore.failure or "")


def test_a_restore_can_be_cancelled_while_it_copies() -> None:
    restore, action = asked_for(begun())
    restore = cancel(after_copy_begun(restore, action, "snap-copy-1"), NOW)
    assert next_step(restore, observed(copy_of(ONE, state="pending")), NOW).action == Complete(RestoreState.ROLLED_BACK)


def test_completed_copies_are_not_observed_again() -> None:
    step = next_step(begun(), observed(copy_of(ONE)), NOW)
    assert isinstance(next_step(step.restore, observed(), NOW + timedelta(seconds=1)).action, Requeue)
    assert isinstance(next_step(step.restore, observed(), NOW + timedelta(minutes=1)).action, CreateVolume)


# --- in a vault: what other accounts share

SOURCE, OTHER = "222233334444", "333344445555"
VAULT_KEY = f"arn:aws:kms:{HERE}:{ACCOUNT}:key/33333333-2222-3333-4444-555555555555"


def shared(*snapshots: Snapshot, observed: bool = True, source: str = SOURCE) -> tuple[RecoveryPoint, ...]:
    """Recovery points of another account, all or none of which it shares; one more of the lineage it does share."""
    sources = tuple(replace(item, owner_id=source) for item in snapshots)
    first = replace(another(0, SLOT - DAY), owner_id=source)
    visible = {item.id: replace(item, tags={}) for item in ((first, *sources) if observed else (first,))}
    found = read_shared(read_catalogue((first, *sources)).points, visible, source=source, stack="strongroom").points
    return tuple(replace(point, region=HERE, account=source) for point in found)


def in_the_vault(*elsewhere: RecoveryPoint, **facts: Any) -> PreflightFacts:
    return known(**{"points": (), "stack": "strongroom", "elsewhere": elsewhere, "vault_key": VAULT_KEY, **facts})


def kept(source: Snapshot, **facts: Any) -> Snapshot:
    """The vault's copy of what another account shares."""
    [*_, point] = shared(source)
    tags = tags_of_copy(point.members[0], region=HERE, set_id=point.members[0].snapshot.tags[Tag.SET], now=NOW)
    return copy_of(source, **{"tags": tags, "kms_key_id": VAULT_KEY, **facts})


CHOICES = {
    "latest": RecoveryPointChoice(),
    "instance": RecoveryPointChoice(instance_id=f"{SOURCE}/{PLATFORM}"),
    "lineage": RecoveryPointChoice(lineage=f"{SOURCE}/{DATA}"),
    "id": RecoveryPointChoice(id=f"rp-1-{SOURCE}"),
    "snapshots": RecoveryPointChoice(snapshot_ids=("snap-1",)),
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_what_is_shared_is_copied_under_the_vaults_key_and_name(choice: RecoveryPointChoice) -> None:
    observed = {"snap-1": replace(ONE, owner_id=SOURCE, tags={})}
    facts = in_the_vault(*shared(ONE), snapshots=observed if choice.snapshot_ids else {}, kms_key_id=KEY_HERE)
    assert may_be_elsewhere(choice, facts)
    assert may_be_shared_by(SOURCE, choice)
    found = preflight(asked(recovery_point=choice), facts, NOW)
    made = planned(found)
    assert found.plan
    [call] = plan_first_calls(found.plan)
    assert isinstance(call, CopySnapshot)
    assert (call.region, call.account, call.snapshot_id, call.kms_key_id) == (HERE, SOURCE, "snap-1", VAULT_KEY)
    assert (made.kms_key_id, made.encrypted, made.lineage) == (VAULT_KEY, True, f"{SOURCE}/{DATA}")
    [copy] = [Snapshot("snap-c", "", "completed", NOW, 100, ACCOUNT, tags=call.tags)]
    [point] = read_catalogue([copy]).points
    assert (point.id, point.instance_id, point.stack) == (f"rp-1-{SOURCE}", f"{SOURCE}/{PLATFORM}", "strongroom")
    assert copy.tags[Tag.SET] == kept(ONE).tags[Tag.SET], "the vault takes it for its own"
    assert copy.tags[Tag.RESTORE] == found.plan.id
    assert copy.tags[Tag.SOURCE_ACCOUNT] == SOURCE
    assert f"- copy snap-1 from account {SOURCE}, unless a copy is here" in found.text
    assert f"account {SOURCE} to {ACCOUNT}" in found.plan.crossed


def test_what_the_vault_has_is_not_copied_again() -> None:
    facts = in_the_vault(*shared(ONE), points=points(kept(ONE)))
    made = planned(preflight(asked(), facts, NOW))
    assert (made.snapshot_id, made.fetch) == ("snap-copy-1", None)


def test_what_the_vault_is_copying_is_waited_for() -> None:
    pending = kept(ONE, state="pending")
    plan = preflight(asked(), in_the_vault(*shared(ONE), points=points(pending)), NOW).plan
    assert plan
    step = next_step(begin(plan, NOW), Observed(fresh(), {}, copies={pending.id: pending}), NOW)
    assert isinstance(step.action, Requeue)
    assert step.reason == f"EC2 is copying snap-1 from account {SOURCE}"


def test_a_recovery_point_with_metadata_that_is_not_shared_yet_is_not_good() -> None:
    found = preflight(asked(recovery_point=CHOICES["id"]), in_the_vault(*shared(ONE, observed=False)), NOW)
    assert codes(found) == ["not-good", "not-completed"]


@pytest.mark.parametrize(("encrypted", "refused"), [(None, []), (False, ["cannot-decrypt"])])
def test_a_vault_encrypts_whatever_it_copies(encrypted: bool | None, refused: list[str]) -> None:
    plain = another(1, volumes=(volume(encrypted=False, kms_key_id=None),), encrypted=False, kms_key_id=None)
    facts = in_the_vault(*shared(plain), encrypt_restored=False)
    found = preflight(asked(volume=VolumeOverrides(encrypted=encrypted), recovery_point=CHOICES["id"]), facts, NOW)
    assert codes(found) == refused
    assert found.draft
    assert (found.draft.volumes[0].encrypted, found.draft.volumes[0].kms_key_id) == (
        (True, VAULT_KEY) if not refused else (False, None)
    )


def test_a_request_may_name_another_key() -> None:
    found = preflight(asked(volume=VolumeOverrides(kms_key_id=KEY_HERE)), in_the_vault(*shared(ONE)), NOW)
    made = planned(found)
    assert made.fetch
    assert (made.kms_key_id, made.fetch.call.kms_key_id) == (KEY_HERE, KEY_HERE)


@pytest.mark.parametrize(
    ("choice", "shares"),
    [
        (RecoveryPointChoice(), {SOURCE, OTHER}),
        (RecoveryPointChoice(snapshot_ids=("snap-1",)), {SOURCE, OTHER}),
        (RecoveryPointChoice(instance_id=PLATFORM), set()),
        (RecoveryPointChoice(instance_id=f"{OTHER}/{PLATFORM}"), {OTHER}),
        (RecoveryPointChoice(lineage=DATA), set()),
        (RecoveryPointChoice(lineage=f"{SOURCE}/{OTHER}/{DATA}"), {SOURCE}),
        (RecoveryPointChoice(id="rp-1"), set()),
        (RecoveryPointChoice(id=f"rp-1-{OTHER}"), {OTHER}),
        (RecoveryPointChoice(id=f"rp-1+2-{SOURCE}+2"), {SOURCE}),
    ],
)
def test_only_accounts_that_may_share_it_are_read(choice: RecoveryPointChoice, shares: set[str]) -> None:
    assert {account for account in (SOURCE, OTHER) if may_be_shared_by(account, choice)} == shares


def test_of_named_snapshots_only_their_own_recovery_points_count() -> None:
    found = shared(ONE, TWO)
    assert [point.id for point in select_named(RecoveryPointChoice(snapshot_ids=("snap-2",)), found)] == [
        f"rp-2-{SOURCE}"
    ]
    assert select_named(RecoveryPointChoice(), found) == found


def test_snapshots_shared_and_here_do_not_go_together() -> None:
    facts = in_the_vault(*shared(TWO), points=points(kept(ONE)), snapshots={"snap-copy-1": kept(ONE)})
    found = preflight(asked(recovery_point=RecoveryPointChoice(snapshot_ids=("snap-copy-1", "snap-2"))), facts, NOW)
    assert f"rp-1-{SOURCE} in {HERE}, rp-2-{SOURCE} in account {SOURCE}" in found.text


def test_an_account_that_could_not_be_read_is_named() -> None:
    found = preflight(
        asked(), in_the_vault(points=points(kept(ONE)), unread_accounts={SOURCE: "AccessDenied: no"}), NOW
    )
    assert codes(found, Severity.WARN) == ["account-not-read"]
    assert f"Snapshots of account {SOURCE} that are not copied yet are not considered" in found.text
    assert "it could not be read: AccessDenied: no" in found.text
    assert found.plan, "what the vault holds can be restored all the same"


def test_a_snapshot_of_an_untrusted_account_is_refused() -> None:
    foreign = replace(another(1), owner_id=OTHER)
    facts = in_the_vault(*(replace(point, region=AWAY) for point in points(foreign)), stack="lifeboat")
    assert "foreign-snapshot" in codes(preflight(asked(), facts, NOW))
