"""The template's contract: what invokes each function, where failures go, and what each function may do."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from bench import restore_memory
from bench.large_run_memory import MEMORY_SIZE
from lifeboat.ami import verdict as ami
from lifeboat.backup import large_run
from lifeboat.backup import workflow as backup
from lifeboat.doctor.machinery import OFF_WITH
from lifeboat.domain.image import ImageEvidence
from lifeboat.evidence import manifest
from lifeboat.verify import manifest_store, missed_workflow
from tools.docs_template import function_statements, read_template, resource_statements

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "template.yaml").read_text()
SAMPLES = ROOT / "tests" / "fixtures" / "events"

TEMPLATE = read_template(TEXT)
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
GLOBALS = TEMPLATE["Globals"]["Function"]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: item["Properties"] for name, item in RESOURCES.items() if item["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
EVENTS = [
    (function, name, event["Type"], event["Properties"])
    for function, properties in FUNCTIONS.items()
    for name, event in properties.get("Events", {}).items()
]
FAILED = {"Fn::GetAtt": "FailedEvents.Arn"}


def events_of(kind: str) -> list[Any]:
    return [
        pytest.param(function, name, properties, id=f"{function}.{name}")
        for function, name, event_kind, properties in EVENTS
        if event_kind == kind
    ]


def statements() -> list[Any]:
    found = []
    documents = [
        (function, policy)
        for function, properties in FUNCTIONS.items()
        for policy in properties["Policies"]
        if "Statement" in policy
    ]
    for name, properties in of_type("AWS::IAM::ManagedPolicy").items():
        document = properties["PolicyDocument"]
        documents.append((name, json.loads(document["Fn::Sub"]) if "Fn::Sub" in document else document))
    for owner, document in documents:
        found += [
            pytest.param(statement, id=f"{owner}.{statement.get('Sid', '?')}") for statement in document["Statement"]
        ]
    return found


def test_the_folders_are_the_functions():
    folders = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
    assert {Path(properties["CodeUri"]).name for properties in FUNCTIONS.values()} == folders
    for name, properties in FUNCTIONS.items():
        words = [word.lower() for word in re.findall("[A-Z][a-z]+", name.removesuffix("Function"))]
        assert properties["CodeUri"] == "functions/" + "_".join(words)
        assert properties["FunctionName"] == {"Fn::Sub": "${AWS::StackName}-" + "-".join(words)}


def test_the_longest_stack_name_is_stated():
    # https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html: a name has at most 64 characters.
    names = [
        properties["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}") for properties in FUNCTIONS.values()
    ]
    longest = 64 - max(map(len, names))
    assert f"at most {longest} characters" in TEMPLATE["Description"]
    assert f"at most {longest} characters" in (ROOT / "samconfig.toml").read_text()


@pytest.mark.parametrize("folder", sorted(path.name for path in (ROOT / "functions").iterdir() if path.is_dir()))
def test_a_handler_has_at_most_40_lines(folder):
    assert len((ROOT / "functions" / folder / "app.py").read_text().splitlines()) <= 40


def test_the_template_stays_readable():
    # It was 1,500 before verification came: a function with its policy, log group, alarm and triggers has 70 lines.
    # The bucket for manifests and the comparison of copies have 65, the guard of evidence 84,
    # show_status 64, the comparison of a vault's copies 14, the dashboard 45, the wakes 60, check_stack 86.
    # The manifests of the evidence bucket have 30, the choice of alarms and metrics 35.
    # The topics of e-mail and chat have 60.
    assert len(TEXT.splitlines()) < 2283


def test_no_alias_of_yaml():
    # CloudFormation supports neither YAML aliases nor hash merges.
    assert not re.search(r"[:\-] [&*][A-Za-z]", TEXT)


# The samples that each rule must match; it must match no other sample.
COPIED = {
    "ebs-copySnapshot-standard-succeeded",
    "ebs-copySnapshot-timebased-succeeded",
    "ebs-copySnapshot-timebased-late-2nd-event",
    "ebs-copySnapshot-failed",
}
PATTERNS = {
    ("ConfirmSnapshotsFunction", "SnapshotSet"): {"ebs-createSnapshots-succeeded", "ebs-createSnapshots-failed"},
    ("ConfirmSnapshotsFunction", "Snapshot"): {
        "ebs-createSnapshot-succeeded",
        "ebs-createSnapshot-failed",
        "ebs-createSnapshot-by-ebs-direct-apis",
    },
    ("CopySnapshotsFunction", "Copied"): COPIED,
    ("AttachVolumeFunction", "Copied"): COPIED,
    ("AttachVolumeFunction", "Volume"): {
        "ebs-createVolume-available",
        "ebs-createVolume-failed",
        "ebs-attachVolume-failed",
        "ebs-reattachVolume-failed",
    },
    ("AttachVolumeFunction", "Instance"): {
        "ec2-instance-state-running",
        "ec2-instance-state-stopped",
        "ec2-instance-state-terminated",
    },
    ("CheckAmiOwnerFunction", "Running"): {"ec2-instance-state-running"},
    ("DrillRestoresFunction", "Volume"): {
        "ebs-createVolume-available",
        "ebs-createVolume-failed",
        "ebs-deleteVolume",
    },
}


@pytest.mark.parametrize(("function", "name", "properties"), events_of("EventBridgeRule"))
def test_a_rule_matches_its_samples_and_no_neighbour(function, name, properties):
    pattern = EventPattern.load(json.dumps(properties["Pattern"]))
    samples = {path.stem: json.loads(path.read_text()) for path in SAMPLES.glob("*.json")}
    assert len(samples) >= 36
    matched = {stem for stem, event in samples.items() if "detail-type" in event and pattern.matches_event(event)}
    assert matched == PATTERNS[function, name]


OTHER, SOURCE = "eu-central-1", "us-east-1"
"""A region that no copy comes from, and the region of the samples."""


@pytest.mark.parametrize(
    ("home", "arn", "forwarded"),
    [
        (SOURCE, "arn:aws:ec2::us-east-1:snapshot/snap-1", True),
        (SOURCE, "arn:aws:ec2:us-east-1:111122223333:snapshot/snap-1", True),
        (OTHER, "arn:aws:ec2::us-east-1:snapshot/snap-1", False),
        (OTHER, "arn:aws:ec2:us-east-1:111122223333:snapshot/snap-1", False),
    ],
)
def test_only_the_ends_of_copies_from_home_are_forwarded(home, arn, forwarded):
    text = json.dumps(RESOURCES["CopyEndedRule"]["Properties"]["EventPattern"])
    text = re.sub(r'\{"Fn::Sub": ("[^"]*")\}', r"\1", text).replace("${AWS::Partition}", "aws")
    pattern = EventPattern.load(text.replace("${HomeRegion}", home))
    event = json.loads((SAMPLES / "ebs-copySnapshot-failed.json").read_text())
    event["detail"]["source"] = arn
    assert pattern.matches_event(event) == forwarded
    event["detail"]["event"] = "createSnapshot"
    assert not pattern.matches_event(event)


def test_copy_events_go_to_the_home_bus_by_a_role_that_only_eventbridge_assumes():
    [target] = RESOURCES["CopyEndedRule"]["Properties"]["Targets"]
    role = RESOURCES["CopyEndedRole"]["Properties"]
    [statement] = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert target["Arn"] == statement["Resource"]
    assert target["RoleArn"] == {"Fn::GetAtt": "CopyEndedRole.Arn"}
    assert target["DeadLetterConfig"] == {"Arn": FAILED}
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]


@pytest.mark.parametrize(("function", "name", "properties"), events_of("EventBridgeRule") + events_of("ScheduleV2"))
def test_what_cannot_be_delivered_goes_to_the_failed_events(function, name, properties):
    assert properties["DeadLetterConfig"] == {"Arn": FAILED}
    assert "MaximumRetryAttempts" in properties["RetryPolicy"]
    assert properties["RetryPolicy"]["MaximumRetryAttempts"] >= 1, "a refusal that passes would cost a whole run"


@pytest.mark.parametrize(("function", "name", "properties"), events_of("SNS"))
def test_a_subscription_is_filtered_and_has_a_failure_queue(function, name, properties):
    assert properties["FilterPolicy"]["event"]
    assert properties["RedrivePolicy"] == {"deadLetterTargetArn": FAILED}


def test_a_function_that_fails_on_every_attempt_leaves_its_event():
    assert GLOBALS["EventInvokeConfig"]["DestinationConfig"]["OnFailure"] == {"Type": "SQS", "Destination": FAILED}
    assert all("EventInvokeConfig" not in properties for properties in FUNCTIONS.values())


def test_lambda_tries_as_often_as_the_backup_workflow_expects():
    assert GLOBALS["EventInvokeConfig"]["MaximumRetryAttempts"] + 1 == backup.ATTEMPTS


@pytest.mark.parametrize(("function", "name", "properties"), events_of("ScheduleV2"))
def test_a_schedule_can_be_deployed_twice_and_says_what_it_is(function, name, properties):
    # Without OmitName the schedule's name is the logical id, and a second stack of the account collides with it.
    assert properties["OmitName"] is True
    assert json.loads(properties["Input"])
    assert properties["Description"]


def test_the_slot_is_the_schedules_due_time_in_its_zone():
    slot = FUNCTIONS["TakeSnapshotsFunction"]["Events"]["Slot"]["Properties"]
    assert slot["ScheduleExpression"] == {"Ref": "Schedule"}
    assert slot["ScheduleExpressionTimezone"] == {"Ref": "TimeZone"}
    assert json.loads(slot["Input"]) == {"scheduled_time": "<aws.scheduler.scheduled-time>"}


def test_the_catch_up_uses_the_grace_of_the_parameter():
    function = FUNCTIONS["TakeSnapshotsFunction"]
    schedule = function["Events"]["CatchUp"]["Properties"]
    assert schedule["ScheduleExpression"] == "rate(15 minutes)"
    assert json.loads(schedule["Input"]) == {"catch_up": True}
    assert function["Environment"]["Variables"]["LIFEBOAT_CATCH_UP_GRACE_MINUTES"] == {"Ref": "CatchUpGraceMinutes"}


def test_the_work_queue_exists_only_with_large_runs():
    # Polling an idle queue costs more than the rest of a stack that backs up one instance.
    of_the_queue = [name for name, item in RESOURCES.items() if item.get("Condition") == "HasLargeRuns"]
    assert of_the_queue == ["SnapshotWork", "SnapshotWorkers"]
    assert TEMPLATE["Parameters"]["LargeRuns"]["Default"] == "false"
    variables = FUNCTIONS["TakeSnapshotsFunction"]["Environment"]["Variables"]
    assert variables["LIFEBOAT_WORK_QUEUE"] == {"Fn::If": ["HasLargeRuns", {"Ref": "SnapshotWork"}, ""]}
    assert variables["LIFEBOAT_API_SHARE_PERCENT"] == {"Ref": "ApiSharePercent"}


def test_a_restore_has_the_memory_and_the_time_that_it_was_measured_with():
    restore = FUNCTIONS["RestoreVolumeFunction"]
    assert (restore["MemorySize"], restore["Timeout"]) == (restore_memory.MEMORY_SIZE, restore_memory.MAX_SECONDS)


def test_a_batch_outlives_its_worker_and_ends_in_the_failed_events():
    queue = RESOURCES["SnapshotWork"]["Properties"]
    assert FUNCTIONS["TakeSnapshotsFunction"]["MemorySize"] == {"Fn::If": ["HasLargeRuns", MEMORY_SIZE, 256]}
    with_large_runs = {"Fn::If": ["HasLargeRuns", 60, 300]}
    assert FUNCTIONS["TakeSnapshotsFunction"]["Timeout"] == with_large_runs
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: six times the function's timeout
    assert queue["VisibilityTimeout"] >= 6 * 60
    # Every attempt that the rule knows, and one more, which only a worker that was killed can need.
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": FAILED, "maxReceiveCount": large_run.ATTEMPTS + 1}
    assert queue["SqsManagedSseEnabled"] == {"Fn::If": ["HasKey", False, True]}


def test_the_queue_has_as_many_workers_as_the_rate_is_divided_by():
    mapping = RESOURCES["SnapshotWorkers"]["Properties"]
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": "SnapshotWork.Arn"}
    assert mapping["FunctionName"] == {"Ref": "TakeSnapshotsFunction"}
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": large_run.WORKERS}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == 1, "the request parser takes one record"


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_function_has_a_log_group_with_retention_and_an_alarm(function):
    log = FUNCTIONS[function]["LoggingConfig"]["LogGroup"]["Ref"]
    name = FUNCTIONS[function]["FunctionName"]["Fn::Sub"]
    assert RESOURCES[log]["Properties"]["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/{name}"}
    assert RESOURCES[log]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    alarms = [
        properties
        for properties in of_type("AWS::CloudWatch::Alarm").values()
        if properties.get("MetricName") == "Errors" and properties["Dimensions"][0]["Value"] == {"Ref": function}
    ]
    # A person waits for what show_status answers. A run of check_stack that fails for good raises FailedEventsAlarm.
    # An alarm more would cost, as ten are free (tools/cost_model.py).
    assert len(alarms) == (function not in {"ShowStatusFunction", "CheckStackFunction"})


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_the_log_level_is_lambdas_own_and_powertools(function):
    # With the JSON format Lambda has a level of its own, INFO by default, which Powertools prefers to its variable.
    assert FUNCTIONS[function]["LoggingConfig"]["LogFormat"] == "JSON"
    assert FUNCTIONS[function]["LoggingConfig"]["ApplicationLogLevel"] == {"Ref": "LogLevel"}
    assert GLOBALS["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}


def test_no_log_level_makes_lambda_drop_the_metrics():
    assert TEMPLATE["Parameters"]["LogLevel"]["AllowedValues"] == ["DEBUG", "INFO"]


@pytest.mark.parametrize("alarm", sorted(of_type("AWS::CloudWatch::Alarm")))
def test_an_alarm_reaches_the_topic(alarm):
    programs, *people = RESOURCES[alarm]["Properties"]["AlarmActions"]
    assert programs == {"Ref": "NotificationTopic"}
    assert [item["Fn::If"] for item in people] == [
        ["HasEmail", {"Ref": "MailTopic"}, {"Ref": "AWS::NoValue"}],
        ["HasChat", {"Ref": "ChatTopic"}, {"Ref": "AWS::NoValue"}],
    ]


def test_a_stopped_schedule_raises_an_alarm_after_forty_minutes_and_a_new_one_raises_none():
    """FILL puts zeros in place of missing data; CloudWatch would use older data points instead."""
    reconciled = set()
    for properties in of_type("AWS::CloudWatch::Alarm").values():
        if "Metrics" not in properties:
            continue
        filled, measured = properties["Metrics"]
        assert filled["Expression"] == f"FILL({measured['Id']}, 0)"
        assert "ReturnData" not in filled
        assert measured["ReturnData"] is False
        assert measured["MetricStat"]["Stat"] == "Sum"
        assert measured["MetricStat"]["Period"] * properties["EvaluationPeriods"] == 2400
        assert (properties["ComparisonOperator"], properties["Threshold"]) == ("LessThanThreshold", 1)
        assert properties["TreatMissingData"] == "ignore"
        [dimension] = measured["MetricStat"]["Metric"]["Dimensions"]
        reconciled.add(dimension["Value"]["Ref"])
    assert reconciled == {function for function, name, *_ in EVENTS if name == "Reconcile"}


def test_a_statement_that_trusts_tags_of_a_snapshot_requires_its_owner():
    """An account may tag a snapshot that another shares with it; aws:ResourceTag then has these tags."""
    trusting = [
        statement
        for _, statement in [*function_statements(TEMPLATE), *resource_statements(TEMPLATE)]
        if "snapshot/*" in json.dumps(statement["Resource"]) and "aws:ResourceTag" in json.dumps(statement)
    ]
    assert len(trusting) >= 5
    for statement in trusting:
        # The EBS direct APIs have no key ec2:Owner. For them the resource's account is the owner, where AWS says it: it
        # was recorded for shared snapshots alone.
        direct = "ebs:" in str(statement["Action"])
        operator, owner = ("StringEqualsIfExists", "aws:ResourceAccount") if direct else ("StringEquals", "ec2:Owner")
        assert statement["Condition"][operator][owner] == {"Ref": "AWS::AccountId"}, statement["Sid"]


READS = ("Describe", "Get", "List", "Query")


@pytest.mark.parametrize("statement", statements())
def test_no_star_on_what_changes_things(statement):
    assert statement["Effect"] == "Allow"
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    assert not any("*" in action for action in actions)
    if any(not action.split(":")[1].startswith(READS) for action in actions):
        assert statement["Resource"] != "*"


@pytest.mark.parametrize("statement", statements())
def test_every_right_on_ec2_has_a_condition_or_its_reason(statement):
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    if any(action.startswith(("ec2:", "ebs:", "kms:")) for action in actions):
        # VolumesOfThatInstance: CreateSnapshots also needs permission on the instance, which has the condition.
        # ObserveAncestry: a read of images, to find out their owner.
        # LicencesAndGroupsOfTargetInstances: StartInstances also needs permission on the instance, as above.
        # ReadKeys: DescribeKey shows the state of a key, and uses it for nothing.
        assert "Condition" in statement or statement["Sid"] in {
            "ReadKeys",
            "VolumesOfThatInstance",
            "ObserveAncestry",
            "LicencesAndGroupsOfTargetInstances",
        }


def test_attach_volume_has_a_right_for_every_change_a_restore_makes():
    source = (ROOT / "layers/lifeboat/python/lifeboat/aws/ec2_calls.py").read_text()
    calls = set(
        re.findall(r"client\.(\w+)\(", source[source.index("def _perform(") : source.index("def _volume_arguments")])
    )
    assert {"create_volume", "delete_tags", "modify_instance_attribute"} <= calls
    wanted = {"ec2:" + "".join(word.title() for word in call.split("_")) for call in calls}
    granted = {
        action
        for function, statement in function_statements(TEMPLATE)
        if function == "AttachVolume"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert wanted - granted == set()


def test_no_function_may_write_the_tag_that_consents_to_a_restore():
    assert "lifeboat:restore-target" not in json.dumps(
        [
            statement.values[0].get("Condition", {}).get("ForAllValues:StringEquals", {})
            for statement in statements()
            if "ec2:CreateTags" in json.dumps(statement.values[0]["Action"])
        ]
    )


def test_adoption_writes_our_tags_once_on_snapshots_without_a_manager():
    [adopting] = [
        statement
        for function, statement in function_statements(TEMPLATE)
        if function == "PruneSnapshots" and statement["Sid"] == "AdoptSnapshotsWithoutAnOwner"
    ]
    assert adopting["Action"] == "ec2:CreateTags"
    assert adopting["Resource"]["Fn::Sub"].endswith("::snapshot/*")
    condition = adopting["Condition"]
    assert condition["ForAllValues:StringLike"] == {"aws:TagKeys": ["lifeboat:*"]}
    # ForAllValues also holds without any tag, so Null requires that there are keys.
    assert condition["Null"]["aws:TagKeys"] == "false"
    absent = {key.removeprefix("aws:ResourceTag/") for key, value in condition["Null"].items() if value == "true"}
    assert absent == {"lifeboat:stack", "aws:backup:source-resource", "aws:dlm:lifecycle-policy-id", "dlm:managed"}
    assert condition["StringEquals"]["ec2:Owner"] == {"Ref": "AWS::AccountId"}
    assert condition["StringEquals"]["aws:RequestTag/lifeboat:stack"] == {"Ref": "AWS::StackName"}


def test_verification_may_write_two_tags_and_its_own_items():
    mine = [statement for function, statement in function_statements(TEMPLATE) if function == "VerifySnapshots"]
    [tagging] = [item for item in mine if item["Action"] == "ec2:CreateTags"]
    assert tagging["Condition"]["ForAllValues:StringEquals"] == {
        "aws:TagKeys": ["lifeboat:verified", "lifeboat:suspect"]
    }
    assert tagging["Condition"]["Null"] == {"aws:TagKeys": "false"}
    [table] = [item for item in mine if "dynamodb:PutItem" in item["Action"]]
    keys = table["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]
    known = ("verif", "canary", "suspicion", "compare-")
    assert all(any(word in key for word in known) for key in keys)
    changing = {action for item in mine for action in [*item["Action"]] if isinstance(item["Action"], list)}
    assert {action for action in changing if not action.split(":")[1].startswith(READS)} == {
        "kms:Decrypt",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "s3:PutObject",
    }


def test_a_bucket_for_manifests_is_made_only_where_they_are_kept_and_is_private():
    bucket, policy = RESOURCES["ManifestBucket"], RESOURCES["ManifestBucketPolicy"]
    levels = [{"Fn::Equals": [{"Ref": "Verify"}, level]} for level in ("sample", "full")]
    assert TEMPLATE["Conditions"]["KeepsManifests"] == {"Fn::Or": levels}
    either = [{"Condition": "KeepsManifests"}, {"Condition": "GuardsEvidence"}]
    assert TEMPLATE["Conditions"]["HasManifestBucket"] == {"Fn::Or": either}
    assert bucket["Condition"] == policy["Condition"] == "HasManifestBucket"
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["Properties"]["ObjectLockEnabled"] is True
    [encryption] = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == {"Fn::If": ["HasKey", "aws:kms", "AES256"]}
    assert bucket["UpdateReplacePolicy"] == "Retain"
    assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    arn = "ManifestBucket.Arn"
    assert statement["Resource"] == [{"Fn::GetAtt": arn}, {"Fn::Sub": f"${{{arn}}}/*"}]
    digests, evidence = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    assert digests["Prefix"] == manifest_store.PREFIX
    assert evidence["Prefix"] == manifest.PREFIX
    assert "ExpirationInDays" not in evidence, "a manifest goes only when there are newer ones"


def test_without_verification_nothing_is_scheduled():
    schedule = FUNCTIONS["VerifySnapshotsFunction"]["Events"]["Continue"]["Properties"]
    assert schedule["State"] == {"Fn::If": ["Verifies", "ENABLED", "DISABLED"]}
    assert schedule["ScheduleExpression"] == f"rate({missed_workflow.EVERY_MINUTES} minutes)"
    assert FUNCTIONS["VerifySnapshotsFunction"]["Timeout"] == 60 * missed_workflow.EVERY_MINUTES


def test_every_parameter_is_described_grouped_and_used():
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"].endswith(".")
        assert "Default" in parameter, f"{name}: a first deployment should ask nothing"
        assert re.search(rf"(!Ref |\${{|Equals \[!Ref ){name}\b", TEXT), f"{name} is used nowhere"


def test_every_variable_is_read_and_every_variable_read_is_set():
    set_here = set(re.findall(r"(LIFEBOAT_[A-Z_]+):", TEXT))
    read = (ROOT / "layers/lifeboat/python/lifeboat/domain/config.py").read_text()
    # Beside each variable that it reads stands what its refusal calls it.
    named = set(re.findall(r'"(LIFEBOAT_[A-Z_]+)"(?!: ")', read))
    assert set_here == named


def test_the_form_asks_first_what_each_person_answers_and_names_each_parameter():
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    assert interface["ParameterGroups"][0]["Parameters"][:2] == ["NotificationEmail", "TrustedAmiOwners"]
    assert list(TEMPLATE["Parameters"])[:2] == ["NotificationEmail", "TrustedAmiOwners"]
    assert interface["ParameterLabels"].keys() == TEMPLATE["Parameters"].keys()


def test_the_first_outputs_are_the_next_commands_whole():
    commands = [read_output(name) for name in list(TEMPLATE["Outputs"])[:3]]
    assert [shlex.split(command)[:2] for command in commands] == [
        ["lifeboat", "protect"],
        ["lifeboat", "backup"],
        ["lifeboat", "status"],
    ]
    for command in commands:
        assert command.endswith("--stack ${AWS::StackName} --region ${AWS::Region}")


def read_output(name):
    return TEMPLATE["Outputs"][name]["Value"]["Fn::Sub"]


def test_every_function_logs_to_a_group_that_an_output_names():
    groups = [
        item["Properties"]["LogGroupName"] for item in RESOURCES.values() if item["Type"] == "AWS::Logs::LogGroup"
    ]
    assert groups
    assert all(group["Fn::Sub"].startswith(read_output("LogGroups")) for group in groups)


def test_the_alarms_on_failures_have_the_command_that_shows_the_cause():
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::CloudWatch::Alarm" and name.endswith(("ErrorsAlarm", "FailedEventsAlarm")):
            described = resource["Properties"]["AlarmDescription"]["Fn::Sub"]
            assert re.search(r": (aws logs tail|lifeboat failed) .*--region \${AWS::Region}$", described), name


def test_outputs_say_what_to_do_next():
    for output in TEMPLATE["Outputs"].values():
        assert output["Description"]
    for path in re.findall(r"events/[\w/-]+\.json", TEXT):
        assert (ROOT / path).is_file(), path


def test_the_table_outlives_the_stack():
    table = RESOURCES["StateTable"]
    assert table["DeletionPolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_one_key_encrypts_all_stored_data():
    key = {"Fn::If": ["HasKey", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]}
    kept = {"AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"}
    for name, resource in RESOURCES.items():
        if resource["Type"] in kept:
            properties = resource["Properties"]
            found = [*properties.values(), *properties.get("SSESpecification", {}).values()]
            assert key in found, f"{name} has no key"
    queue = RESOURCES["FailedEvents"]["Properties"]
    assert queue["SqsManagedSseEnabled"] == {"Fn::If": ["HasKey", False, True]}  # SQS takes one of the two
    assert "alias/aws/" not in json.dumps(RESOURCES)  # CloudWatch could not use it, so no alarm could publish


def test_the_recycle_bin_exists_only_with_recycle_bin_days():
    rule = RESOURCES["RecoveryPointsBin"]
    assert rule["Condition"] == "HasRecycleBin"
    assert rule["Properties"]["ResourceType"] == "EBS_SNAPSHOT"
    assert rule["Properties"]["ResourceTags"] == [
        {"ResourceTagKey": "lifeboat:stack", "ResourceTagValue": {"Ref": "AWS::StackName"}}
    ]
    assert rule["Properties"]["RetentionPeriod"] == {
        "RetentionPeriodUnit": "DAYS",
        "RetentionPeriodValue": {"Ref": "RecycleBinDays"},
    }


IMAGES = "ami-0abcdef1234567890"
LISTS = {
    "TrustedAmiOwners": (
        ["", "055430919509", "055430919509,111122223333", "amazon, 111122223333"],
        ["5543091950", "055430919509,", "055430919509;111122223333", "Amazon", "055430919509 111122223333", "*"],
    ),
    "AllowedImages": (["", IMAGES, f"{IMAGES},ami-01234567"], ["ami-1", f"{IMAGES},", "i-0abcdef1234567890", "ami-*"]),
    "TrustedProductCodes": (["", "abc123", "abc-123, x"], ["a code", "a,,b", "*"]),
    "TrustedWatermarks": (["", "111122223333:gold image", "111122223333:a,111122223333:b"], ["gold", "1:gold", "1,2"]),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_mistyped_list_of_trust_is_refused_at_deployment_and_a_good_one_is_what_the_rule_takes(name):
    parameter = TEMPLATE["Parameters"][name]
    assert parameter["Type"] == "String"  # an AllowedPattern does nothing to a CommaDelimitedList
    good, bad = LISTS[name]
    for text in good:
        assert re.fullmatch(parameter["AllowedPattern"], text), text
        asked = [item.strip() for item in text.split(",") if item.strip()]
        field = {"TrustedAmiOwners": "trusted_owners"}.get(name, re.sub("(?<=.)([A-Z])", r"_\1", name).lower())
        ami.verdict(ImageEvidence("ami-1"), **{"trusted_owners": [], field: asked})
    for text in bad:
        assert not re.fullmatch(parameter["AllowedPattern"], text), text


def test_the_check_knows_which_schedules_the_template_switches_off():
    found = {}
    for function, properties in FUNCTIONS.items():
        for name, event in properties.get("Events", {}).items():
            if "State" in event["Properties"]:
                condition, _, otherwise = event["Properties"]["State"]["Fn::If"]
                assert otherwise == "DISABLED"
                found[function + name] = TEMPLATE["Conditions"][condition]
    off = {
        name: {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, value]}]}
        for name, (parameter, value) in OFF_WITH.items()
    }
    assert found == off
