"""Asking for restores: what is refused, what is called off, and what comes of asking or checking the same moment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lifeboat.restore.machine.history import restore_id
from local import platform
from local.session import ROOT
from tests.e2e.stage import (
    CONSENT,
    DEVICE,
    ZONE,
    Machine,
    Stage,
    events_of,
    id_of,
    tag_list,
    tags_of,
)

WINDOW = 120
"""Seconds: the default of running in the parameter RestoreDeadlines."""


def picture(stage: Stage, machine: Machine) -> dict[str, Any]:
    """All that a restore could change of an instance and its volumes."""
    instance = stage.instance(machine.instance_id)
    return {
        "state": instance["State"]["Name"],
        "launched": instance["LaunchTime"],
        "disks": stage.disks(machine.instance_id),
        "volumes": {
            volume_id: (volume["State"], tags_of(volume))
            for volume_id, volume in stage.volumes().items()
            if volume_id in machine.volumes.values()
        },
        "count": len(stage.volumes()),
    }


def test_a_dry_run_touches_nothing(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    before, published, mark = picture(stage, machine), len(stage.messages()), stage.control.mark()
    answer = stage.restore(machine, point, dry_run=True)
    assert answer["possible"]
    assert machine.volume_id in answer["plan"]
    assert {call["action"] for call in stage.control.calls(mark, service="ec2") if call["status"] == 200} == {
        call["action"]
        for call in stage.control.calls(mark, service="ec2")
        if call["action"].startswith(("Describe", "Get"))
    }
    writes = [call for call in stage.control.calls(mark, service="dynamodb") if call["action"] != "GetItem"]
    assert {call["action"] for call in writes} == {"PutItem"}, "the run by hand, so that its outcome can be asked for"
    assert stage.open_restores() == set()
    stage.control.settle()
    assert (picture(stage, machine), len(stage.messages())) == (before, published)


def refusals(answer: Mapping[str, Any]) -> set[str]:
    return {item["code"] for item in answer["findings"] if item["severity"] == "refuse"}


def test_a_clone_of_the_platform_is_refused(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    original = platform.Platform(machine.instance_id, "", machine.volume_id, DEVICE, ZONE, stage.image)
    clone = platform.clone(stage.aws, original, tags=CONSENT)
    stage.ec2.create_tags(Resources=[clone.data_id], Tags=tag_list(CONSENT))
    target = Machine(clone.instance_id, {clone.device: clone.data_id})
    before, mark = picture(stage, target), stage.control.mark()
    answer = stage.restore(target, point)
    assert refusals(answer) == {"ami-untrusted"}
    assert "nothing was touched" in answer["refused"]
    assert stage.changes(mark) == []
    stage.control.settle()
    assert picture(stage, target) == before
    assert "RestoreRefused" in events_of(stage.published_about(instance_id=clone.instance_id))


def test_an_older_platform_is_refused_unless_a_person_gives_a_reason(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    [target] = stage.launch(image=platform.vendor_image(stage.aws, "2.99.1"))
    mark = stage.control.mark()
    answer = stage.restore(target, point)
    assert refusals(answer) == {"platform-older"}
    assert "'CadoResponse_v2.99.1'" in answer["refused"]
    assert "'CadoResponse_v2.100.0'" in answer["refused"], "the backup recorded the name"
    assert stage.changes(mark) == []
    stage.restore(target, point, ami_override={"reason": "the vendor's advice"})
    assert stage.until_closed(id_of(target))["status"] == "completed"
    [started, completed] = stage.published_about(restore_id=id_of(target))
    assert started["details"]["ami_override"] == completed["details"]["ami_override"] == "the vendor's advice"
    assert any("platform-overridden" in line for line in started["details"]["plan"])


def test_a_target_without_consent_is_refused(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    [target] = stage.launch(tags={}, volume_tags={})
    mark = stage.control.mark()
    answer = stage.restore(target, point)
    assert refusals(answer) == {"no-consent"}
    command = f"--resources {target.instance_id} {target.volume_id} --tags Key=lifeboat:restore-target,Value=true"
    assert command in answer["refused"]
    assert stage.changes(mark) == []
    assert stage.open_restores() == set()


def test_a_right_that_is_missing_shows_in_the_pre_flight(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    [source] = [item for item in stage.recovery_point_snapshots() if item["VolumeId"] == machine.volume_id]
    mark = stage.control.mark()
    refused = {"code": "AuthFailure", "message": "You are not authorized to do this."}
    stage.control.fault("CreateVolume", resource=source["SnapshotId"], dry_run=True, count=0, **refused)
    answer = stage.restore(machine, point, dry_run=True)
    assert not answer["possible"]
    assert refusals(answer) == {"not-allowed"}
    assert refusals(stage.restore(machine, point)) == {"not-allowed"}
    stage.control.reset()
    assert stage.changes(mark) == []
    assert stage.restore(machine, point, dry_run=True)["possible"]


def test_of_two_restores_asked_at_the_same_moment_one_runs(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    requests = ("first", "second")
    with ThreadPoolExecutor(2) as both:
        answers = dict(
            zip(
                requests,
                both.map(lambda name: stage.restore(machine, point, request_id=f"{name} {point}"), requests),
                strict=True,
            )
        )
    [winner] = [name for name, answer in answers.items() if "restore_id" in answer]
    [loser] = set(requests) - {winner}
    ours = restore_id(f"{winner} {point}")
    assert answers[winner]["restore_id"] == ours
    assert ours in answers[loser]["refused"]
    assert stage.open_restores() == {ours}
    assert stage.until_closed(ours)["status"] == "completed"
    assert stage.made_by(restore_id(f"{loser} {point}")) == []
    assert "refused" in stage.invoke("RestoreVolumeFunction", {"status": restore_id(f"{loser} {point}")})


def test_the_same_request_twice_is_one_restore(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    first, second = stage.restore(machine, point), stage.restore(machine, point)
    assert first["restore_id"] == second["restore_id"] == id_of(machine)
    assert stage.until_closed(id_of(machine))["status"] == "completed"
    assert len(stage.made_by(id_of(machine))) == 1
    assert events_of(stage.published_about(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreCompleted"]


def test_waiting_for_a_volume_costs_one_call_a_run(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    mark = stage.control.mark()
    stage.restore(machine, point)
    assert stage.until_closed(id_of(machine))["status"] == "completed"
    calls = stage.control.calls(mark, service="ec2", caller="AttachVolume")
    [detach] = [call for call in calls if call["action"] == "DetachVolume" and "DryRun=true" not in call["request"]]
    [tagged] = [call for call in calls if call["action"] == "CreateTags" and "DryRun=true" not in call["request"]]
    meanwhile = Counter(call["action"] for call in calls if detach["number"] < call["number"] < tagged["number"])
    seconds = tagged["at"] - detach["at"]
    # One observation follows the call, one what has changed; each is a call for volumes and one for the instance.
    assert seconds >= 5
    assert meanwhile == {"DescribeVolumes": 2 * seconds - 1 + 2, "DescribeInstances": 2}


def test_what_no_volume_shows_is_observed_within_seconds(stage: Stage, machine: Machine) -> None:
    # Whether an attachment that EC2 has failed at may be asked for again, only the clock shows; no reconcile run
    # comes here.
    point = stage.point_of(machine)
    stage.control.fault("AttachVolume", "fail", resource=machine.instance_id, code="InternalError")
    mark = stage.control.mark()
    stage.restore(machine, point)
    stage.control.settle()
    stage.control.reset()
    calls = stage.control.calls(mark, action="AttachVolume", caller="AttachVolume")
    [first, second] = [call["at"] for call in calls if "DryRun=true" not in call["request"]]
    assert 15 <= second - first <= 20
    assert stage.until_closed(id_of(machine))["status"] == "completed"


def test_an_event_of_an_instance_without_a_restore_costs_one_read(stage: Stage, machine: Machine) -> None:
    [other] = stage.launch()
    stage.restore(machine, stage.point_of(machine))
    sample = (ROOT / "events/attach_volume/instance-stopped.json").read_text()

    def stopped(instance_id: str) -> dict[str, Any]:
        return stage.invoke("AttachVolumeFunction", json.loads(sample.replace("i-0123456789abcdef0", instance_id)))

    mark = stage.control.mark()
    assert stopped(other.instance_id) == {"restores": {}}
    assert stage.control.counts(mark, caller="AttachVolume") == {"dynamodb:GetItem": 1}
    assert [*stopped(machine.instance_id)["restores"]] == [id_of(machine)]
    assert stage.until_closed(id_of(machine))["status"] == "completed"


def test_cancelled_before_the_stop_all_is_as_it_was(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    before, mark = picture(stage, machine), stage.control.mark()
    stage.control.set_delays(volume=1.0)
    try:
        stage.restore(machine, point)
        answer = stage.invoke("RestoreVolumeFunction", {"cancel": id_of(machine), "reason": "the wrong one"})
        assert answer["direction"] == "rollback"
        record = stage.until_closed(id_of(machine))
    finally:
        stage.control.set_delays(volume=0.2)
    assert (record["status"], record["failure"]) == ("rolled_back", "cancelled: the wrong one")
    assert stage.changes(mark) == ["CreateVolume", "DeleteVolume"]
    assert picture(stage, machine) == before
    assert events_of(stage.published_about(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreRolledBack"]


def test_an_instance_that_a_person_terminates_meanwhile_is_published_as_failed(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    stage.control.set_instance(machine.instance_id, stuck_stopping=True)
    stage.restore(machine, point)
    stage.control.settle()
    assert stage.status(id_of(machine))["step"] == "stop"
    stage.ec2.terminate_instances(InstanceIds=[machine.instance_id])
    record = stage.until_closed(id_of(machine))
    assert record["status"] == "failed"
    [_, published] = stage.published_about(restore_id=id_of(machine))
    assert published["event"] == "RestoreFailed"
    [restored] = stage.made_by(id_of(machine))
    kept = {machine.volume_id, restored}
    assert {stage.volume(volume_id)["State"] for volume_id in kept} == {"available"}
    assert all(any(volume_id in step for step in published["next_steps"]) for volume_id in kept)


def test_one_restore_that_ec2_keeps_waiting_costs_no_other_its_turn(stage: Stage) -> None:
    machines = stage.launch(2)
    snapshots = stage.back_up(*(machine.instance_id for machine in machines))
    with stage.silence():
        for machine in machines:
            stage.restore(machine, tags_of(snapshots[machine.volume_id])["lifeboat:recovery-point"])
        stage.control.settle()
        stage.reconcile()  # both are stopped by now
        stage.control.set_delays(detach=4.0)
        mark = stage.control.mark()
        stage.reconcile()
        stage.control.set_delays(detach=0.1)
        [first, second] = [call["at"] for call in stage.control.calls(mark, action="DetachVolume")]
        assert second - first < 2.0
        for machine in machines:
            assert stage.until_closed(id_of(machine))["status"] == "completed"


def test_a_restore_that_cannot_be_observed_stops_no_other(stage: Stage) -> None:
    # The reconcile run goes by the instances' ids: the first is the one that must not be in the other's way.
    first, second = sorted(stage.launch(2), key=lambda machine: machine.instance_id)
    snapshots = stage.back_up(first.instance_id, second.instance_id)
    refused = {"code": "InvalidInstanceID.NotFound", "count": 0}
    stage.control.fault("DescribeInstanceStatus", resource=first.instance_id, caller="AttachVolume", **refused)
    stage.control.event_fault("drop", count=0)
    for machine in (first, second):
        stage.restore(machine, tags_of(snapshots[machine.volume_id])["lifeboat:recovery-point"])
    assert stage.until_closed(id_of(second))["status"] == "completed"
    assert stage.status(id_of(first))["status"] == "open"
    stage.control.reset()
    assert stage.until_closed(id_of(first))["status"] == "completed"
    failures = [event["responsePayload"]["errorMessage"] for event in stage.failed_events()]
    assert failures  # that is how a person learns of it
    assert all(id_of(first) in text and id_of(second) not in text for text in failures)


def test_an_end_that_cannot_be_published_is_published_later(stage: Stage, machine: Machine) -> None:
    stage.restore(machine, stage.point_of(machine))
    stage.control.fault(
        "Publish",
        "fail",
        service="sns",
        resource=id_of(machine),
        code="InternalFailure",
        count=0,
        caller="AttachVolume",
    )
    stage.reconcile_until(lambda: any(fault["hits"] for fault in stage.control.faults()))
    assert stage.status(id_of(machine))["status"] == "open"
    assert events_of(stage.published_about(restore_id=id_of(machine))) == ["RestoreStarted"]
    stage.control.reset()
    assert [id_of(machine) in str(event["responsePayload"]) for event in stage.failed_events()] == [True]
    assert stage.until_closed(id_of(machine))["status"] == "completed"
    assert events_of(stage.published_about(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreCompleted"]


def test_two_invocations_that_finish_a_restore_at_once_publish_it_once(stage: Stage, machine: Machine) -> None:
    stage.restore(machine, stage.point_of(machine))
    stage.reconcile_until(lambda: stage.status(id_of(machine))["step"] == "verify")
    stage.control.advance(WINDOW + 1)
    number = stage.control.fault(
        "Publish", "delay", service="sns", caller="AttachVolume", resource=id_of(machine), seconds=2.0, count=0
    )
    for _ in range(2):
        stage.control.fire_schedule(stage.outputs["AttachVolumeFunction"])
    stage.control.settle()
    [publish] = [fault for fault in stage.control.faults() if fault["number"] == number]
    stage.control.reset()
    assert publish["hits"] == 1
    assert stage.until_closed(id_of(machine))["status"] == "completed"
    assert events_of(stage.published_about(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreCompleted"]


def test_the_status_is_right_before_during_and_after_a_restore(stage: Stage, machine: Machine) -> None:
    def status(request: Mapping[str, Any]) -> dict[str, Any]:
        answer = stage.invoke("ShowStatusFunction", request)
        assert answer["unread"] == [], "its role may read all that it shows"
        return answer

    def shown() -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
        answer = status({"instance": machine.instance_id})
        [instance] = answer["instances"]
        [lineage] = instance["lineages"]
        return answer["restores"], instance, lineage

    point = stage.point_of(machine)
    mark = stage.control.mark()
    restores, instance, lineage = shown()
    assert (restores, instance["restore"], lineage["volume_id"]) == ([], None, machine.volume_id)
    assert (lineage["newest"], instance["recovery_points"][0]["locked"]) == (point, False)
    assert stage.changes(mark, caller="ShowStatus") == []

    stage.restore(machine, point)
    stage.reconcile_until(lambda: stage.status(id_of(machine))["step"] == "verify")
    [restore], instance, _ = shown()
    assert (restore["restore_id"], restore["step"], instance["restore"]) == (id_of(machine), "verify", id_of(machine))
    assert 0 < restore["step_seconds_left"] <= 20 * 60
    answer = status({})
    assert id_of(machine) in {item["restore_id"] for item in answer["restores"]}
    assert (
        f"The restore {id_of(machine)} onto {machine.instance_id} is at the step verify, forward." in answer["summary"]
    )

    assert stage.until_closed(id_of(machine))["status"] == "completed"
    restores, instance, after = shown()
    assert (restores, instance["restore"]) == ([], None)
    assert (after["lineage"], after["newest"]) == (lineage["lineage"], point)
    assert [after["volume_id"]] == [*stage.made_by(id_of(machine))]
    [ended] = status({"instance": machine.instance_id})["ended_restores"]
    assert (ended["restore_id"], ended["status"], ended["step_seconds_left"]) == (id_of(machine), "completed", None)
    [published] = [item for item in stage.published_about(restore_id=id_of(machine)) if "ended_at" in item["details"]]
    assert ended["next_steps"] == published["next_steps"], "what is to be done after it"
    assert ended["seconds"] == published["details"]["seconds"]
    assert id_of(machine) not in status({})["summary"]
    [listed] = status({"instance": machine.instance_id, "list": True})["recovery_points"]
    assert (listed["id"], listed["condition"]) == (point, "good")


def person(stage: Stage) -> dict[str, str]:
    """The environment of a person whose role may invoke two functions, and nothing else."""
    iam, name = stage.aws.client("iam"), "on-call"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy(trust)))["Role"]["Arn"]
    functions = [
        f"arn:aws:lambda:{stage.region}:{stage.account}:function:{stage.outputs[function]}"
        for function in ("ShowStatusFunction", "RestoreVolumeFunction")
    ]
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": functions}
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy(allowed)))
    keys = stage.aws.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
    return {
        **stage.aws.environment(),
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def policy(statement: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_person_with_the_command_line_restores_a_lost_instance_in_three_commands(stage: Stage) -> None:
    def start(*arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "lifeboat_cli", *arguments]
        return subprocess.Popen(
            command, cwd=ROOT / "cli", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(*arguments: str, environment: Mapping[str, str]) -> tuple[int, str]:
        started = start(*arguments, environment=environment)
        output = "".join(started.communicate())
        return started.returncode, output

    name = "case\u202e\n    -> delete it"
    [lost] = stage.launch(tags={"lifeboat:backup": "true", "Name": name})
    point, on_call = stage.point_of(lost), person(stage)
    stage.ec2.terminate_instances(InstanceIds=[lost.instance_id])
    [fresh] = stage.launch(tags={"lifeboat:backup": "true"}, volume_tags={})

    code, shown = run("status", lost.instance_id, environment=on_call)
    assert (code, point in shown) == (0, True), shown
    assert '"case\\u202e\\n' in shown
    code, refused = run("restore", lost.instance_id, "--onto", fresh.instance_id, "--yes", environment=on_call)
    assert (code, "REFUSE no-consent" in refused) == (1, True), refused

    assert run("consent", fresh.instance_id, "--yes", environment=stage.aws.environment())[0] == 0
    restoring = start("restore", lost.instance_id, "--onto", fresh.instance_id, "--yes", environment=on_call)
    assert restoring.stdout
    lines = []
    while not (lines and lines[-1].endswith("has begun.\n")):
        lines.append(next(restoring.stdout))
    restore = lines[-1].split()[0]
    record = stage.until_closed(restore)
    rest, error = restoring.communicate()
    assert (restoring.returncode, error, record["status"]) == (0, "", "completed")
    assert ", taken " in lines[0]
    assert point in lines[1]
    assert [line for line in rest.splitlines() if line in record["timeline"]] == record["timeline"]
    assert f"    -> Log in to {fresh.instance_id} and check the data." in rest.splitlines()
    assert "    -> delete it" not in [*map(str.rstrip, lines), *rest.splitlines()]

    code, shown = run("status", fresh.instance_id, environment=on_call)
    assert (code, f"{restore} onto {fresh.instance_id}: completed" in shown) == (0, True), shown
    assert run("follow", restore, "--json", environment=on_call) == (0, json.dumps(record, indent=2) + "\n")
    assert stage.failed_events() == []


# --- at the end of all that


def test_no_call_was_denied(stage: Stage) -> None:
    assert stage.denied() == []


def test_no_event_failed_for_good(stage: Stage) -> None:
    assert [json.dumps(event)[:500] for event in stage.failed_events()] == []
