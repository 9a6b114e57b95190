"""The commands of the AWS CLI that mend a fault. Each is one line that a POSIX shell runs as it stands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHANGE_SET = "lifeboat-revert-drift"


@dataclass(frozen=True, slots=True)
class Place:
    """The stack that was checked, with its region and account."""

    stack: str
    region: str
    account: str


def aws(region: str, service: str, call: str, **options: str | bool) -> str:
    """`aws SERVICE CALL --option value --region REGION`, with every value quoted. True is an option without one."""
    words = ["aws", service, *call.split()]
    for name, value in options.items():
        words.append(f"--{name.replace('_', '-')}")
        words += [] if value is True else [str(value)]
    return shlex.join([*words, "--region", region])


def enable_schedule(place: Place, definition: Mapping[str, Any]) -> str:
    """UpdateSchedule keeps nothing that it is not given, so the command repeats the whole schedule."""
    return aws(place.region, "scheduler", "update-schedule", cli_input_json=json.dumps(definition, default=str))


def enable_rule(place: Place, name: str) -> str:
    return aws(place.region, "events", "enable-rule", name=name)


def enable_mapping(place: Place, uuid: str) -> str:
    return aws(place.region, "lambda", "update-event-source-mapping", uuid=uuid, enabled=True)


def unreserve(place: Place, function: str) -> str:
    return aws(place.region, "lambda", "delete-function-concurrency", function_name=function)


def enable_alarm(place: Place, name: str) -> str:
    return aws(place.region, "cloudwatch", "enable-alarm-actions", alarm_names=name)


def subscribe(place: Place, topic: str, protocol: str, endpoint: str) -> str:
    """For an endpoint that is subscribed and not confirmed, SNS sends the confirmation once more."""
    return aws(place.region, "sns", "subscribe", topic_arn=topic, protocol=protocol, notification_endpoint=endpoint)


def enable_key(arn: str) -> str:
    return aws(arn.split(":")[3], "kms", "enable-key", key_id=arn)


def keep_key(arn: str) -> str:
    return aws(arn.split(":")[3], "kms", "cancel-key-deletion", key_id=arn)


def select_instance(place: Place, key: str, value: str, instance_id: str = "INSTANCE_ID") -> str:
    tag = json.dumps([{"Key": key, "Value": value}])
    return aws(place.region, "ec2", "create-tags", resources=instance_id, tags=tag)


def copy_under_key(place: Place, snapshot_id: str, key: str) -> str:
    source = {"source_region": place.region, "source_snapshot_id": snapshot_id}
    return aws(place.region, "ec2", "copy-snapshot", **source, encrypted=True, kms_key_id=key)


def back_up_file_system(place: Place, file_system_id: str) -> str:
    policy = json.dumps({"Status": "ENABLED"})
    return aws(place.region, "efs", "put-backup-policy", file_system_id=file_system_id, backup_policy=policy)


def copy_again(place: Place) -> str:
    """Continue the copies and the shares at once, also the copies that were given up."""
    invoke = ["sam", "remote", "invoke", "CopySnapshotsFunction", "--stack-name", place.stack]
    return shlex.join([*invoke, "--region", place.region, "--event", json.dumps({"retry": True})])


def encrypt_by_default(place: Place) -> str:
    return aws(place.region, "ec2", "enable-ebs-encryption-by-default")


def protect_table(place: Place, table: str) -> str:
    return aws(place.region, "dynamodb", "update-table", table_name=table, deletion_protection_enabled=True)


def raise_concurrency(place: Place, wanted: int) -> str:
    """L-B99A9384 is the quota of concurrent executions
    (https://docs.aws.amazon.com/general/latest/gr/lambda-service.html)."""
    return aws(
        place.region,
        "service-quotas",
        "request-service-quota-increase",
        service_code="lambda",
        quota_code="L-B99A9384",
        desired_value=str(wanted),
    )


def show_failed_events(place: Place) -> str:
    return shlex.join(["lifeboat", "failed", "--stack", place.stack, "--region", place.region])


def enable_region(region: str) -> str:
    return aws("us-east-1", "account", "enable-region", region_name=region)


def detect_drift(place: Place) -> str:
    return aws(place.region, "cloudformation", "detect-stack-drift", stack_name=place.stack)


def show_drift(place: Place) -> str:
    return aws(place.region, "cloudformation", "describe-stack-resource-drifts", stack_name=place.stack)


def show_failures(place: Place) -> str:
    return aws(place.region, "cloudformation", "describe-stack-events", stack_name=place.stack)


def continue_rollback(place: Place) -> str:
    return aws(place.region, "cloudformation", "continue-update-rollback", stack_name=place.stack)


def revert_drift(place: Place, parameters: Mapping[str, str]) -> tuple[str, str, str]:
    """Make again what the template says and what is not there: a change set with REVERT_DRIFT.

    Without its parameters a change set takes their defaults, so each is named
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html).
    """
    named = json.dumps([{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(parameters)])
    about = {"stack_name": place.stack, "change_set_name": CHANGE_SET}
    made = aws(
        place.region,
        "cloudformation",
        "create-change-set",
        **about,
        use_previous_template=True,
        deployment_mode="REVERT_DRIFT",
        capabilities='["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]',
        parameters=named,
    )
    waited = aws(place.region, "cloudformation", "wait change-set-create-complete", **about)
    return made, waited, aws(place.region, "cloudformation", "execute-change-set", **about)


def allowed_policies(place: Place) -> str:
    """The service control policies of the account, as the organisation's administrator sees them."""
    return aws(
        "us-east-1",
        "organizations",
        "list-policies-for-target",
        target_id=place.account,
        filter="SERVICE_CONTROL_POLICY",
    )


def back_up_now(place: Place) -> str:
    return shlex.join(["lifeboat", "backup", "--all", "--stack", place.stack, "--region", place.region])


def back_up(place: Place, instance_id: str) -> str:
    return shlex.join(["lifeboat", "backup", instance_id, "--stack", place.stack, "--region", place.region])


def verify(place: Place, point_id: str) -> str:
    return shlex.join(["lifeboat", "verify", point_id, "--stack", place.stack, "--region", place.region])
