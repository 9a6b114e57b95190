"""The recordings of live accounts in tests/fixtures/captures, and how what the local AWS says is compared with them.

Ids, times and accounts differ, so what is compared are the rest of a thing's fields, and the form of ARNs.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

from local.session import REGION, LocalAws
from tests.local.conftest import unique

CAPTURES = Path(__file__).parent.parent / "fixtures" / "captures"
CHANGING = {"SnapshotId", "VolumeId", "StartTime", "CompletionTime", "OwnerId", "FullSnapshotSizeInBytes", "VolumeSize"}


def captured(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text())


def call(name: str, label: str) -> Any:
    """The recorded call of this label; what is in parentheses after a label is a note."""
    recorded = captured(name)
    [found] = [item for item in recorded.get("calls") or recorded["cases"] if label == named(item)]
    return found


def named(item: Mapping[str, Any]) -> str:
    return str(item.get("label") or item.get("name") or item.get("case")).split(" (", maxsplit=1)[0]


def event(name: str, kind: str, result: str, **detail: str) -> Any:
    """The first recorded event that is so."""
    wanted = {"event": kind, "result": result, **detail}
    return next(item["event"] for item in captured(name)["events"] if wanted.items() <= item["event"]["detail"].items())


def form(value: Any) -> Any:
    """A text without what differs between two runs: ids, times and the numbers of accounts."""
    if isinstance(value, dict):
        return {key: form(item) for key, item in value.items()}
    if isinstance(value, list):
        return [form(item) for item in value]
    text = re.sub(r"\b(snap|vol|key|i|ami)([-/])[0-9a-f-]{8,36}", r"\1\2ID", str(value))
    text = re.sub(r"\b(us|eu)-[a-z]+-\d[a-f]?\b", "REGION", re.sub(r"\b\d{12}\b", "ACCOUNT", text))
    text = re.sub(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "REQUEST", text)
    text = re.sub(r"\b(use1|euw1)-az\d", "ZONE-ID", text)
    time = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(?= GMT|Z|\+00:00)"
    return re.sub(time, lambda found: "TIME WITH MILLISECONDS" if found[1] else "TIME", text)


def same_event(published: Any, recorded: Any, *, without: tuple[str, ...] = ()) -> None:
    """In form; what is recorded of a key's refusal names the role, so a cause may be left out."""
    detail = {name: value for name, value in published["detail"].items() if name not in without}
    wanted = {name: value for name, value in recorded["detail"].items() if name not in without}
    assert form(detail) == form(wanted)
    assert form(published["resources"]) == form(recorded["resources"])
    assert published["detail_type"] == recorded["detail-type"]


def same_fields(shown: Any, recorded: Any, *, without: frozenset[str] = frozenset()) -> None:
    names = recorded.keys() - CHANGING - without
    assert {name: shown.get(name) for name in names} == {name: recorded[name] for name in names}


def ask(client: Any, recorded: Mapping[str, Any], **replaced: Any) -> Any:
    """The recorded call again, with the ids of here: the answer, or the error that it is refused with."""
    arguments = {name: value for name, value in {**recorded.get("input", {}), **replaced}.items() if value is not None}
    try:
        return getattr(client, xform_name(recorded["operation"]))(**arguments)
    except ClientError as refusal:
        return refusal.response["Error"]


def same(answer: Any, recorded: Mapping[str, Any]) -> None:
    """Whether it is answered, or refused, as recorded, as far as that was written down."""
    if "error" in recorded:
        assert form(answer) == form(recorded["error"])
        return
    assert "Code" not in answer, answer
    assert contains(answer, recorded.get("output", {})), (answer, recorded["output"])


def contains(answer: Any, recorded: Any, key: str = "") -> bool:
    """Whether all that was recorded is in an answer. Whole seconds must be so; what has milliseconds may have none."""
    if isinstance(recorded, dict):
        return all(name in answer and contains(answer[name], value, name) for name, value in recorded.items())
    if isinstance(recorded, list):
        return len(answer) == len(recorded) and all(map(contains, answer, recorded))
    if isinstance(answer, datetime):
        return answer.microsecond == 0 or "." in recorded
    return key in CHANGING or form(answer) == form(recorded)


def acting(aws: LocalAws, *statements: Mapping[str, Any], service: str = "ec2") -> Any:
    """A client in a role with these statements, and how to give the role others."""
    iam, name = aws.client("iam"), unique("captured")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]

    def permit(*others: Mapping[str, Any]) -> None:
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **item} for item in others]}
        iam.put_role_policy(RoleName=name, PolicyName="captured", PolicyDocument=json.dumps(policy))

    permit(*statements)
    given = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="captured")["Credentials"]
    keys = {"AccessKeyId": "aws_access_key_id", "SecretAccessKey": "aws_secret_access_key"}
    session = {ours: given[theirs] for theirs, ours in keys.items()}
    client = boto3.client(  # type: ignore[call-overload]
        service, region_name=REGION, endpoint_url=aws.endpoint, aws_session_token=given["SessionToken"], **session
    )
    client.permit = permit
    return client


def labels(name: str) -> Sequence[str]:
    """All that a recording has, by its labels; of one that has none, its parts."""
    recorded = captured(name)
    lists = [value for value in recorded.values() if isinstance(value, list)]
    listed = [item for items in lists for item in items if isinstance(item, dict)]
    found = [named(item) for item in listed if {"label", "name", "case"} & item.keys()]
    return found or [key for key in recorded if not key.startswith("_")]
