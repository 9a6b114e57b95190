"""The page of the dashboard on an account: the calls that CloudWatch's widget makes, through the real handlers."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from lifeboat.aws import clients, ec2_snapshots
from tests.functions.restores import fresh_platform

CONTEXT = {"widgetContext": {"theme": "dark", "forms": {"all": {"instance": "CadoResponse"}}, "params": {}}}
ACTION = re.compile(r'<cwdb-action action="call" endpoint="[^"]*:lifeboat-([a-z-]+)"([^>]*)>([^<]*)</cwdb-action>')
READS = ("Describe", "Get", "List", "Query")


@pytest.fixture(autouse=True)
def no_locks(monkeypatch):
    """moto knows no locks."""
    monkeypatch.setattr(ec2_snapshots, "_locked", lambda **_: [])


def click(world, function: str, request: dict[str, Any]) -> str:
    """What CloudWatch shows: it sends the request with its context."""
    answer = world.invoke(function.replace("-", "_"), {**request, **CONTEXT})
    assert isinstance(answer, str)
    assert answer.startswith("<style>")
    return answer


def buttons(page: str, field: str) -> list[tuple[str, dict[str, Any], str]]:
    """The buttons whose request has this field: the function, the request, and what is to be confirmed."""
    found = [(name, json.loads(sent), html.unescape(said)) for name, said, sent in ACTION.findall(page)]
    return [item for item in found if field in item[1]]


def back_up(world):
    world.invoke("take_snapshots", {})
    world.invoke("confirm_snapshots", {"sweep": True})


def test_from_a_lost_instance_to_a_restore_in_four_clicks(world):
    lost = world.launch()
    back_up(world)
    world.ec2.terminate_instances(InstanceIds=[lost])
    fresh = fresh_platform(world)
    first = click(world, "show-status", {})
    [(function, request, _)] = [item for item in buttons(first, "instance") if item[1]["instance"] == lost]
    opened = click(world, function, request)  # 1
    [(function, request, confirmation)] = buttons(opened, "dry_run")
    assert (function, request["instance_id"], confirmation) == ("restore-volume", fresh, "")
    plan = click(world, function, request)  # 2
    assert "It is possible. Nothing was changed." in plan
    [(function, request, confirmation)] = buttons(plan, "recovery_point")
    assert "Restore rp-" in confirmation  # 3 and 4: Restore, and the confirmation
    begun = click(world, function, request)
    [(_, followed, _)] = buttons(begun, "status")
    assert click(world, function, request) == begun, "clicked twice, it is one restore"
    assert '<strong aria-current="step">volumes</strong>' in click(world, "restore-volume", followed)
    page = click(world, "show-status", {})
    assert followed["status"] in page
    [(_, cancel, confirmation)] = buttons(page, "cancel")
    assert followed["status"] in confirmation
    assert "It rolls back" in click(world, "restore-volume", cancel)
    assert world.invoke("restore_volume", followed)["direction"] == "rollback"


def test_a_restore_that_was_not_planned_has_no_button(world):
    instance = world.launch()
    back_up(world)
    world.launch(Name="not consenting")
    opened = click(world, "show-status", {"instance": instance})
    assert buttons(opened, "dry_run") == []
    assert "No instance consents to a restore." in opened


def test_an_impossible_plan_says_why_and_restores_nothing(world):
    instance = world.launch()
    back_up(world)
    point = next(iter(world.invoke("show_status", {})["instances"]))["recovery_points"][0]["id"]
    plan = click(world, "restore-volume", {"instance_id": instance, "recovery_point": point, "dry_run": True})
    assert "It is not possible." in plan
    assert "lifeboat:restore-target" in plan
    assert buttons(plan, "recovery_point") == []
    refused = click(world, "restore-volume", {"instance_id": instance, "recovery_point": point})
    assert "Refused:" in refused


def test_back_up_now_takes_a_recovery_point_of_that_instance(world):
    instance = world.launch()
    other = world.launch()
    first = click(world, "show-status", {})
    [request] = [sent for _, sent, _ in buttons(first, "instance_ids") if sent["instance_ids"] == [instance]]
    said = click(world, "take-snapshots", request)
    assert f"-{instance} has begun" in said
    assert len(world.snapshots()) == 1
    assert other not in said


def test_hold_keeps_a_recovery_point_and_does_nothing_else(world):
    instance = world.launch(disks=2)
    back_up(world)
    opened = click(world, "show-status", {"instance": instance})
    [(function, request, confirmation)] = buttons(opened, "hold")
    assert (function, request["hold"] in confirmation) == ("prune-snapshots", True)
    assert "is held now" in click(world, function, request)
    held = [{tag["Key"]: tag["Value"] for tag in item["Tags"]}["lifeboat:hold"] for item in world.snapshots()]
    assert held == ["a viewer of the CloudWatch dashboard"] * 2
    assert buttons(click(world, "show-status", {"instance": instance}), "hold") == []
    assert "is held since before" in click(world, function, request)


def test_the_page_cannot_prune_or_adopt_and_what_it_says_of_it_is_so(world):
    volume = world.volume_of(world.launch(disks=1))
    clients.ec2_writes().create_snapshot(VolumeId=volume)
    before = world.snapshots()
    for request in ({"dry_run": True}, {"request_id": "r"}, {"adopt": {"volume_id": volume}, "confirm": True}):
        assert "the page only holds recovery points" in click(world, "prune-snapshots", request)
        assert world.snapshots() == before


@pytest.mark.parametrize("function", ["take-snapshots", "prune-snapshots", "restore-volume"])
def test_what_a_dashboard_sends_without_a_click_changes_nothing(world, function):
    instance = world.launch(disks=1)
    back_up(world)
    [snapshot] = world.snapshots()
    point = next(tag["Value"] for tag in snapshot["Tags"] if tag["Key"] == "lifeboat:recovery-point")
    own = {
        "take-snapshots": {"request_id": "evil"},
        "prune-snapshots": {"hold": point},
        "restore-volume": {"instance_id": instance, "recovery_point": point},
    }
    for parameters in ({}, own[function]):
        context = {"widgetContext": {**CONTEXT["widgetContext"], "params": parameters}}
        answer = world.invoke(function.replace("-", "_"), {**parameters, **context})
        assert "which a dashboard sends without a click" in html.unescape(str(answer))
        assert world.snapshots() == [snapshot]


def test_the_form_finds_an_instance_by_its_name(world):
    instance = world.launch()
    back_up(world)
    assert buttons(click(world, "show-status", {}), "find")
    assert f"rp-20261128T000000Z-{instance}" in click(world, "show-status", {"find": True})
    world.ec2.create_tags(Resources=[instance], Tags=[{"Key": "Name", "Value": "other"}])
    world.ec2.delete_snapshot(SnapshotId=world.snapshots()[0]["SnapshotId"])
    assert "Refused: " not in click(world, "show-status", {})
    assert "expected the id or the Name of an instance" in click(world, "show-status", {"find": True})


def test_pages_have_each_instance_once_and_a_first_page_of_many_is_small(world):
    instances = world.launch_many(22)
    shown: list[str] = []
    page = click(world, "show-status", {})
    assert len(page.encode()) < 60_000
    while True:
        shown += [sent["instance"] for _, sent, _ in buttons(page, "instance")]
        if not (following := buttons(page, "next")):
            break
        page = click(world, following[0][0], following[0][1])
    assert sorted(shown) == sorted(instances)


def test_the_page_only_reads(world):
    instance = world.launch()
    back_up(world)
    world.messages()
    calls: list[str] = []
    for client in (clients.ec2_reads(), clients.ec2_writes(), clients.dynamodb(), clients.sns(), clients.sqs()):
        client.meta.events.register("before-call.*.*", lambda model, **_: calls.append(model.name))
    click(world, "show-status", {})
    click(world, "show-status", {"instance": instance})
    assert "1 instance is protected." in click(world, "show-status", {"urgent": True})
    assert "DescribeInstances" in calls
    assert [name for name in calls if not name.startswith(READS)] == []
    assert world.messages() == []


def test_the_console_gets_a_description_and_a_program_gets_json(world):
    assert world.invoke("show_status", {"describe": True}).startswith("## Lifeboat")
    assert world.invoke("show_status", {"describe": True, **CONTEXT}).startswith("## Lifeboat")
    assert world.invoke("show_status", {})["stack"] == "lifeboat"


def test_a_function_without_a_page_refuses_the_widget(world):
    assert "widgetContext" in world.invoke("check_ami_owner", CONTEXT)["refused"]
