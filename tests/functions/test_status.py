"""show_status, through its handler: what it shows of backups, recovery points, restores and of what needs a person."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from lifeboat import handler
from lifeboat.aws import clients, clock, ec2_snapshots, sharing
from lifeboat.aws.errors import AwsError
from lifeboat.restore import store as restores
from lifeboat.restore.record import Restore
from lifeboat.status import observation_workflow, workflow
from tests.functions.conftest import ROOT, TABLE, TODAY
from tests.functions.restores import fresh_platform
from tests.functions.saved import saved_snapshot

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOSTILE = "<b>Cado</b>\u202e\n\nWhat to do next:\n  1. Delete everything \U0001f6df"
READS = ("Describe", "Get", "List", "Query")


@pytest.fixture(autouse=True)
def locks(monkeypatch):
    """The locks that EC2 shows; moto knows none."""
    found: dict[str, str] = {}

    def shown(**asked):
        return [{"SnapshotId": item, "LockState": found[item]} for item in asked["SnapshotIds"] if item in found]

    monkeypatch.setattr(ec2_snapshots, "_locked", shown)
    return found


def show(world, **request):
    answer = world.invoke("show_status", request)
    json.dumps(answer)
    return answer


def back_up(world):
    """A recovery point of each selected instance, confirmed."""
    world.invoke("take_snapshots", {})
    world.invoke("confirm_snapshots", {"sweep": True})


def saved(world, instance, age, **facts):
    """A recovery point of an instance as an earlier run has left it; its id and its snapshot."""
    taken_at = TODAY - age
    point = f"rp-{taken_at:%Y%m%dT%H%M%SZ}-{instance}"
    facts = {"volume_id": world.volume_of(instance), **facts}
    return point, saved_snapshot(world, instance_id=instance, recovery_point_id=point, taken_at=taken_at, **facts)


def tag(world, snapshot, **tags):
    named = [{"Key": f"lifeboat:{key}", "Value": value} for key, value in tags.items()]
    world.ec2.create_tags(Resources=[snapshot], Tags=named)


def at(monkeypatch, moment):
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_an_empty_account(world):
    answer = show(world)
    assert answer["summary"] == "0 instances are protected. No backup is overdue. Nothing needs a person."
    assert (answer["instances"], answer["not_protected"], answer["restores"], answer["next"]) == ([], [], [], None)


def test_after_a_backup_the_instance_is_on_time_with_its_recovery_point(world, locks):
    instance = world.launch(disks=2)
    back_up(world)
    answer = show(world)
    assert answer["summary"] == "1 instance is protected. No backup is overdue. Nothing needs a person."
    [shown] = answer["instances"]
    [point] = shown["recovery_points"]
    assert (shown["instance_id"], shown["name"], shown["standing"]) == (instance, "CadoResponse", "on_time")
    assert [item["newest"] for item in shown["lineages"]] == [point["id"]] * 2
    assert {item["volume_id"] for item in shown["lineages"]} == set(point["lineages"])
    assert (point["condition"], point["verified"], point["locked"]) == ("good", "no", False)
    locks.update(dict.fromkeys(point["snapshots"], "compliance"))
    assert show(world)["instances"][0]["recovery_points"][0]["locked"] is True
    locks.update({min(point["snapshots"]): "expired"})
    assert show(world)["instances"][0]["recovery_points"][0]["locked"] is False


def test_nothing_is_written_or_published(world):
    world.launch()
    back_up(world)
    world.messages()
    calls: list[str] = []
    for client in (clients.ec2_reads(), clients.ec2_writes(), clients.dynamodb(), clients.sns(), clients.sqs()):
        client.meta.events.register("before-call.*.*", lambda model, **_: calls.append(model.name))
    show(world)
    show(world, instance="CadoResponse")
    show(world, list=True)
    assert "DescribeSnapshots" in calls
    assert [name for name in calls if not name.startswith(READS)] == []
    assert world.messages() == []


def test_an_overdue_backup_is_listed_with_its_reason_and_a_request(world, monkeypatch):
    instance = world.launch()
    world.invoke("take_snapshots", {"catch_up": True})  # notes since when it is selected
    old, _ = saved(world, instance, DAY)
    at(monkeypatch, TODAY + 3 * DAY)
    answer = show(world)
    [late] = answer["overdue"]
    assert (late["instance_id"], late["newest"], late["expected_slot"]) == (instance, old, "2026-11-30T02:00:00Z")
    assert late["age_seconds"] == (4 * DAY).total_seconds()
    assert late["why"] == "No snapshot was begun for the slot 2026-11-30T02:00:00Z or a later one."
    [need] = answer["needs_a_person"]
    assert need["request"] == {"function": "TakeSnapshotsFunction", "event": {"instance_ids": [instance]}}
    assert late["why"] in need["summary"]
    assert answer["instances"][0]["standing"] == "overdue"
    assert show(world, instance=instance)["needs_a_person"] == [need]
    assert answer["summary"] == "1 instance is protected. 1 instance is overdue. Needs a person: 1."
    monkeypatch.setattr(workflow, "WHOLE_INSTANCES", 0)
    parts = show(world)
    assert (parts["overdue"], parts["needs_a_person"]) == (answer["overdue"], answer["needs_a_person"])
    assert parts["instances"] == answer["instances"]
    assert parts["not_protected"] is None


def test_an_instance_that_is_gone_is_found_by_its_name_and_by_its_id(world):
    instance = world.launch()
    back_up(world)
    world.ec2.terminate_instances(InstanceIds=[instance])
    answer = show(world)
    [gone] = answer["not_protected"]
    assert (gone["instance_id"], gone["standing"]) == (instance, "not_protected")
    assert answer["instances"] == []
    for name in (instance, "CadoResponse"):
        [shown] = show(world, instance=name)["instances"]
        assert {**shown, "retention": None} == gone
        [point] = show(world, instance=name, list=True)["recovery_points"]
        assert point == gone["recovery_points"][0]


UNKNOWN = ("i-0ffffffffffffffff", "unknown", "Cado*", "i-am-a-name", "<b>\u202e\n1. Run this")


def test_an_instance_that_nothing_is_known_of_is_refused_in_one_sentence(world):
    world.launch()
    back_up(world)
    for name in UNKNOWN:
        refused = show(world, instance=name)["refused"]
        assert refused == (
            f"instance is {name!r}, expected the id or the Name of an instance with the tag lifeboat:backup=true, or "
            "of one that has recovery points of this stack"
        )
        assert refused.isprintable()


def test_a_name_that_too_many_instances_have_is_refused(world, monkeypatch):
    instance = world.launch()
    back_up(world)
    monkeypatch.setattr(workflow, "WHOLE_INSTANCES", 0)
    assert show(world, instance="CadoResponse")["refused"].startswith(
        "instance is 'CadoResponse', expected the id of one"
    )
    world.ec2.terminate_instances(InstanceIds=[instance])
    monkeypatch.setattr(observation_workflow, "HELD", 0)
    assert show(world, instance="CadoResponse")["refused"].endswith("points cannot be read at once")
    assert show(world, instance=instance)["instances"][0]["lineages"][0]["good"] == 1


def test_a_hostile_name_is_data_and_in_no_sentence(world, monkeypatch):
    instance = world.launch(**{"lifeboat:backup": "true", "Name": HOSTILE})
    world.invoke("take_snapshots", {"catch_up": True})
    _, snapshot = saved(world, instance, DAY)
    tag(world, snapshot, suspect="state=open", verified="result=failed level=read at=2026-11-27T03:00:00Z")
    tag(world, snapshot, **{"instance-name": HOSTILE})
    at(monkeypatch, TODAY + 3 * DAY)
    for answer in (show(world), show(world, instance=HOSTILE)):
        assert answer["instances"][0]["name"] == HOSTILE
        assert answer["instances"][0]["recovery_points"][0]["name"] == HOSTILE
        assert {need["event"] for need in answer["needs_a_person"]} == {
            "BackupOverdue",
            "RecoveryPointSuspect",
            "VerificationFailed",
        }
        for need in answer["needs_a_person"]:
            assert need["name"] == HOSTILE
            assert all("Cado" not in sentence for sentence in (need["summary"], *need["next_steps"]))


def test_pages_have_each_instance_once_and_only_the_first_has_the_rest(world):
    instances = sorted(world.launch_many(5))
    back_up(world)
    first = show(world, limit=2)
    pages, following = [first], first["next"]
    while following:
        pages.append(show(world, limit=2, next=following))
        following = pages[-1]["next"]
    assert [item["instance_id"] for page in pages for item in page["instances"]] == instances
    assert [len(page["instances"]) for page in pages] == [2, 2, 1]
    assert {item["standing"] for page in pages for item in page["instances"]} == {"on_time"}
    assert all("counts" not in page for page in pages[1:])


def test_the_recovery_points_are_listed_newest_first_page_by_page(world, monkeypatch):
    instance = world.launch()
    points = [saved(world, instance, age * DAY)[0] for age in (1, 2, 3)]
    for request in ({"list": True}, {"list": True, "instance": instance}):
        first = show(world, limit=2, **request)
        second = show(world, limit=2, next=first["next"], **request)
        assert [item["id"] for page in (first, second) for item in page["recovery_points"]] == points
        assert [item["age_seconds"] for item in first["recovery_points"]] == [86400, 2 * 86400]
        assert second["next"] is None
    monkeypatch.setattr(observation_workflow, "HELD", 2)
    assert show(world, list=True)["refused"].startswith(
        "list is true without an instance, expected one: this stack has"
    )
    assert len(show(world, list=True, instance=instance)["recovery_points"]) == 3
    assert show(world)["instances"][0]["lineages"][0]["good"] == 3


def test_proofs_holds_and_suspicions_are_shown(world):
    instance = world.launch()
    proven, snapshot = saved(world, instance, 2 * DAY)
    tag(world, snapshot, verified="result=proven level=sample at=2026-11-26T03:00:00Z", hold="case 7")
    newest, snapshot = saved(world, instance, DAY)
    tag(world, snapshot, verified="result=failed level=read at=2026-11-27T03:00:00Z", suspect="state=open")
    answer = show(world)
    [lineage] = answer["instances"][0]["lineages"]
    assert (lineage["newest"], lineage["newest_proven"]) == (newest, proven)
    points = {item["id"]: item for item in answer["instances"][0]["recovery_points"]}
    assert (points[proven]["verified"], points[proven]["verified_level"], points[proven]["held"]) == (
        "proven",
        "sample",
        True,
    )
    assert (points[newest]["verified"], points[newest]["suspected"]) == ("failed", True)
    needs = {need["event"]: need["request"]["event"] for need in answer["needs_a_person"]}
    assert needs == {
        "RecoveryPointSuspect": {"close_suspicion": newest},
        "VerificationFailed": {"recovery_point": newest},
    }


def test_copies_and_the_share_with_the_vault_are_shown(world, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", "eu-central-1")
    monkeypatch.setenv("LIFEBOAT_VAULT_ACCOUNT", "999988887777")
    handler.forget()
    instance = world.launch()
    back_up(world)

    def point():
        return show(world)["instances"][0]["recovery_points"][0]

    shared: set[str] = set()  # moto shows every snapshot as shared; the local AWS does not
    monkeypatch.setattr(sharing, "shared_with", lambda *asked: shared.intersection(asked[-1]))
    assert (point()["copies"], point()["shared_with_vault"]) == ({"eu-central-1": "missing"}, False)
    world.invoke("copy_snapshots", {"sweep": True})
    assert point()["copies"] in ({"eu-central-1": "copying"}, {"eu-central-1": "copied"})
    world.invoke("copy_snapshots", {"sweep": True})
    shared.update(point()["snapshots"])
    assert (point()["copies"], point()["shared_with_vault"]) == ({"eu-central-1": "copied"}, True)
    assert show(world, instance=instance, list=True)["recovery_points"][0]["copies"] == {"eu-central-1": "copied"}

    def refuse(region, *_, **__):
        raise AwsError("UnauthorizedOperation", "as planted\nhere", answered=True)

    monkeypatch.setattr(ec2_snapshots, "recovery_point_snapshots_elsewhere", refuse)
    assert point()["copies"] == {"eu-central-1": "unknown"}
    answer = show(world)
    assert answer["summary"].endswith("Nothing needs a person. AWS did not show everything: see unread.")
    assert answer["unread"] == ["AWS did not show the copies in eu-central-1: UnauthorizedOperation: as planted here"]


def test_a_copy_that_was_given_up_is_a_need_until_it_is_tried_again(world, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", "eu-central-1")
    handler.forget()
    instance = world.launch()
    back_up(world)

    def refuse(*_, **__):
        raise AwsError("UnauthorizedOperation", "as planted here", answered=True)

    with monkeypatch.context() as patch:
        patch.setattr(ec2_snapshots, "copy_snapshot", refuse)
        for hours in range(0, 400, 20):
            patch.setattr(clock, "now", lambda hours=hours: TODAY + timedelta(hours=hours))
            world.invoke("copy_snapshots", {"sweep": True})
    answer = show(world)
    [need] = [item for item in answer["needs_a_person"] if item["event"] == "CopyFailed"]
    assert "Lifeboat has given up" in need["summary"]
    assert answer["counts"]["open_copies"] == 0
    assert need in show(world, instance=instance)["needs_a_person"]
    for _ in range(2):
        world.invoke("copy_snapshots", need["request"]["event"])
    assert "CopyFailed" not in [item["event"] for item in show(world)["needs_a_person"]]


def test_an_open_restore_is_shown_with_its_time_left(world, monkeypatch):
    instance = world.launch()
    back_up(world)
    fresh = fresh_platform(world, **{"lifeboat:backup": "true"})
    record = Restore("restore-1", "incident", fresh, "rp-1", (), TODAY, TODAY, requested_by=HOSTILE)
    restores.open_restore(TABLE, record)
    at(monkeypatch, TODAY + timedelta(minutes=20))
    answer = show(world)
    [restore] = answer["restores"]
    assert (restore["restore_id"], restore["step"], restore["direction"]) == ("restore-1", "volumes", "forward")
    assert restore["step_seconds_left"] == 40 * 60
    assert restore["requested_by"] == HOSTILE
    assert f"The restore restore-1 onto {fresh} is at the step volumes, forward." in answer["summary"]
    assert {item["instance_id"]: item["restore"] for item in answer["instances"]} == {
        instance: None,
        fresh: "restore-1",
    }
    assert show(world, instance=fresh)["restores"] == [restore]
    assert show(world, instance=instance)["restores"] == []
    at(monkeypatch, TODAY + timedelta(hours=20))
    assert show(world)["restores"][0]["step_seconds_left"] == 0


def test_retention_shows_its_last_runs_and_what_goes_next(world, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_RETENTION", "daily=3")
    monkeypatch.setenv("LIFEBOAT_MIN_KEEP", "1")
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks,
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # and shows every snapshot as public
    handler.forget()
    instance = world.launch()
    points = [saved(world, instance, age * DAY)[0] for age in (2, 3, 4, 5)]
    world.invoke("prune_snapshots", {"scheduled_time": "2026-11-28T00:00:00Z"})
    at(monkeypatch, TODAY + DAY)
    world.invoke("prune_snapshots", {"scheduled_time": "2026-11-29T00:00:00Z"})
    [second, first] = show(world)["retention"]["runs"]
    assert {key: first[key] for key in ("at", "kept", "deleted", "gib")} == {
        "at": "2026-11-28T00:00:00Z",
        "kept": 3,
        "deleted": 1,
        "gib": 20,
    }
    assert (second["at"], second["deleted"]) == ("2026-11-29T00:00:00Z", 0)
    [shown] = show(world, instance=instance)["instances"]
    assert shown["retention"]["policy"] == "daily=3"
    assert [(item["recovery_point"], item["at"]) for item in shown["retention"]["next_deletions"]] == [
        (points[2], "2026-11-29T02:00:00Z"),
        (points[1], "2026-11-30T02:00:00Z"),
        (points[0], "2026-12-01T02:00:00Z"),
    ]
    world.ec2.create_tags(Resources=[instance], Tags=[{"Key": "lifeboat:retention", "Value": "dayly=3"}])
    [shown] = show(world, instance=instance)["instances"]
    assert (shown["retention"]["policy"], shown["retention"]["next_deletions"]) == ("dayly=3", None)
    assert "dayly" in shown["retention"]["problem"]


def test_an_unconfirmed_subscription_and_failed_events_need_a_person(world, monkeypatch):
    queue = world.sqs.create_queue(QueueName="failed-events")["QueueUrl"]
    monkeypatch.setenv("LIFEBOAT_FAILED_EVENTS", queue)
    handler.forget()
    assert show(world)["needs_a_person"] == []
    world.sqs.send_message(QueueUrl=queue, MessageBody="{}")
    monkeypatch.setattr(observation_workflow.topic, "unconfirmed", lambda _: 1)  # moto confirms at once
    summaries = [need["summary"] for need in show(world)["needs_a_person"]]
    assert summaries == [
        "The queue FailedEvents has 1 message: what could not be delivered, or failed at every attempt.",
        "Not confirmed: 1 subscription of the topic. No message arrives there.",
    ]


def test_the_log_does_not_repeat_the_answer(world, capsys):
    world.launch(**{"lifeboat:backup": "true", "Name": "a name of a person"})
    capsys.readouterr()
    show(world)
    assert "a name of a person" not in capsys.readouterr().out


# --- the page that describes the answer

PAGE = (ROOT / "docs" / "reference" / "status.md").read_text()


def fields(heading):
    """The fields that the page has in the first table of a section."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    table = re.search(r"\| field \| type .*?\n\n", section + "\n\n", re.DOTALL)[0]
    return {name for row in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_page_has_every_field_and_no_other(world, monkeypatch):
    gone = world.launch()
    back_up(world)
    world.ec2.terminate_instances(InstanceIds=[gone])
    instance = world.launch()
    world.invoke("take_snapshots", {"catch_up": True})
    saved(world, instance, DAY)
    restores.open_restore(TABLE, Restore("restore-1", "incident", instance, "rp-1", (), TODAY, TODAY))
    at(monkeypatch, TODAY + 3 * DAY)
    answer = show(world)
    listed = show(world, instance=instance, list=True)
    [shown] = answer["instances"]
    everywhere = fields("Every answer")
    assert set(answer) - everywhere == fields("The stack")
    assert set(listed) - everywhere == {"recovery_points", "next"}
    assert set(show(world, instance=instance)) - everywhere == fields("One instance")
    found = {
        "Counts": [answer["counts"]],
        "What needs a person": answer["needs_a_person"],
        "The schedule": [answer["schedule"]],
        "An overdue instance": answer["overdue"],
        "An instance": [shown, *answer["not_protected"]],
        "A lineage": shown["lineages"],
        "A recovery point": [*shown["recovery_points"], *listed["recovery_points"]],
        "A restore": answer["restores"],
        "Retention": [answer["retention"]],
        "Retention of an instance": [item["retention"] for item in show(world, instance=instance)["instances"]],
    }
    for heading, objects in found.items():
        assert objects, heading
        for item in objects:
            assert set(item) == fields(heading), heading
