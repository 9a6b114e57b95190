"""What each function may do, written by hand. Every other question in this module must be denied.

A question is what EC2 asks IAM about one resource of a call. For every function, every action of `ON` is asked about
every resource of its kind, with every set of tags. IAM must deny what `MAY` does not name. `MAY` is not generated from
the template: it states what the functions are meant to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tools.policy_roles import ACCOUNT, AWAY, EVIDENCE, READER, REFERENCES, REGION, SOURCE, STACK, TRUSTED, VAULT, Asked

FOREIGN = "999988887777"
TABLE = REFERENCES["StateTable.Arn"]
TOPIC = REFERENCES["NotificationTopic"]
MAIL, CHAT = REFERENCES["MailTopic"], REFERENCES["ChatTopic"]
BUCKET = REFERENCES["ManifestBucket.Arn"]
EVIDENCE_BUCKET = f"arn:aws:s3:::{EVIDENCE}"
WORK = REFERENCES["SnapshotWork.Arn"]
FAILED = REFERENCES["FailedEvents.Arn"]
QUEUE = REFERENCES["FailedEvents.Arn"]
FUNCTIONS = (
    "TakeSnapshots",
    "ConfirmSnapshots",
    "PruneSnapshots",
    "RestoreVolume",
    "AttachVolume",
    "CheckAmiOwner",
    "DrillRestores",
    "CopySnapshots",
    "VerifySnapshots",
    "GuardEvidence",
    "ShowStatus",
    "CheckStack",
)

ROLES = ("CopyEnded", "VaultReader", "Wake")
"""Roles that the template itself defines; no function has them."""

type Context = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """Whether an action on a resource is allowed. `name` describes the resource and the request in words."""

    name: str
    action: str
    resource: str
    context: Context = field(default_factory=dict)
    service: str = ""
    """The AWS service that asks; empty if a function asks."""

    def __str__(self) -> str:
        return f"{self.action} {self.name}"


def tags(of: str, **named: str) -> dict[str, str]:
    """Tags as condition keys. `_` in a name stands for `-` in the tag of Lifeboat."""
    return {f"aws:{of}tag/lifeboat:{name.replace('_', '-')}": value for name, value in named.items()}


def ec2_arn(kind: str, account: str = ACCOUNT, region: str = REGION, name: str = "1") -> str:
    owner = "" if kind in {"snapshot", "image"} else account
    return f"arn:aws:ec2:{region}:{owner}:{kind}/{name}"


OURS = {"ec2:owner": ACCOUNT}
BACKUPS_OWN = {"aws:resourcetag/aws:backup:source-resource": "arn"}
DLM_ID = {"aws:resourcetag/aws:dlm:lifecycle-policy-id": "policy-1"}
DLM_MANAGED = {"aws:resourcetag/dlm:managed": "true"}
OUR_POINT = OURS | tags("resource", stack=STACK, recovery_point="rp-1")

RESOURCES: Mapping[str, Mapping[str, tuple[str, Context]]] = {
    "instance": {
        "an untagged instance": (ec2_arn("instance"), {}),
        "a selected instance": (ec2_arn("instance"), tags("resource", backup="true")),
        "an instance selected otherwise": (ec2_arn("instance"), tags("resource", backup="no")),
        "a target instance": (ec2_arn("instance"), tags("resource", restore_target="true")),
        "an instance that was a target": (ec2_arn("instance"), tags("resource", restore_target="false")),
        "a foreign selected target": (
            ec2_arn("instance", FOREIGN),
            tags("resource", restore_target="true", backup="true"),
        ),
        "a selected target elsewhere": (
            ec2_arn("instance", region="us-east-1"),
            tags("resource", restore_target="true", backup="true"),
        ),
    },
    "volume": {
        "an untagged volume": (ec2_arn("volume"), {}),
        "a target volume": (ec2_arn("volume"), tags("resource", restore_target="true")),
        "a volume that was a target": (ec2_arn("volume"), tags("resource", restore_target="false")),
        "a restored volume": (ec2_arn("volume"), tags("resource", restore="restore-1")),
        "a restored, displaced volume": (
            ec2_arn("volume"),
            tags("resource", restore="restore-1", displaced_by="restore-2"),
        ),
        "a drill's volume": (ec2_arn("volume"), tags("resource", drill="drill-1", stack=STACK)),
        "another stack's drill's volume": (ec2_arn("volume"), tags("resource", drill="drill-1", stack="other")),
        "a drill's volume of no stack": (ec2_arn("volume"), tags("resource", drill="drill-1")),
        "a volume with our stack's tag": (ec2_arn("volume"), tags("resource", stack=STACK)),
        "a drill's and a restore's volume": (
            ec2_arn("volume"),
            tags("resource", drill="drill-1", stack=STACK, restore="restore-1"),
        ),
        "a drill's displaced volume": (
            ec2_arn("volume"),
            tags("resource", drill="drill-1", stack=STACK, displaced_by="restore-2"),
        ),
        "a drill's volume elsewhere": (
            ec2_arn("volume", region="us-east-1"),
            tags("resource", drill="drill-1", stack=STACK),
        ),
        "a displaced volume": (ec2_arn("volume"), tags("resource", displaced_by="restore-2")),
        "a foreign target volume": (ec2_arn("volume", FOREIGN), tags("resource", restore_target="true", restore="r")),
        "a target volume elsewhere": (
            ec2_arn("volume", region="us-east-1"),
            tags("resource", restore_target="true", restore="r"),
        ),
    },
    "snapshot": {
        "a recovery point": (ec2_arn("snapshot"), OUR_POINT),
        "another stack's recovery point": (
            ec2_arn("snapshot"),
            OURS | tags("resource", stack="other", recovery_point="rp-2"),
        ),
        "a held recovery point": (ec2_arn("snapshot"), OUR_POINT | tags("resource", hold="case 7")),
        "a shared recovery point": (ec2_arn("snapshot"), OUR_POINT | tags("resource", shared="with Ann")),
        "a recovery point elsewhere": (ec2_arn("snapshot", region="us-east-1"), OUR_POINT),
        "an untagged snapshot": (ec2_arn("snapshot"), OURS),
        "AWS Backup's snapshot": (ec2_arn("snapshot"), OURS | BACKUPS_OWN),
        "a lifecycle policy's snapshot": (ec2_arn("snapshot"), OURS | DLM_ID),
        "a lifecycle manager's snapshot": (ec2_arn("snapshot"), OURS | DLM_MANAGED),
        "a stranger's snapshot": (ec2_arn("snapshot"), {"ec2:owner": FOREIGN}),
        "a stranger's snapshot with our tags": (ec2_arn("snapshot"), {**OUR_POINT, "ec2:owner": FOREIGN}),
        "a source's snapshot with our tags": (
            ec2_arn("snapshot"),
            {**OUR_POINT, "ec2:owner": SOURCE} | tags("resource", source_account=SOURCE),
        ),
        "a trusted owner's snapshot": (ec2_arn("snapshot"), {"ec2:owner": TRUSTED}),
        "a source's snapshot": (ec2_arn("snapshot"), {"ec2:owner": SOURCE}),
        "our copy elsewhere": (
            ec2_arn("snapshot", region="us-east-1"),
            OUR_POINT | tags("resource", copied_from=REGION),
        ),
        "another stack's copy elsewhere": (
            ec2_arn("snapshot", region="us-east-1"),
            OURS | tags("resource", stack="other", copied_from=REGION),
        ),
        "a source's snapshot elsewhere": (ec2_arn("snapshot", region="us-east-1"), {"ec2:owner": SOURCE}),
        "a kept copy": (ec2_arn("snapshot"), OUR_POINT | tags("resource", source_account=SOURCE)),
        "a stranger's copy elsewhere with our tags": (
            ec2_arn("snapshot", region="us-east-1"),
            {**OUR_POINT, "ec2:owner": FOREIGN} | tags("resource", copied_from=REGION),
        ),
        "a kept copy elsewhere": (
            ec2_arn("snapshot", region="us-east-1"),
            OUR_POINT | tags("resource", source_account=SOURCE),
        ),
        "another stack's kept copy": (ec2_arn("snapshot"), OURS | tags("resource", stack="o", source_account=SOURCE)),
        "a trusted owner's snapshot elsewhere": (ec2_arn("snapshot", region="us-east-1"), {"ec2:owner": TRUSTED}),
    },
    "image": {
        "an image": (ec2_arn("image"), {}),
        "an own image": (ec2_arn("image"), OURS),
        "a source's image": (ec2_arn("image"), {"ec2:owner": SOURCE}),
        "an image elsewhere": (ec2_arn("image", region="us-east-1"), OURS),
    },
    "licence": {
        "a licence": (f"arn:aws:license-manager:{REGION}:{ACCOUNT}:license-configuration:lic-1", {}),
        "a licence shared with us": (f"arn:aws:license-manager:{REGION}:{FOREIGN}:license-configuration:lic-1", {}),
        "a licence elsewhere": (f"arn:aws:license-manager:us-east-1:{ACCOUNT}:license-configuration:lic-1", {}),
    },
    "group": {
        "a group": (f"arn:aws:resource-groups:{REGION}:{ACCOUNT}:group/1", {}),
        "a foreign group": (f"arn:aws:resource-groups:{REGION}:{FOREIGN}:group/1", {}),
        "a group elsewhere": (f"arn:aws:resource-groups:us-east-1:{ACCOUNT}:group/1", {}),
    },
}

ON: Mapping[str, tuple[str, ...]] = {
    "instance": (
        *("AttachVolume", "CreateImage", "CreateSnapshots", "DetachVolume", "ModifyInstanceAttribute"),
        *("RebootInstances", "StartInstances", "StopInstances", "TerminateInstances", "AssociateIamInstanceProfile"),
    ),
    "volume": (
        *("AttachVolume", "CreateSnapshot", "CreateSnapshots", "DeleteVolume", "DetachVolume", "ModifyVolume"),
        *("ModifyVolumeAttribute", "EnableVolumeIO", "ModifyInstanceAttribute"),
    ),
    "snapshot": (
        *("CopySnapshot", "CreateVolume", "DeleteSnapshot", "LockSnapshot", "ModifySnapshotAttribute"),
        *("ModifySnapshotTier", "ResetSnapshotAttribute", "RestoreSnapshotFromRecycleBin", "RestoreSnapshotTier"),
        "UnlockSnapshot",
    ),
    "image": ("CopySnapshot", "DeregisterImage", "GetImageAncestry", "ModifyImageAttribute"),
    "licence": ("RunInstances", "StartInstances"),
    "group": ("RunInstances", "StartInstances"),
}

BLOCK_READS = ("GetSnapshotBlock", "ListChangedBlocks", "ListSnapshotBlocks")

VERIFICATIONS = (
    *("verify-open", "verify-done", "verify-reader", "compare-open", "compare-done"),
    "published-verification",
)
CANARY = ("canary", "canary-lists", "published-suspicion")
"""The partitions of the table that verification has, and its change canary."""

NO_TAG: Context = {"aws:tagkeys": None}


def keyed(*names: str, **named: str) -> dict[str, Any]:
    """The condition keys of a request that writes or deletes tags of Lifeboat."""
    return {
        **tags("request", **named),
        "aws:tagkeys": [f"lifeboat:{name.replace('_', '-')}" for name in (*names, *named)],
    }


ADOPTION = keyed("recovery_point", stack=STACK)
TAGGINGS: Mapping[str, Context] = {
    "no tag": NO_TAG,
    "the tags of a displaced volume": keyed("displaced_by", "displaced_from"),
    "a displaced volume's tag, and another": keyed("displaced_by", "restore_target"),
    "the consent tag": keyed("restore_target"),
    "the selecting tag": keyed("backup"),
    "a hold": keyed("hold"),
    "the proof": keyed("verified"),
    "the proof and a hold": keyed("verified", "hold"),
    "a suspicion": keyed("suspect"),
    "a suspicion and a hold": keyed("suspect", "hold"),
    "the tags of adoption": ADOPTION,
    "the tags of adoption and a name": {
        **ADOPTION,
        "aws:tagkeys": [*ADOPTION["aws:tagkeys"], "Name"],
    },
    "another stack's tags of adoption": keyed("recovery_point", stack="other"),
    # ForAllValues holds for a request without any tag key. No real request has a value without its key.
    "the stack's tag without its key": {**NO_TAG, **tags("request", stack=STACK)},
}
CREATIONS: Mapping[str, Context] = {
    f"{tagging}, at {creation}": {**context, "ec2:createaction": creation}
    for creation in ("CreateSnapshots", "CreateSnapshot", "CreateVolume", "CopySnapshot", "RunInstances")
    for tagging, context in {
        "our stack's tag": keyed(stack=STACK),
        "another stack's tag": keyed(stack="other"),
        "a restore's tag": keyed(restore="restore-1"),
    }.items()
}
READS = (
    *("DescribeInstances", "DescribeInstanceAttribute", "DescribeInstanceStatus", "DescribeVolumes"),
    *("DescribeInstanceTypes", "DescribeVolumeAttribute"),
    *("DescribeSnapshots", "DescribeLockedSnapshots", "DescribeImages", "DescribeInstanceImageMetadata"),
    *("GetEbsEncryptionByDefault", "GetEbsDefaultKmsKeyId", "DescribeSnapshotAttribute"),
    *("GetPasswordData", "GetConsoleOutput"),
    *("DescribeInstanceUserData", "DescribeAvailabilityZones"),
)
THROUGH_EC2 = {"kms:viaservice": f"ec2.{REGION}.amazonaws.com"}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
COPY_KMS_USES = ("GenerateDataKey",)
"""What copying an encrypted snapshot needs in addition to KMS_USES."""
KMS_USES = ("Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo")
WORK_USES = ("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
TABLE_USES = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
ELSEWHERE: Mapping[str, str] = {
    "iam:CreateAccessKey": f"arn:aws:iam::{ACCOUNT}:user/admin",
    "iam:PassRole": f"arn:aws:iam::{ACCOUNT}:role/admin",
    "iam:PutRolePolicy": f"arn:aws:iam::{ACCOUNT}:role/{STACK}-role",
    "sts:AssumeRole": f"arn:aws:iam::{ACCOUNT}:role/admin",
    "ebs:PutSnapshotBlock": ec2_arn("snapshot"),
    "ec2:RunInstances": ec2_arn("instance", name="*"),
    "ec2:DisableEbsEncryptionByDefault": "*",
    "ec2:DisableSnapshotBlockPublicAccess": "*",
    "ec2:CreateSnapshot": ec2_arn("snapshot", name="*"),
    "kms:ScheduleKeyDeletion": KEY,
    "kms:PutKeyPolicy": KEY,
    "kms:DisableKey": KEY,
    "rbin:DeleteRule": f"arn:aws:rbin:{REGION}:{ACCOUNT}:rule/1",
    "rbin:UpdateRule": f"arn:aws:rbin:{REGION}:{ACCOUNT}:rule/1",
    "sns:Subscribe": TOPIC,
    "sns:SetTopicAttributes": TOPIC,
    "sns:DeleteTopic": TOPIC,
    "sqs:ReceiveMessage": QUEUE,
    "sqs:PurgeQueue": QUEUE,
    "dynamodb:DeleteTable": TABLE,
    "dynamodb:Scan": TABLE,
    "dynamodb:UpdateTable": TABLE,
    "dynamodb:UpdateContinuousBackups": TABLE,
    "events:DisableRule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/1",
    "scheduler:DeleteSchedule": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/1",
    "cloudformation:DeleteStack": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/1",
    "cloudwatch:DeleteAlarms": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:1",
    "logs:DeleteLogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:1",
    "s3:GetObject": "arn:aws:s3:::bucket/key",
    "secretsmanager:GetSecretValue": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:1",
    "ssm:SendCommand": ec2_arn("instance"),
    "backup:DeleteRecoveryPoint": ec2_arn("snapshot"),
}


def questions() -> Iterator[Question]:
    """Every question that is asked about each function."""
    for action in BLOCK_READS:
        of_copy = tags("resource", stack=STACK, copied_from=REGION) | {"aws:resourceaccount": ACCOUNT}
        yield Question("a volume with our copy's tags", f"ebs:{action}", ec2_arn("volume", region=AWAY), of_copy)
    for kind, named in RESOURCES.items():
        for name, (arn, context) in named.items():
            for action in ON[kind]:
                yield Question(name, f"ec2:{action}", arn, context)
            for action in (*BLOCK_READS, "StartSnapshot", "CompleteSnapshot") if kind == "snapshot" else ():
                # The EBS direct APIs send IAM a snapshot's tags, and its owner as the resource's account alone.
                seen = {key: value for key, value in context.items() if key.startswith("aws:")}
                seen["aws:resourceaccount"] = context["ec2:owner"]
                yield Question(name, f"ebs:{action}", arn, seen)
            for tagging, tagged in TAGGINGS.items():
                yield Question(f"{tagging} on {name}", "ec2:CreateTags", arn, {**context, **tagged})
                yield Question(f"{tagging} off {name}", "ec2:DeleteTags", arn, {**context, **tagged})
    yield from _made()
    yield from _drills()
    yield from _evidence()
    yield from _stack()
    yield from _locks()
    yield from _shares()
    yield from _vault()
    yield from _reads()
    yield from _keys()
    yield from _stores()
    yield from _functions()
    yield from _buses()
    yield from _state_machines()
    for action, resource in ELSEWHERE.items():
        yield Question(f"on {resource.rsplit(':', 1)[-1]}", action, resource)


def _made() -> Iterator[Question]:
    for kind in ("snapshot", "volume", "instance"):
        for tagging, context in CREATIONS.items():
            yield Question(f"{tagging}, of a new {kind}", "ec2:CreateTags", ec2_arn(kind, name="*"), context)
            # Today EC2 sends ec2:CreateAction with CreateTags only.
            yield Question(f"{tagging}, off a new {kind}", "ec2:DeleteTags", ec2_arn(kind, name="*"), context)
    for tagging, context in {
        "without a tag": NO_TAG,
        "with our stack's tag": keyed(stack=STACK),
        "with another stack's tag": keyed(stack="other"),
        "with a restore's tag": keyed(restore="restore-1"),
    }.items():
        for where, region in (("", REGION), ("elsewhere ", "us-east-1")):
            new = {kind: ec2_arn(kind, region=region, name="*") for kind in ("snapshot", "volume")}
            yield Question(f"a new snapshot {where}{tagging}", "ec2:CreateSnapshots", new["snapshot"], context)
            yield Question(f"a new volume {where}{tagging}", "ec2:CreateVolume", new["volume"], context)
        yield Question(f"a new snapshot {tagging}", "ec2:CopySnapshot", ec2_arn("snapshot", name="*"), context)
    yield from _copied()


def _drills() -> Iterator[Question]:
    for tagging, context in {
        "with a drill's tags": keyed(drill="drill-1", stack=STACK),
        "with another stack's drill's tags": keyed(drill="drill-1", stack="other"),
        "with a drill's tag alone": keyed(drill="drill-1"),
        "with a drill's and a restore's tags": keyed(drill="drill-1", stack=STACK, restore="restore-1"),
    }.items():
        for where, region in (("", REGION), ("elsewhere ", "us-east-1")):
            arn = ec2_arn("volume", region=region, name="*")
            for action in ("CreateVolume", "CopyVolumes"):
                yield Question(f"a new volume {where}{tagging}", f"ec2:{action}", arn, context)
    for what in _DRILL_ITEMS:
        for action in TABLE_USES:
            only = {"dynamodb:leadingkeys": [what]}
            yield Question(f"of the table's {what}", f"dynamodb:{action}", TABLE, only)
            yield Question(f"of another table's {what}", f"dynamodb:{action}", TABLE + "2", only)
        yield Question(f"of the table's {what}", "dynamodb:BatchWriteItem", TABLE, {"dynamodb:leadingkeys": [what]})
    more = {"dynamodb:leadingkeys": ["restore", "selected"]}
    yield Question("of the table's restores and selected", "dynamodb:GetItem", TABLE, more)
    yield Question("of the table's restores and selected", "dynamodb:Query", TABLE, more)
    alone = OURS | tags("resource", stack=STACK)
    yield Question("a snapshot with our stack's tag alone", "ec2:CreateVolume", ec2_arn("snapshot"), alone)


def _evidence() -> Iterator[Question]:
    """The evidence bucket: what shows its settings, and all that could change it or read an object."""
    for action in (*EVIDENCE_READS, *EVIDENCE_CHANGES):
        yield Question("of the evidence bucket", f"s3:{action}", EVIDENCE_BUCKET)
        yield Question("of a bucket beside it", f"s3:{action}", EVIDENCE_BUCKET + "2")
    for action in EVIDENCE_OBJECTS:
        yield Question("of evidence", f"s3:{action}", f"{EVIDENCE_BUCKET}/glacier/1")
    for what in _EVIDENCE_ITEMS:
        only = {"dynamodb:leadingkeys": [what]}
        for action in (*TABLE_USES, "BatchWriteItem"):
            yield Question(f"of the table's {what}", f"dynamodb:{action}", TABLE, only)
            yield Question(f"of another table's {what}", f"dynamodb:{action}", TABLE + "2", only)
    more = {"dynamodb:leadingkeys": ["evidence", "restore"]}
    yield Question("of the table's evidence and restores", "dynamodb:PutItem", TABLE, more)


STACK_READS = {
    "of the stack": (
        f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/1",
        ("cloudformation:DescribeStacks", "cloudformation:ListStackResources"),
        ("cloudformation:UpdateStack", "cloudformation:DeleteStack", "cloudformation:DetectStackDrift"),
    ),
    "of a function": (
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STACK}-take-snapshots",
        ("lambda:GetFunctionConfiguration", "lambda:GetFunctionConcurrency"),
        ("lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency", "lambda:GetFunction"),
    ),
    "of a mapping": (
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:1",
        ("lambda:GetEventSourceMapping",),
        ("lambda:UpdateEventSourceMapping", "lambda:DeleteEventSourceMapping"),
    ),
    "of a schedule": (
        f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{STACK}-1",
        ("scheduler:GetSchedule",),
        ("scheduler:UpdateSchedule", "scheduler:DeleteSchedule", "scheduler:CreateSchedule"),
    ),
    "of a rule": (
        f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{STACK}-1",
        ("events:DescribeRule",),
        ("events:DisableRule", "events:PutRule", "events:PutTargets", "events:DeleteRule"),
    ),
    "of an alarm": (
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{STACK}-1",
        ("cloudwatch:DescribeAlarms",),
        ("cloudwatch:DisableAlarmActions", "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"),
    ),
    "of a key": (
        KEY,
        (),
        ("kms:DisableKey", "kms:EnableKey", "kms:ScheduleKeyDeletion", "kms:PutKeyPolicy", "kms:GetKeyPolicy"),
    ),
    "of a file system": (
        f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/fs-1",
        ("elasticfilesystem:DescribeFileSystems", "elasticfilesystem:DescribeBackupPolicy"),
        ("elasticfilesystem:PutBackupPolicy", "elasticfilesystem:DeleteFileSystem", "elasticfilesystem:ClientMount"),
    ),
    "of the table itself": (
        TABLE,
        ("dynamodb:DescribeTable",),
        ("dynamodb:UpdateTable", "dynamodb:DeleteTable", "dynamodb:Scan"),
    ),
}
"""Of the parts of a stack: a resource, what shows how it is set up, and what would change it or show more."""


def _stack() -> Iterator[Question]:
    for name, (arn, reads, others) in STACK_READS.items():
        for action in (*reads, *others):
            yield Question(name, action, arn)
            yield Question(f"{name}, of a stranger", action, arn.replace(ACCOUNT, FOREIGN))
    yield Question("of the account", "lambda:GetAccountSettings", "*")
    for action in ("DisableEbsEncryptionByDefault", "EnableEbsEncryptionByDefault", "ModifyEbsDefaultKmsKeyId"):
        yield Question("here", f"ec2:{action}", "*")
    other = STACK_READS["of the stack"][0].replace(f"stack/{STACK}/", "stack/other/")
    yield Question("of another stack", "cloudformation:DescribeStacks", other)


def _locks() -> Iterator[Question]:
    for name, (arn, context) in RESOURCES["snapshot"].items():
        for days in ("1", "7", "8", "36500"):
            about = {**context, "ec2:snapshotlockduration": days}
            yield Question(f"for {days} days on {name}", "ec2:LockSnapshot", arn, about)
            yield Question(f"locked for {days} days: {name}", "ec2:UnlockSnapshot", arn, about)


def _copied() -> Iterator[Question]:
    for where, region in (("in a destination", AWAY), ("in another region", "us-east-1")):
        for tagging, context in {
            "with our stack's tag and this region's": keyed(stack=STACK, copied_from=REGION),
            "with another stack's tag and this region's": keyed(stack="other", copied_from=REGION),
            "with our stack's tag and another region's": keyed(stack=STACK, copied_from="us-east-1"),
            "without a tag": NO_TAG,
        }.items():
            at = {**context, "ec2:region": region}
            name = f"a new copy {where} {tagging}"
            yield Question(name, "ec2:CopySnapshot", ec2_arn("snapshot", region=region, name="*"), at)
            yield Question(name, "ec2:CreateSnapshots", ec2_arn("snapshot", region=region, name="*"), at)
            yield Question(f"{name}, of a volume", "ec2:CopySnapshot", ec2_arn("volume", region=region, name="*"), at)
            made = {**at, "ec2:createaction": "CopySnapshot"}
            yield Question(name, "ec2:CreateTags", ec2_arn("snapshot", region=region, name="*"), made)
    for tagging, context in {
        "with our stack's tag and the fetched region's": keyed(stack=STACK, copied_from=AWAY),
        "with another stack's tag and the fetched region's": keyed(stack="other", copied_from=AWAY),
        "with our stack's tag and another region's": keyed(stack=STACK, copied_from="us-east-1"),
    }.items():
        for where, region in (("here", REGION), ("in a third region", "us-east-1")):
            arn = ec2_arn("snapshot", region=region, name="*")
            yield Question(f"a fetched copy {where} {tagging}", "ec2:CopySnapshot", arn, context)
            yield Question(f"a fetched copy {where} {tagging}", "ec2:ImportSnapshot", arn, context)


def _shares() -> Iterator[Question]:
    for name, (arn, context) in RESOURCES["snapshot"].items():
        for way, about in {
            "with the vault": {"ec2:add/userid": VAULT},
            "with a stranger": {"ec2:add/userid": FOREIGN},
            "with the vault and a stranger": {"ec2:add/userid": [VAULT, FOREIGN]},
            "with the vault and all": {"ec2:add/userid": VAULT, "ec2:add/group": "all"},
            "with all": {"ec2:add/group": "all"},
            "no longer with the vault": {"ec2:remove/userid": VAULT},
            "with the vault instead of others": {"ec2:add/userid": VAULT, "ec2:remove/userid": FOREIGN},
            "with the vault instead of all": {"ec2:add/userid": VAULT, "ec2:remove/group": "all"},
        }.items():
            yield Question(f"{name} {way}", "ec2:ResetSnapshotAttribute", arn, {**context, **about})
            yield Question(f"{name} {way}", "ec2:ModifySnapshotAttribute", arn, {**context, **about})


def _vault() -> Iterator[Question]:
    for tagging, context in {
        "with our stack's tag and a source's": keyed(stack=STACK, source_account=SOURCE),
        "with our stack's tag and a stranger's": keyed(stack=STACK, source_account=FOREIGN),
        "with another stack's tag and a source's": keyed(stack="other", source_account=SOURCE),
    }.items():
        for where, region in (("here", REGION), ("elsewhere", "us-east-1")):
            arn = ec2_arn("snapshot", region=region, name="*")
            yield Question(f"a new copy {where} {tagging}", "ec2:CopySnapshot", arn, context)
            yield Question(f"a new copy {where} {tagging}", "ec2:ImportSnapshot", arn, context)
    source_key = KEY.replace(ACCOUNT, SOURCE)
    resource = {"kms:grantisforawsresource": "true"}
    for action in (*KMS_USES, *COPY_KMS_USES, "CreateGrant"):
        yield Question("through EC2 with a source's key", f"kms:{action}", source_key, THROUGH_EC2 | resource)
        for name, key in {
            "a source's key elsewhere": source_key.replace(REGION, "us-east-1"),
            "a stranger's key": KEY.replace(ACCOUNT, FOREIGN),
        }.items():
            yield Question(f"through EC2 with {name}", f"kms:{action}", key, THROUGH_EC2 | resource)
        yield Question("with a source's key by itself", f"kms:{action}", source_key, resource)
    yield Question("through EC2 with a source's key for any principal", "kms:CreateGrant", source_key, THROUGH_EC2)
    yield Question("of a source's reader", "sts:AssumeRole", READER)
    yield Question("of a source's reader", "sts:TagSession", READER)
    yield Question("of a source's other role", "sts:AssumeRole", READER + "2")
    yield Question("of a stranger's reader", "sts:AssumeRole", READER.replace(SOURCE, FOREIGN))


def _reads() -> Iterator[Question]:
    for action in READS:
        yield Question("here", f"ec2:{action}", "*")
        yield Question("elsewhere", f"ec2:{action}", "*", {"ec2:region": "us-east-1"})
        yield Question("in a destination", f"ec2:{action}", "*", {"ec2:region": AWAY})


def _keys() -> Iterator[Question]:
    for action in (*KMS_USES, *COPY_KMS_USES):
        yield Question("through EC2", f"kms:{action}", KEY, THROUGH_EC2)
        yield Question("by itself", f"kms:{action}", KEY)
        yield Question("through S3", f"kms:{action}", KEY, {"kms:viaservice": f"s3.{REGION}.amazonaws.com"})
    resource = {"kms:grantisforawsresource": "true"}
    yield Question("through EC2 for a volume", "kms:CreateGrant", KEY, THROUGH_EC2 | resource)
    yield Question("through EC2 for any principal", "kms:CreateGrant", KEY, THROUGH_EC2)
    yield Question("by itself for a volume", "kms:CreateGrant", KEY, resource)
    yield Question("by itself for any principal", "kms:CreateGrant", KEY)
    for action in (*KMS_USES, "CreateGrant"):
        elsewhere = KEY.replace(REGION, "us-east-1")
        yield Question("through EC2 with a key elsewhere", f"kms:{action}", elsewhere, THROUGH_EC2 | resource)
        foreign = elsewhere.replace(ACCOUNT, FOREIGN)
        yield Question("through EC2 with a foreign key elsewhere", f"kms:{action}", foreign, THROUGH_EC2 | resource)
    yield Question("through EC2 for a volume", "kms:RevokeGrant", KEY, THROUGH_EC2 | resource)


def _stores() -> Iterator[Question]:
    for action in TABLE_USES:
        yield Question("of the table", f"dynamodb:{action}", TABLE)
        yield Question("of another table", f"dynamodb:{action}", TABLE + "2")
        open_backups = {"dynamodb:leadingkeys": ["backup-open"]}
        yield Question("of the table's open backups", f"dynamodb:{action}", TABLE, open_backups)
        yield Question("of another table's open backups", f"dynamodb:{action}", TABLE + "2", open_backups)
        for what in (
            "restore",
            "restore-open",
            "retention",
            "asked",
            *VERIFICATIONS,
            *CANARY,
            *_SHOWN_ITEMS,
            *_CHECK_ITEMS,
        ):
            only = {"dynamodb:leadingkeys": [what]}
            yield Question(f"of the table's {what}", f"dynamodb:{action}", TABLE, only)
            yield Question(f"of another table's {what}", f"dynamodb:{action}", TABLE + "2", only)
        more = {"dynamodb:leadingkeys": ["backup-open", "restore"]}
        yield Question("of the table's restores, too", f"dynamodb:{action}", TABLE, more)
    selected = {"dynamodb:leadingkeys": ["selected"]}
    yield Question("of selected instances", "dynamodb:BatchWriteItem", TABLE, selected)
    yield Question("of selected instances", "dynamodb:BatchGetItem", TABLE, selected)
    yield Question("of selected instances in another table", "dynamodb:BatchWriteItem", TABLE + "2", selected)
    more = {"dynamodb:leadingkeys": ["selected", "restore"]}
    yield Question("of the table's restores, too", "dynamodb:BatchWriteItem", TABLE, more)
    yield Question("of the table", "dynamodb:BatchWriteItem", TABLE)
    terms = {"dynamodb:leadingkeys": ["retention"]}
    yield Question("of the terms of retention", "dynamodb:BatchWriteItem", TABLE, terms)
    runs = {"dynamodb:leadingkeys": ["retention-run"]}
    yield Question("of the runs of retention", "dynamodb:BatchWriteItem", TABLE, runs)
    yield Question("of the terms of retention in another table", "dynamodb:BatchWriteItem", TABLE + "2", terms)
    more = {"dynamodb:leadingkeys": ["retention", "restore"]}
    yield Question("of the terms of retention and restores", "dynamodb:BatchWriteItem", TABLE, more)
    yield Question("of verifications", "dynamodb:BatchWriteItem", TABLE, {"dynamodb:leadingkeys": ["verify-open"]})
    started = {"dynamodb:leadingkeys": ["backup-done"]}
    yield Question("of started backups", "dynamodb:BatchWriteItem", TABLE, started)
    yield Question("of the table", "dynamodb:ConditionCheckItem", TABLE)
    yield Question("of another table", "dynamodb:ConditionCheckItem", TABLE + "2")
    yield from _objects()
    for action in (*WORK_USES, "PurgeQueue", "SetQueueAttributes", "DeleteQueue"):
        yield Question("of the work queue", f"sqs:{action}", WORK)
        yield Question("of another queue", f"sqs:{action}", WORK + "2")
    yield Question("on the topic", "sns:Publish", TOPIC)
    yield Question("on another topic", "sns:Publish", TOPIC + "2")
    yield Question("on the topic of e-mails", "sns:Publish", MAIL)
    yield Question("on the topic of chat", "sns:Publish", CHAT)
    for action in ("GetTopicAttributes", "SetTopicAttributes", "ListSubscriptionsByTopic", "Subscribe", "DeleteTopic"):
        yield Question("of the topic", f"sns:{action}", TOPIC)
        yield Question("of another topic", f"sns:{action}", TOPIC + "2")
        yield Question("of the topic of e-mails", f"sns:{action}", MAIL)
        yield Question("of the topic of chat", f"sns:{action}", CHAT)
    # SAM itself lets every role send there what fails.
    for action in ("GetQueueAttributes", "ReceiveMessage", "DeleteMessage", "PurgeQueue", "SetQueueAttributes"):
        yield Question("of the failed events", f"sqs:{action}", FAILED)


EVIDENCE_READS = (
    *("GetBucketLocation", "GetBucketVersioning", "GetBucketObjectLockConfiguration", "GetLifecycleConfiguration"),
    *("GetBucketPublicAccessBlock", "GetBucketPolicy", "GetBucketPolicyStatus", "GetEncryptionConfiguration"),
    *("GetReplicationConfiguration", "GetBucketOwnershipControls", "ListBucketVersions"),
)
EVIDENCE_CHANGES = (
    *("CreateBucket", "DeleteBucket", "DeleteBucketPolicy", "PutBucketPolicy", "PutBucketAcl", "PutBucketVersioning"),
    *("PutLifecycleConfiguration", "PutEncryptionConfiguration", "PutReplicationConfiguration", "PutBucketTagging"),
    *("PutBucketObjectLockConfiguration", "PutBucketPublicAccessBlock", "PutBucketOwnershipControls"),
    *("PutBucketNotification", "PutInventoryConfiguration", "PutBucketLogging", "ListBucket"),
)
EVIDENCE_OBJECTS = (
    *("GetObject", "GetObjectVersion", "PutObject", "DeleteObject", "DeleteObjectVersion", "RestoreObject"),
    *("PutObjectAcl", "PutObjectTagging", "DeleteObjectTagging", "PutObjectRetention", "PutObjectLegalHold"),
    *("BypassGovernanceRetention", "AbortMultipartUpload", "ReplicateDelete", "ReplicateObject"),
)
OBJECT_USES = ("GetObject", "PutObject", "DeleteObject", "GetObjectVersion", "PutObjectAcl")
MANIFEST_USES = (*OBJECT_USES, "DeleteObjectVersion", "PutObjectRetention", "BypassGovernanceRetention")


def _objects() -> Iterator[Question]:
    for action in OBJECT_USES:
        yield Question("of digests", f"s3:{action}", f"{BUCKET}/digests/snap-1")
        yield Question("of other manifests", f"s3:{action}", f"{BUCKET}/other/1")
        yield Question("of digests in another bucket", f"s3:{action}", f"{BUCKET}2/digests/snap-1")
    for action in MANIFEST_USES:
        yield Question("of the evidence's manifests", f"s3:{action}", f"{BUCKET}/evidence/{EVIDENCE}/index/1")
        yield Question("of another evidence's manifests", f"s3:{action}", f"{BUCKET}/evidence/{EVIDENCE}2/index/1")
        yield Question("of manifests in another bucket", f"s3:{action}", f"{BUCKET}2/evidence/{EVIDENCE}/index/1")
    for what, prefix in (("the evidence's manifests", f"evidence/{EVIDENCE}/index/"), ("digests", "digests/")):
        for action in ("ListBucket", "ListBucketVersions"):
            yield Question(f"of {what} in their bucket", f"s3:{action}", BUCKET, {"s3:prefix": prefix})
    only = {"s3:prefix": f"evidence/{EVIDENCE}/index/"}
    yield Question("of manifests in another bucket", "s3:ListBucket", BUCKET + "2", only)
    for action in ("ListBucket", "ListBucketVersions", "PutBucketPolicy", "DeleteBucket", "PutLifecycleConfiguration"):
        yield Question("of the manifests' bucket", f"s3:{action}", BUCKET)
        yield Question("of another bucket", f"s3:{action}", BUCKET + "2")


def _functions() -> Iterator[Question]:
    for function in FUNCTIONS:
        name = re.sub("(?<=.)([A-Z])", r"-\1", function).lower()
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STACK}-{name}"
        for action in ("InvokeFunction", "UpdateFunctionCode", "AddPermission"):
            yield Question(f"of {function}", f"lambda:{action}", arn)
            yield Question(f"of another stack's {function}", f"lambda:{action}", arn.replace(f":{STACK}-", ":other-"))
            yield Question(f"of a stranger's {function}", f"lambda:{action}", arn.replace(ACCOUNT, FOREIGN))


def _state_machines() -> Iterator[Question]:
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STACK}-wake"
    for action in ("StartExecution", "StartSyncExecution", "UpdateStateMachine", "DeleteStateMachine"):
        yield Question("of the wakes", f"states:{action}", arn)
        yield Question("of another stack's wakes", f"states:{action}", arn.replace(f":{STACK}-", ":other-"))
        yield Question("of a stranger's wakes", f"states:{action}", arn.replace(ACCOUNT, FOREIGN))
    yield Question("of a wake", "states:StopExecution", arn.replace(":stateMachine:", ":execution:") + ":1")


def _buses() -> Iterator[Question]:
    bus = f"arn:aws:events:{AWAY}:{ACCOUNT}:event-bus/default"
    for name, arn in {
        "the default bus at home": bus,
        "another bus at home": bus.replace("default", "other"),
        "the default bus here": bus.replace(AWAY, REGION),
        "the default bus of a stranger": bus.replace(ACCOUNT, FOREIGN),
    }.items():
        for action in ("PutEvents", "PutPermission"):
            yield Question(f"on {name}", f"events:{action}", arn)


# --- what each of them may do

_PUBLISH = {f"sns:Publish on the topic{name}" for name in ("", " of e-mails", " of chat")}
_WAKE = {"states:StartExecution of the wakes"}
_EVIDENCE_ITEMS = ("evidence", "evidence-open", "evidence-guard", "evidence-listing", "published-evidence")
_DRILL_ITEMS = ("drill-open", "drill", "published-drill")
_SHOWN_ITEMS = ("selected", "schedule", "copy-open", "copy-gave-up", "retention-run")
_CHECK_ITEMS = ("published-check",)
_RESTORE_ITEMS = ("restore", "restore-open")
_STATE = (
    {
        f"dynamodb:{action} {what}"
        for action in TABLE_USES
        for what in (
            "of the table",
            "of the table's open backups",
            "of the table's restore",
            "of the table's restore-open",
            "of the table's retention",
            "of the table's asked",
            *(f"of the table's {what}" for what in (*VERIFICATIONS, *CANARY)),
            "of the table's restores, too",
            *(f"of the table's {what}" for what in (*_DRILL_ITEMS, *_EVIDENCE_ITEMS, *_SHOWN_ITEMS, *_CHECK_ITEMS)),
        )
    }
    | {f"dynamodb:{action} of the table's restores and selected" for action in ("GetItem", "Query")}
    | {"dynamodb:PutItem of the table's evidence and restores"}
)


def _here(*actions: str) -> set[str]:
    return {f"ec2:{action} here" for action in actions}


def _each(actions: tuple[str, ...], *names: str) -> set[str]:
    return {f"ec2:{action} {name}" for action in actions for name in names}


KEY_OWNERS = ("source's", "stranger's")

_MAKE_VOLUMES = {
    "ec2:CreateVolume a new volume with a restore's tag",
    "ec2:CreateVolume a new volume with a drill's and a restore's tags",
    *(f"ec2:CreateVolume {name}" for name in RESOURCES["snapshot"] if "recovery point" in name and "else" not in name),
    "ec2:CreateVolume a kept copy",
    "ec2:CreateVolume a trusted owner's snapshot",
    *(
        f"ec2:CreateTags {tagging}, at CreateVolume, of a new volume"
        for tagging in ("our stack's tag", "another stack's tag", "a restore's tag")
    ),
    *(f"kms:{action} through EC2" for action in KMS_USES),
    "kms:CreateGrant through EC2 for a volume",
    # A trusted owner may share a snapshot encrypted with a key of any account. The policy of that key decides.
    *(f"kms:{action} through EC2 with a {whose} key" for action in (*KMS_USES, "CreateGrant") for whose in KEY_OWNERS),
}
_COPY_SHARED = {
    "ec2:CopySnapshot a new copy here with our stack's tag and a source's",
    "ec2:CopySnapshot a source's snapshot",
    "ec2:CopySnapshot a source's snapshot elsewhere",
    "ec2:CopySnapshot a source's snapshot with our tags",
}
_FETCH = {
    "ec2:CopySnapshot a fetched copy here with our stack's tag and the fetched region's",
    *_COPY_SHARED,
    *(
        f"ec2:CopySnapshot {name}"
        for name, (_, context) in RESOURCES["snapshot"].items()
        if context["ec2:owner"] == ACCOUNT
    ),
    "ec2:CreateTags our stack's tag, at CopySnapshot, of a new snapshot",
    *(f"kms:{action} through EC2" for action in (*KMS_USES, *COPY_KMS_USES)),
    *(f"kms:{action} through EC2 with a key elsewhere" for action in (*KMS_USES, "CreateGrant")),
    "kms:CreateGrant through EC2 for a volume",
}
_OUR_SNAPSHOTS = ("a recovery point", "a held recovery point", "a shared recovery point", "a kept copy")
_EXCHANGE = ("AttachVolume", "DetachVolume")
_DISPLACED = "the tags of a displaced volume"

MAY: Mapping[str, set[str]] = {
    "TakeSnapshots": {
        "ec2:CreateSnapshots a selected instance",
        *(
            f"ec2:CreateSnapshots {name}"
            for name in RESOURCES["volume"]
            if "elsewhere" not in name and "foreign" not in name
        ),
        "ec2:CreateSnapshots a new snapshot with our stack's tag",
        "ec2:CreateTags our stack's tag, at CreateSnapshots, of a new snapshot",
        *_here("DescribeInstances", "DescribeVolumes", "DescribeSnapshots", "DescribeInstanceImageMetadata"),
        *(f"sqs:{action} of the work queue" for action in WORK_USES),
        *_STATE,
        "dynamodb:BatchWriteItem of selected instances",
        "dynamodb:BatchWriteItem of started backups",
        "dynamodb:ConditionCheckItem of the table",
        "lambda:InvokeFunction of TakeSnapshots",
        *_WAKE,
        *_PUBLISH,
    },
    "ConfirmSnapshots": {
        *_here("DescribeSnapshots", "DescribeLockedSnapshots"),
        *(
            f"ec2:LockSnapshot for {days} days on {name}"
            for days in (1, 7)  # LockDays is 7
            for name in ("a recovery point", "a held recovery point", "a shared recovery point", "a kept copy")
        ),
        *_STATE,
        *_WAKE,
        *_PUBLISH,
    },
    "PruneSnapshots": {
        *_here("DescribeInstances", "DescribeVolumes", "DescribeSnapshots", "DescribeLockedSnapshots"),
        *_here("DescribeImages"),
        "ec2:DeleteSnapshot a recovery point",
        "ec2:DeleteSnapshot a kept copy",
        "ec2:CreateTags the tags of adoption on an untagged snapshot",
        # A hold is written once, and never removed: the reason of an earlier one stays.
        *(f"ec2:CreateTags a hold on {name}" for name in _OUR_SNAPSHOTS if name != "a held recovery point"),
        "dynamodb:Query of the table's open backups",
        "dynamodb:Query of the table's restore-open",
        "dynamodb:Query of the table's retention",
        "dynamodb:GetItem of the table's asked",
        "dynamodb:PutItem of the table's asked",
        "lambda:InvokeFunction of PruneSnapshots",
        "dynamodb:BatchWriteItem of the terms of retention",
        "dynamodb:BatchWriteItem of the runs of retention",
        "dynamodb:GetItem of the table's restore",
        *_PUBLISH,
    },
    "CopySnapshots": {
        *_here("DescribeSnapshots"),
        "ec2:DescribeSnapshots in a destination",
        "ec2:CopySnapshot a new copy in a destination with our stack's tag and this region's",
        *(
            f"ec2:CopySnapshot {name}"
            for name, (_, context) in RESOURCES["snapshot"].items()
            if context["ec2:owner"] == ACCOUNT
        ),
        *(
            f"ec2:ModifySnapshotAttribute {name} with the vault"
            for name in ("a recovery point", "a held recovery point", "a shared recovery point", "a kept copy")
        ),
        "sts:AssumeRole of a source's reader",
        *_COPY_SHARED,
        *(f"kms:{action} through EC2 with a source's key" for action in ("Decrypt", "DescribeKey", "ReEncryptFrom")),
        "kms:CreateGrant through EC2 with a source's key",
        *_here("DescribeLockedSnapshots"),
        *(f"ec2:LockSnapshot for {days} days on a kept copy" for days in (1, 7)),
        "ec2:CreateTags our stack's tag, at CopySnapshot, of a new snapshot",
        "ec2:CreateTags a new copy in a destination with our stack's tag and this region's",
        "ec2:CreateTags a new copy in a destination with our stack's tag and another region's",
        "ec2:CreateTags a new copy in another region with our stack's tag and this region's",
        "ec2:CreateTags a new copy in another region with our stack's tag and another region's",
        *(f"kms:{action} through EC2" for action in (*KMS_USES, *COPY_KMS_USES)),
        *(f"kms:{action} through EC2 with a key elsewhere" for action in (*KMS_USES, "CreateGrant")),
        "kms:CreateGrant through EC2 for a volume",
        *_STATE,
        *_WAKE,
        *_PUBLISH,
    },
    "VerifySnapshots": {
        *_here("DescribeSnapshots", "DescribeVolumes"),
        *(
            f"ebs:{action} {name}"
            for action in BLOCK_READS
            for name in (*_OUR_SNAPSHOTS, "a source's snapshot", "a source's snapshot with our tags")
        ),
        *(f"ebs:{action} our copy elsewhere" for action in BLOCK_READS),
        "ec2:DescribeSnapshots in a destination",
        *(f"kms:{action} through EC2 with a key elsewhere" for action in ("Decrypt", "DescribeKey")),
        *(f"ec2:CreateTags {what} on {name}" for what in ("the proof", "a suspicion") for name in _OUR_SNAPSHOTS),
        *(f"kms:{action} through EC2" for action in ("Decrypt", "DescribeKey")),
        *(
            f"kms:{action} through EC2 with a {whose} key"
            for action in ("Decrypt", "DescribeKey")
            for whose in KEY_OWNERS
        ),
        *(f"dynamodb:{action} of the table's {what}" for action in TABLE_USES for what in (*VERIFICATIONS, *CANARY)),
        *(f"s3:{action} of digests" for action in ("GetObject", "PutObject")),
        "s3:ListBucket of the manifests' bucket",
        *(f"s3:ListBucket of {what} in their bucket" for what in ("the evidence's manifests", "digests")),
        *_PUBLISH,
    },
    "VaultReader": {*_here("DescribeSnapshots")},
    "CopyEnded": {"events:PutEvents on the default bus at home"},
    "Wake": {
        f"lambda:InvokeFunction of {function}"
        for function in ("AttachVolume", "ConfirmSnapshots", "CopySnapshots", "DrillRestores")
    },
    "RestoreVolume": {
        *_here("DescribeInstances", "DescribeInstanceAttribute", "DescribeVolumes", "DescribeSnapshots"),
        *_here("DescribeInstanceTypes", "DescribeVolumeAttribute"),
        *_here("DescribeImages", "DescribeInstanceImageMetadata", "GetEbsEncryptionByDefault"),
        *_each(("GetImageAncestry",), "an image", "an own image", "a source's image"),
        "ec2:DescribeSnapshots in a destination",
        "sts:AssumeRole of a source's reader",
        "lambda:InvokeFunction of RestoreVolume",
        *_FETCH,
        *_MAKE_VOLUMES,
        *_STATE,
        *_WAKE,
        *_PUBLISH,
    },
    "AttachVolume": {
        *_here("DescribeInstances", "DescribeInstanceStatus", "DescribeVolumes", "DescribeSnapshots"),
        *_FETCH,
        *_each((*_EXCHANGE, "StopInstances", "StartInstances", "ModifyInstanceAttribute"), "a target instance"),
        *_each(("StartInstances",), "a licence", "a licence shared with us", "a group"),
        *_each(
            (*_EXCHANGE, "ModifyInstanceAttribute"),
            "a target volume",
            "a restored volume",
            "a restored, displaced volume",
            "a drill's and a restore's volume",
        ),
        f"ec2:CreateTags {_DISPLACED} on a target volume",
        f"ec2:DeleteTags {_DISPLACED} off a target volume",
        "ec2:DeleteVolume a restored volume",
        "ec2:DeleteVolume a drill's and a restore's volume",
        *_MAKE_VOLUMES,
        *_STATE,
        *_WAKE,
        *_PUBLISH,
    },
    "DrillRestores": {
        *_here("DescribeAvailabilityZones", "DescribeSnapshots", "DescribeVolumes"),
        "ec2:CreateVolume a new volume with a drill's tags",
        *(
            f"ec2:CreateVolume {name}"
            for name in ("a recovery point", "a held recovery point", "a shared recovery point", "a kept copy")
        ),
        "ec2:CreateTags our stack's tag, at CreateVolume, of a new volume",
        *(f"kms:{action} through EC2" for action in KMS_USES),
        "kms:CreateGrant through EC2 for a volume",
        *(
            f"kms:{action} through EC2 with a {whose} key"
            for action in (*KMS_USES, "CreateGrant")
            for whose in KEY_OWNERS
        ),
        "ec2:DeleteVolume a drill's volume",
        *(f"ebs:{action} {name}" for action in ("ListSnapshotBlocks", "GetSnapshotBlock") for name in _OUR_SNAPSHOTS),
        *(f"dynamodb:{action} of the table's {what}" for action in TABLE_USES for what in _DRILL_ITEMS),
        *(f"dynamodb:{action} of the table's {what}" for action in ("GetItem", "Query") for what in _RESTORE_ITEMS),
        *_WAKE,
        *_PUBLISH,
    },
    "GuardEvidence": {
        *(f"s3:{action} of the evidence bucket" for action in EVIDENCE_READS),
        *(
            f"s3:{action} of the evidence's manifests"
            for action in ("GetObject", "PutObject", "DeleteObject", "PutObjectRetention")
        ),
        "s3:ListBucket of the evidence's manifests in their bucket",
        *(
            f"dynamodb:{action} of the table's {what}"
            for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")
            for what in _EVIDENCE_ITEMS
        ),
        *_PUBLISH,
    },
    "ShowStatus": {
        *_here("DescribeInstances", "DescribeVolumes", "DescribeSnapshots", "DescribeLockedSnapshots"),
        "ec2:DescribeSnapshots in a destination",
        *(
            f"dynamodb:{action} of the table's {what}"
            for action in ("GetItem", "Query")
            for what in (
                *_SHOWN_ITEMS,
                "retention",
                *_RESTORE_ITEMS,
                "open backups",
                "restores, too",
                "restores and selected",
            )
        ),
        "sns:GetTopicAttributes of the topic",
        "sns:GetTopicAttributes of the topic of e-mails",
        "sqs:GetQueueAttributes of the failed events",
    },
    "CheckStack": {
        *_here("DescribeInstances", "DescribeVolumes", "DescribeSnapshots"),
        *_here("GetEbsEncryptionByDefault", "GetEbsDefaultKmsKeyId"),
        "ec2:DescribeSnapshots in a destination",
        *(f"{action} {name}" for name, (_, reads, _) in STACK_READS.items() for action in reads),
        "cloudwatch:DescribeAlarms of an alarm, of a stranger",  # has no resource of its own: IAM asks about *
        "elasticfilesystem:DescribeFileSystems of a file system, of a stranger",  # a list names none: IAM asks about *
        "lambda:GetAccountSettings of the account",
        *(
            f"kms:DescribeKey {name}"
            for name in ("through EC2", "by itself", "through S3", "through EC2 with a key elsewhere")
        ),
        *(
            f"dynamodb:{action} of the table's {what}"
            for action in ("GetItem", "Query")
            for what in ("selected", "schedule")
        ),
        *(
            f"dynamodb:{action} of the table's published-check"
            for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")
        ),
        "sns:ListSubscriptionsByTopic of the topic",
        "sns:ListSubscriptionsByTopic of the topic of e-mails",
        "sqs:GetQueueAttributes of the failed events",
        *_PUBLISH,
    },
    "CheckAmiOwner": {
        *_here("DescribeInstances", "DescribeImages", "DescribeInstanceImageMetadata"),
        *_each(("GetImageAncestry",), "an image", "an own image", "a source's image"),
        *_PUBLISH,
    },
}

# --- the topic and the queue: which AWS service may use them, and on behalf of what


def _by_services(resource: str, action: str) -> Iterator[Question]:
    home = {"aws:sourceaccount": ACCOUNT}
    sources = {
        "an alarm": ("cloudwatch", {**home, "aws:sourcearn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:1"}),
        "a foreign alarm": (
            "cloudwatch",
            {"aws:sourceaccount": FOREIGN, "aws:sourcearn": f"arn:aws:cloudwatch:{REGION}:{FOREIGN}:alarm:1"},
        ),
        "an alarm of a foreign account's request": (
            "cloudwatch",
            {"aws:sourceaccount": FOREIGN, "aws:sourcearn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:1"},
        ),
        "a dashboard": ("cloudwatch", {**home, "aws:sourcearn": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/1"}),
        "a rule": ("events", {**home, "aws:sourcearn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/1"}),
        "a foreign rule": (
            "events",
            {"aws:sourceaccount": FOREIGN, "aws:sourcearn": f"arn:aws:events:{REGION}:{FOREIGN}:rule/1"},
        ),
        "a rule of a foreign account's request": (
            "events",
            {"aws:sourceaccount": FOREIGN, "aws:sourcearn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/1"},
        ),
        "a pipe": ("events", {**home, "aws:sourcearn": f"arn:aws:pipes:{REGION}:{ACCOUNT}:pipe/1"}),
        "our topic": ("sns", {**home, "aws:sourcearn": TOPIC}),
        "another topic": ("sns", {**home, "aws:sourcearn": TOPIC + "2"}),
        "a service with an alarm's name": (
            "s3",
            {**home, "aws:sourcearn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:1"},
        ),
        "a service with a rule's name": ("s3", {**home, "aws:sourcearn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/1"}),
        "a service with our topic's name": ("s3", {**home, "aws:sourcearn": TOPIC}),
        "a bucket": ("s3", {**home, "aws:sourcearn": "arn:aws:s3:::bucket"}),
    }
    for name, (service, context) in sources.items():
        yield Question(f"by {name}", action, resource, context, f"{service}.amazonaws.com")
        yield Question(f"by {name}, to another", action, resource + "2", context, f"{service}.amazonaws.com")
        yield Question(
            f"by {name}", action.split(":", maxsplit=1)[0] + ":*", resource, context, f"{service}.amazonaws.com"
        )


SHARED_RESOURCES: Mapping[str, tuple[str, str]] = {
    "NotificationTopic": (TOPIC, "sns:Publish"),
    "MailTopic": (MAIL, "sns:Publish"),
    "ChatTopic": (CHAT, "sns:Publish"),
    "FailedEvents": (QUEUE, "sqs:SendMessage"),
}
MAY_REACH: Mapping[str, set[str]] = {
    "NotificationTopic": {"sns:Publish by an alarm"},
    "MailTopic": {"sns:Publish by an alarm"},
    "ChatTopic": {"sns:Publish by an alarm"},
    "FailedEvents": {"sqs:SendMessage by a rule", "sqs:SendMessage by our topic"},
}


@cache
def asked_of(owner: str) -> tuple[Question, ...]:
    """Every question about a function's role, or about a resource with a policy of its own."""
    return tuple(_by_services(*SHARED_RESOURCES[owner])) if owner in SHARED_RESOURCES else tuple(questions())


def expected(owner: str) -> set[str]:
    """The questions that must be allowed, as texts."""
    return MAY_REACH[owner] if owner in SHARED_RESOURCES else MAY[owner]


OWNERS = (*FUNCTIONS, *ROLES, *SHARED_RESOURCES)


@cache
def _answers(owner: str) -> tuple[tuple[Question, bool], ...]:
    """Each question with the expected answer.

    First what is allowed, then what else is asked about the same actions: there, most mutants are noticed.
    """
    answers = [(question, str(question) in expected(owner)) for question in asked_of(owner)]
    actions = {question.action for question, may in answers if may}
    return tuple(sorted(answers, key=lambda answer: (not answer[1], answer[0].action not in actions)))


def differences(owner: str, policies: Asked, *, first: bool = False) -> list[str]:
    """The answers that differ from the expected ones; with `first`, only the first of them."""
    found = []
    for question, may in _answers(owner):
        allowed = policies.allow(question.action, question.resource, question.context, question.service)
        if allowed != may:
            found.append(f"{owner}: {question} is {'allowed' if allowed else 'denied'}")
            if first:
                return found
    return found
