"""lifeboat doctor on a healthy stack, and with one fault at a time: each is named with the remedy that mends it.

The functions have their own rights. A printed command is run as it stands, and then the stack is healthy again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest

from tests.e2e.stage import DEVICE, ZONE, Machine, Stage, staged
from tests.operator_commands import run_command

AWAY = "eu-central-1"
VAULT = "777788889999"
PERSON = "ann@example.com"
NOBODY = "https://example.com/lifeboat"
SCP = (
    "You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/r/f is not "
    "authorized to perform: ec2:{} with an explicit deny in a service control policy."
)
REVERT = "aws cloudformation create-change-set --stack-name lifeboat --change-set-name lifeboat-revert-drift"


@dataclass
class Clinic:
    """A deployed stack with a machine, backed up, shared and copied; and its keys."""

    stage: Stage
    key: str = ""
    spare: str = ""
    machine: Machine = field(init=False)
    kept: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str, region: str | None = None) -> Any:
        return self.stage.aws.client(service, region or self.stage.region)

    @cached_property
    def resources(self) -> dict[str, str]:
        """The names of the stack's parts, by logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName="lifeboat")
        return {
            item["LogicalResourceId"]: item["PhysicalResourceId"]
            for page in pages
            for item in page["StackResourceSummaries"]
        }

    def function(self, name: str) -> str:
        return self.stage.outputs[f"{name}Function"]

    def faults(self, rehearsing: str = "") -> list[dict[str, Any]]:
        """The lines that are not ok: of the check, or of a function's rehearsal."""
        if rehearsing:
            logical = "".join(word.title() for word in rehearsing.split("-"))
            answer = self.stage.invoke(f"{logical}Function", {"rehearse": True})
        else:
            answer = self.stage.invoke("CheckStackFunction", {})
        return [line for line in answer["lines"] if line["level"] != "ok"]

    def run(self, line: str) -> None:
        run_command(line, self.stage.aws.client)


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    parameters = {
        "Schedule": "cron(0 0/2 * * ? *)",
        "CatchUpGraceMinutes": "5",
        "CopyToRegions": AWAY,
        "VaultAccount": VAULT,
        "LargeRuns": "true",
        "Alarms": "all",
        "LockMode": "governance",
        "Verify": "read",
    }
    with staged(parameters) as stage:
        made = Clinic(stage)
        kms = made.client("kms")
        made.key, made.spare = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
        made.client("ec2").enable_ebs_encryption_by_default()
        subscribe_a_person(made)
        [made.machine] = stage.launch(disks={DEVICE: {"VolumeSize": 20, "Encrypted": True, "KmsKeyId": made.key}})
        stage.invoke("TakeSnapshotsFunction", {"catch_up": True})  # notes since when it is selected
        stage.invoke("TakeSnapshotsFunction", {})
        stage.control.settle()
        for seconds in (0, 5100, 120):  # at the end no alarm misses a run of the minute's schedules
            stage.control.advance(seconds)
            for function in ("ConfirmSnapshots", "CopySnapshots", "AttachVolume"):
                stage.reconcile(f"{function}Function")
        yield made


def schedule(clinic: Clinic) -> str:
    return clinic.resources["TakeSnapshotsFunctionSlot"]


def disable_schedule(clinic: Clinic) -> None:
    scheduler = clinic.client("scheduler")
    found = scheduler.get_schedule(Name=schedule(clinic))
    names = ("Name", "ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "Target", "Description")
    clinic.kept["schedule"] = {name: found[name] for name in names}
    scheduler.update_schedule(**clinic.kept["schedule"], State="DISABLED")


def delete_schedule(clinic: Clinic) -> None:
    clinic.client("scheduler").delete_schedule(Name=schedule(clinic))


def rule(clinic: Clinic) -> str:
    return clinic.resources["ConfirmSnapshotsFunctionSnapshot"]


def delete_rule(clinic: Clinic) -> None:
    events = clinic.client("events")
    clinic.kept["rule"] = events.describe_rule(Name=rule(clinic))
    clinic.kept["targets"] = events.list_targets_by_rule(Rule=rule(clinic))["Targets"]
    events.remove_targets(Rule=rule(clinic), Ids=[item["Id"] for item in clinic.kept["targets"]])
    events.delete_rule(Name=rule(clinic))


def make_rule(clinic: Clinic) -> None:
    events = clinic.client("events")
    events.put_rule(Name=rule(clinic), EventPattern=clinic.kept["rule"]["EventPattern"], State="ENABLED")
    events.put_targets(Rule=rule(clinic), Targets=clinic.kept["targets"])


def alarm(clinic: Clinic) -> str:
    return clinic.resources["FailedEventsAlarm"]


def delete_alarm(clinic: Clinic) -> None:
    cloudwatch = clinic.client("cloudwatch")
    clinic.kept["alarm"] = cloudwatch.describe_alarms(AlarmNames=[alarm(clinic)])["MetricAlarms"][0]
    cloudwatch.delete_alarms(AlarmNames=[alarm(clinic)])


def make_alarm(clinic: Clinic) -> None:
    names = ("AlarmName", "AlarmActions", "MetricName", "Namespace", "Dimensions", "Statistic", "Period", "Threshold")
    more = ("EvaluationPeriods", "ComparisonOperator", "TreatMissingData")
    clinic.client("cloudwatch").put_metric_alarm(**{name: clinic.kept["alarm"][name] for name in (*names, *more)})


def reserve(function: str, number: int) -> Callable[[Clinic], None]:
    def plant(clinic: Clinic) -> None:
        clinic.client("lambda").put_function_concurrency(
            FunctionName=clinic.function(function), ReservedConcurrentExecutions=number
        )

    return plant


def reserve_nearly_all(clinic: Clinic) -> None:
    free = clinic.client("lambda").get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    reserve("AttachVolume", free - 5)(clinic)


def unreserve(clinic: Clinic) -> None:
    clinic.client("lambda").delete_function_concurrency(FunctionName=clinic.function("AttachVolume"))


def subscribe_a_person(clinic: Clinic) -> None:
    clinic.client("sns").subscribe(
        TopicArn=clinic.stage.outputs["NotificationTopicArn"], Protocol="email", Endpoint=PERSON
    )


def unselect(clinic: Clinic) -> None:
    clinic.stage.control.set_tags(clinic.machine.instance_id, {"lifeboat:backup": None})


def launch_without_data(clinic: Clinic) -> None:
    ec2 = clinic.client("ec2")
    tag = {"ResourceType": "instance", "Tags": [{"Key": "lifeboat:backup", "Value": "true"}]}
    made = ec2.run_instances(ImageId=clinic.stage.image, MinCount=1, MaxCount=1, TagSpecifications=[tag])
    clinic.kept["other"] = made["Instances"][0]["InstanceId"]
    clinic.stage.control.settle()


def launch_under_aws_ebs(clinic: Clinic) -> None:
    [made] = clinic.stage.launch(tags={"lifeboat:backup": "true"}, volume_tags={})
    clinic.kept["other"] = made.instance_id


def unselect_the_other(clinic: Clinic) -> None:
    clinic.stage.control.set_tags(clinic.kept["other"], {"lifeboat:backup": None})


def attach_plain_volume(clinic: Clinic) -> None:
    ec2 = clinic.client("ec2")
    ec2.disable_ebs_encryption_by_default()
    clinic.kept["plain"] = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    clinic.stage.control.settle()
    ec2.attach_volume(VolumeId=clinic.kept["plain"], InstanceId=clinic.machine.instance_id, Device="/dev/sdp")
    clinic.stage.control.settle()


def detach_plain_volume(clinic: Clinic) -> None:
    clinic.client("ec2").detach_volume(VolumeId=clinic.kept["plain"])
    clinic.stage.control.settle()


def pend(number: int) -> Callable[[Clinic], None]:
    def plant(clinic: Clinic) -> None:
        clinic.stage.control.set_delays(snapshot=float("inf"))
        for _ in range(number):
            clinic.client("ec2").create_snapshot(VolumeId=clinic.machine.volume_id)

    return plant


def copy(clinic: Clinic) -> None:
    [point] = clinic.stage.recovery_point_snapshots()
    clinic.stage.control.set_delays(copy=float("inf"))
    for _ in range(20):
        clinic.client("ec2", AWAY).copy_snapshot(SourceRegion=clinic.stage.region, SourceSnapshotId=point["SnapshotId"])


def finish(clinic: Clinic) -> None:
    clinic.stage.control.finish()
    clinic.stage.control.set_delays(snapshot=90, copy=180)


def unshare(clinic: Clinic, way: str = "remove") -> None:
    [point] = clinic.stage.recovery_point_snapshots()
    clinic.client("ec2").modify_snapshot_attribute(
        SnapshotId=point["SnapshotId"],
        Attribute="createVolumePermission",
        OperationType=way,
        UserIds=[VAULT],
    )


def share(clinic: Clinic) -> None:
    unshare(clinic, "add")


def deny(action: str, message: str = "", **more: Any) -> Callable[[Clinic], None]:
    def plant(clinic: Clinic) -> None:
        said = message or SCP.format(action)
        clinic.stage.control.fault(action, code="UnauthorizedOperation", message=said, count=0, **more)

    return plant


def reset(clinic: Clinic) -> None:
    clinic.stage.control.reset()


@dataclass(frozen=True)
class Fault:
    """How it is planted, and what the check says: the check's name, the level, words of the text, and the remedy.

    The printed commands mend it, unless `mend` does.
    """

    plant: Callable[[Clinic], Any]
    check: str
    level: str
    words: str
    remedy: str
    mend: Callable[[Clinic], Any] | None = None


def on(service: str, call: str, **arguments: Callable[[Clinic], Any]) -> Callable[[Clinic], Any]:
    """A call of the operator's."""
    return lambda clinic: getattr(clinic.client(service), call)(**{key: of(clinic) for key, of in arguments.items()})


FAULTS = {
    "a schedule is disabled": Fault(
        disable_schedule, "schedules", "fail", "TakeSnapshotsFunctionSlot is DISABLED", "aws scheduler update-schedule"
    ),
    "a schedule was deleted": Fault(
        delete_schedule,
        "schedules",
        "fail",
        "TakeSnapshotsFunctionSlot was deleted",
        REVERT,
        lambda clinic: clinic.client("scheduler").create_schedule(**clinic.kept["schedule"]),
    ),
    "a rule is disabled": Fault(
        on("events", "disable_rule", Name=rule), "rules", "fail", "is DISABLED", "aws events enable-rule --name"
    ),
    "a rule was deleted": Fault(delete_rule, "rules", "fail", "was deleted", REVERT, make_rule),
    "nothing polls the work queue": Fault(
        on(
            "lambda",
            "update_event_source_mapping",
            UUID=lambda clinic: clinic.resources["SnapshotWorkers"],
            Enabled=lambda _: False,
        ),
        "polling",
        "fail",
        "SnapshotWorkers is DIS",
        "aws lambda update-event-source-mapping --uuid",
    ),
    "nobody gets the messages": Fault(
        lambda clinic: _drop(clinic, PERSON),
        "subscriptions",
        "warn",
        "No person gets the messages",
        "--protocol email --notification-endpoint YOU@EXAMPLE.COM",
        subscribe_a_person,
    ),
    "an alarm is raised": Fault(
        on(
            "cloudwatch",
            "set_alarm_state",
            AlarmName=alarm,
            StateValue=lambda _: "ALARM",
            StateReason=lambda _: "the test",
        ),
        "alarms",
        "fail",
        "is raised: the test",
        "docs/guide/operate.md",
        on(
            "cloudwatch",
            "set_alarm_state",
            AlarmName=alarm,
            StateValue=lambda _: "OK",
            StateReason=lambda _: "the test",
        ),
    ),
    "an alarm notifies nobody": Fault(
        on("cloudwatch", "disable_alarm_actions", AlarmNames=lambda clinic: [alarm(clinic)]),
        "alarms",
        "warn",
        "notifies nobody",
        "aws cloudwatch enable-alarm-actions --alarm-names",
    ),
    "an alarm was deleted": Fault(delete_alarm, "alarms", "fail", "was deleted", REVERT, make_alarm),
    "an event failed for good": Fault(
        on(
            "sqs",
            "send_message",
            QueueUrl=lambda clinic: clinic.stage.outputs["FailedEventsUrl"],
            MessageBody=lambda _: "{}",
        ),
        "failed_events",
        "fail",
        "1 event failed for good",
        "lifeboat failed --stack lifeboat --region eu-west-1",
        lambda clinic: clinic.stage.failed_events(),
    ),
    "a function never runs": Fault(
        reserve("PruneSnapshots", 0), "functions", "fail", "never runs", "aws lambda delete-function-concurrency"
    ),
    "Lambda's concurrency is reserved by others": Fault(
        reserve_nearly_all,
        "concurrency",
        "warn",
        "Lambda runs 5 executions at once that nobody reserved",
        "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384",
        unreserve,
    ),
    "the table may be deleted": Fault(
        on(
            "dynamodb",
            "update_table",
            TableName=lambda clinic: clinic.stage.outputs["StateTableName"],
            DeletionProtectionEnabled=lambda _: False,
        ),
        "table",
        "warn",
        "has no deletion protection",
        "aws dynamodb update-table --table-name",
    ),
    "nothing is selected": Fault(
        unselect,
        "selection",
        "fail",
        "No instance has the tag lifeboat:backup=true",
        "aws ec2 create-tags --resources INSTANCE_ID",
        lambda clinic: clinic.stage.control.set_tags(clinic.machine.instance_id, {"lifeboat:backup": "true"}),
    ),
    "a selected instance has no data volume": Fault(
        launch_without_data, "selection", "fail", "has no data volume", "Attach a data volume", unselect_the_other
    ),
    "a volume's key is disabled": Fault(
        on("kms", "disable_key", KeyId=lambda clinic: clinic.key), "keys", "fail", "is disabled", "aws kms enable-key"
    ),
    "a volume's key will be deleted": Fault(
        on("kms", "schedule_key_deletion", KeyId=lambda clinic: clinic.key),
        "keys",
        "fail",
        "KMS will delete the key",
        "aws kms cancel-key-deletion",
    ),
    "a volume is under aws/ebs, and there is a vault": Fault(
        launch_under_aws_ebs, "vault", "fail", "Encrypted with aws/ebs", "docs/guide/migrate.md", unselect_the_other
    ),
    "the default key is disabled": Fault(
        lambda clinic: (
            clinic.client("ec2").modify_ebs_default_kms_key_id(KmsKeyId=clinic.spare),
            clinic.client("kms").disable_key(KeyId=clinic.spare),
        ),
        "encryption",
        "fail",
        "The default key of EBS",
        "aws kms enable-key",
    ),
    "a data volume is not encrypted": Fault(
        attach_plain_volume,
        "encryption",
        "warn",
        "Not encrypted, and so are their snapshots: vol-",
        "aws ec2 enable-ebs-encryption-by-default",
        detach_plain_volume,
    ),
    "others snapshot a volume all the time": Fault(
        pend(5),
        "snapshots_per_volume",
        "warn",
        "EC2 takes no further snapshot now of vol-",
        "aws ec2 describe-snapshots --owner-ids self",
        finish,
    ),
    "too many copies are in flight": Fault(
        copy, "copies_in_flight", "warn", f"20 copies to {AWAY} in flight", "ask AWS Support", finish
    ),
    "the account has not enabled a region": Fault(
        lambda clinic: clinic.stage.control.fault(
            "DescribeSnapshots",
            nth=4,
            code="OptInRequired",
            message="You are not subscribed to this service.",
            caller="check-stack",
        ),
        "regions",
        "fail",
        f"The region {AWAY} of CopyToRegions cannot be used",
        f"aws account enable-region --region-name {AWAY}",
        reset,
    ),
    "a recovery point is not shared": Fault(
        unshare, "vault", "fail", f"Not shared with the vault {VAULT}: snap-", "CopySnapshotsFunction", share
    ),
    "a service control policy denies backups": Fault(
        deny("CreateSnapshots", dry_run=True),
        "rehearsal",
        "fail",
        "take-snapshots may not call CreateSnapshots on i-",
        "aws organizations list-policies-for-target --target-id 111122223333 --filter SERVICE_CONTROL_POLICY",
        reset,
    ),
    "a service control policy denies copies": Fault(
        deny("CopySnapshot", dry_run=True),
        "rehearsal",
        "fail",
        "copy-snapshots may not call CopySnapshot on snap-",
        "Let the organisation's administrator allow CopySnapshot",
        reset,
    ),
    "a service control policy denies restores": Fault(
        deny("CreateVolume", dry_run=True, caller="restore-volume"),
        "rehearsal",
        "fail",
        "restore-volume may not call CreateVolume on snap-",
        "Let the organisation's administrator allow CreateVolume",
        reset,
    ),
    "a boundary denies retention": Fault(
        deny("DeleteSnapshot", "You are not authorized to perform this operation.", dry_run=True),
        "rehearsal",
        "fail",
        "prune-snapshots may not call DeleteSnapshot on snap-",
        "a permissions boundary",
        reset,
    ),
    "a boundary denies locks": Fault(
        deny("LockSnapshot", "You are not authorized to perform this operation.", dry_run=True),
        "rehearsal",
        "fail",
        "confirm-snapshots may not call LockSnapshot",
        "a permissions boundary",
        reset,
    ),
    "the check may not see the alarms": Fault(
        lambda clinic: clinic.stage.control.fault(
            "DescribeAlarms", service="cloudwatch", code="AccessDenied", message="no", count=0
        ),
        "alarms",
        "warn",
        "not seen, so it is not judged",
        "Find the policy that denies it",
        reset,
    ),
}


def _drop(clinic: Clinic, endpoint: str) -> None:
    sns = clinic.client("sns")
    topic = clinic.stage.outputs["NotificationTopicArn"]
    for item in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        if item["Endpoint"] == endpoint:
            with suppress(sns.exceptions.ClientError):
                sns.unsubscribe(SubscriptionArn=item["SubscriptionArn"])


def test_a_healthy_stack_has_no_fault(clinic: Clinic) -> None:
    answer = clinic.stage.invoke("CheckStackFunction", {})
    assert [line for line in answer["lines"] if line["level"] != "ok"] == []
    assert len(answer["rehearse"]) == 8
    for name in answer["rehearse"]:
        assert clinic.faults(name) == [], name


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_the_remedy_that_mends_it(clinic: Clinic, name: str) -> None:
    fault = FAULTS[name]
    fault.plant(clinic)
    rehearsing = fault.words.split()[0] if fault.check == "rehearsal" else ""
    [line] = clinic.faults(rehearsing)
    assert (line["check"], line["level"], fault.words in line["text"]) == (fault.check, fault.level, True), line
    assert fault.remedy in "\n".join([*line["commands"], line["advice"]]), line
    if fault.mend:  # the next test, or the last one, shows that it has mended
        fault.mend(clinic)
        return
    assert line["commands"]
    for command in line["commands"]:
        clinic.run(command)
    assert clinic.faults(rehearsing) == []


def test_when_all_faults_are_mended_the_stack_is_healthy(clinic: Clinic) -> None:
    assert clinic.faults() == []
    assert clinic.faults("confirm-snapshots") == []


def test_the_day_after_a_deployment_the_check_is_published_once(clinic: Clinic) -> None:
    stage = clinic.stage
    for after, events in ((1, []), (13, ["StackChecked"]), (14, ["StackChecked"]), (40, ["StackChecked"])):
        at = stage.now() + timedelta(hours=after)
        stage.invoke("CheckStackFunction", {"scheduled_time": at.strftime("%Y-%m-%dT%H:%M:%SZ")})
        found = [message for message in stage.messages() if message["event"] == "StackChecked"]
        assert [message["event"] for message in found] == events, after
    assert (found[0]["severity"], found[0]["details"]["fail"]) == ("info", 0)


def test_a_deleted_subscription_of_a_function_is_named(clinic: Clinic) -> None:
    arn = clinic.resources["PruneSnapshotsFunctionBackupCompleted"]
    clinic.client("sns").unsubscribe(SubscriptionArn=arn)
    [line] = clinic.faults()
    assert (line["check"], line["level"]) == ("subscriptions", "fail")
    assert line["text"] == "The subscription PruneSnapshotsFunctionBackupCompleted was deleted"
    assert line["commands"][0].startswith(REVERT)


def test_a_subscription_that_nobody_confirmed_is_named(clinic: Clinic) -> None:
    topic = clinic.stage.outputs["NotificationTopicArn"]
    clinic.client("sns").subscribe(TopicArn=topic, Protocol="https", Endpoint=NOBODY)
    [line] = [line for line in clinic.faults() if "was deleted" not in line["text"]]
    assert (line["check"], line["level"]) == ("subscriptions", "fail")
    assert line["text"].startswith(f"Nobody confirmed the subscription of {NOBODY}")
    assert f"--protocol https --notification-endpoint {NOBODY}" in line["commands"][0]


def test_an_overdue_backup_is_named(clinic: Clinic) -> None:
    clinic.stage.control.advance(3 * 3600)
    for function in ("ConfirmSnapshots", "CopySnapshots", "AttachVolume"):
        clinic.stage.reconcile(f"{function}Function")
    [line] = [line for line in clinic.faults() if line["check"] == "backups"]
    assert line["level"] == "fail"
    assert f"or later of {clinic.machine.instance_id}" in line["text"]
    assert line["commands"] == ["lifeboat backup --all --stack lifeboat --region eu-west-1"]


def test_the_commands_of_the_coverage_report_close_its_gaps(clinic: Clinic) -> None:
    [forgotten] = clinic.stage.launch(disks={DEVICE: {"VolumeSize": 20, "Encrypted": True, "KmsKeyId": clinic.key}})
    clinic.stage.control.set_tags(forgotten.instance_id, {"lifeboat:backup": None})

    def gaps() -> list[dict[str, Any]]:
        answer = clinic.stage.invoke("CheckStackFunction", {"coverage": True})
        return [line for line in answer["lines"] if line["level"] != "ok"]

    tag = {"Key": "Cado", "Value": "CadoResponse"}
    files = clinic.client("efs").create_file_system(CreationToken="platform", Tags=[tag])["FileSystemId"]
    [selection] = [line for line in gaps() if forgotten.instance_id in line["text"]]
    [file_system] = [line for line in gaps() if line["check"] == "file_systems"]
    text = f"{forgotten.instance_id} has data volumes, and this stack does not back it up"
    assert selection["text"].startswith(text)
    assert file_system["text"].startswith(f"{files} is a file system of the platform")
    for line in (selection, file_system):
        [command] = line["commands"]
        clinic.run(command)
    # An instance of another test may be without the tag, too.
    [line] = [line for line in gaps() if line["check"] != "selection"]
    assert not any(line["text"].startswith(text) for line in gaps())
    assert (line["check"], line["commands"][0].split()[:2]) == ("proofs", ["lifeboat", "backup"])
