"""The form of an event: what is the same in each event of its kind. Ids, times and accounts are not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "events"
"""EC2's events as recorded or documented."""

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ACCOUNT = re.compile(r"\d{12}")
ID = re.compile(r"(snap|vol|i|ami)-[0-9a-f]{8,17}")
ARN = re.compile(r"arn:aws[a-z-]*:(?P<service>[a-z0-9-]+):(?P<region>[^:]*):(?P<account>[^:]*):(?P<rest>\S+)")
WORDS = ("cause", "ErrorMessage")
"""Sentences: that there is one is the form, not what it says."""


def load_fixtures() -> list[dict[str, Any]]:
    """All fixtures of EC2's events."""
    found = [json.loads(path.read_text()) for path in sorted(FIXTURES.glob("*.json"))]
    return [event for event in found if isinstance(event, dict) and event.get("source") == "aws.ec2"]


def name_of(event: Mapping[str, Any]) -> str:
    """What kind of event it is: `createVolume available`, `instance running`."""
    detail = event["detail"]
    if "event" in detail:
        of_itself = detail.get("source") and detail.get("source") == detail.get("snapshot_id")
        return f"{detail['event']} {detail.get('result', '')}" + (" by EBS direct APIs" if of_itself else "")
    state = detail.get("state") or detail.get("State", "")
    return f"{'image' if 'ImageId' in detail else 'instance'} {state}"


def field_differences(event: Mapping[str, Any], fixture: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Path, form here and form in the fixture of each field that differs."""
    here, there = dict(_forms("", event)), dict(_forms("", fixture))
    return [
        (path, here.get(path, "not there"), there.get(path, "not there"))
        for path in sorted({*here, *there})
        if here.get(path) != there.get(path)
    ]


def _forms(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _forms(f"{path}.{name}".lstrip("."), item)
    elif isinstance(value, list) and path.endswith("snapshots"):
        yield from _forms(f"{path}[]", value[0]) if value else [(path, "empty")]
    elif isinstance(value, list):
        yield path, ", ".join(dict.fromkeys(_form(item) for item in value)) or "empty"
    else:
        yield path, _sentence(value) if path.rsplit(".", 1)[-1] in WORDS else _form(value)


def _sentence(value: Any) -> str:
    return "a sentence" if value else '""'


def _form(value: Any) -> str:
    """The form of a value: literal, unless it is an id, a time, a number of an account or an ARN."""
    if not isinstance(value, str):
        return type(value).__name__
    if UUID.fullmatch(value):
        return "<uuid>"
    time = TIME.fullmatch(value)
    if time:
        return "<time with milliseconds>" if time[1] else "<time>"
    if ACCOUNT.fullmatch(value):
        return "<account>"
    if found := ID.fullmatch(value):
        return f"<{found[1]} id>"
    if arn := ARN.fullmatch(value):
        region = "<region>" if REGION.fullmatch(arn["region"]) else arn["region"]
        account = "<account>" if ACCOUNT.fullmatch(arn["account"]) else REGION.sub("<region>", arn["account"])
        return f"arn:{arn['service']}:{region}:{account}:{arn['rest'].split('/')[0]}/<id>"
    return REGION.sub("<region>", value) if REGION.fullmatch(value) else value or '""'


REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
