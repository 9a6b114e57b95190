"""What show_status takes of memory and time with 10,000 protected instances, beside the same reads in a bare loop.

`python -m bench.status_memory` runs the real handler, and a loop of plain boto3 that makes the same calls and keeps
nothing, each in a process of its own, against an EC2 and a table that only list. Each instance has a recovery point a
day; one in a hundred has none of the last two days. It exits with 1 when a process reaches the memory of the bar, when
the handler takes more than 1.5 times as long as the loop, or when the two do not make the same calls. The first page of
the dashboard is made once, too, and must have at most 60 kB.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from http.server import BaseHTTPRequestHandler
from time import perf_counter, process_time
from typing import Any, ClassVar
from urllib.parse import parse_qs

from bench._alone import Context, main, peak_mb, reported_alone, served
from bench.retention_memory import NAMESPACE, PAGE, snapshot_form
from lifeboat.domain.text import iso

INSTANCES = 10_000
DAYS = 30
"""Recovery points of each instance, one a day."""
LATE = 100
"""Every so many-th instance has no recovery point of the last days, and is overdue."""
LATE_DAYS = 2
MAX_MEGABYTES = 256
MAX_RATIO = 1.5
MAX_PAGE_KB = 60
TABLE_PAGE = 6_000
"""Items of the table in one answer: some 1 MB."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one process took. `peak_mb` is its peak, Python and boto3 included; `calls` are counted by action."""

    kind: str
    instances: int
    peak_mb: float
    seconds: float
    processor_seconds: float
    answer_kb: float
    overdue: int


class _Account(BaseHTTPRequestHandler):
    """An EC2 with the instances and their recovery points, a table that knows the instances, and nothing else."""

    protocol_version = "HTTP/1.1"
    now = datetime.now(UTC).replace(microsecond=0)
    total = 0
    days = DAYS
    asked: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if target := self.headers.get("X-Amz-Target"):
            self.asked[target.rpartition(".")[2]] += 1
            self._say(json.dumps(self._table(json.loads(body))).encode() if "Query" in target else b"{}")
            return
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        action = asked["Action"]
        self.asked[action] += 1
        self._say(_page(action, tuple(sorted(asked.items())), self.total, self.days, self.now))

    def _table(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["ExpressionAttributeValues"][":pk"]["S"] != "selected":
            return {"Count": 0, "Items": []}
        first = int(asked.get("ExclusiveStartKey", {}).get("sk", {}).get("S", "i-0")[2:], 16)
        long_ago = {"S": json.dumps(iso(self.now - timedelta(days=300)))}
        items = [
            {"pk": {"S": "selected"}, "sk": {"S": _instance_id(number)}, "document": long_ago}
            for number in range(first + 1, min(first + TABLE_PAGE, self.total) + 1)
        ]
        more = {"LastEvaluatedKey": {key: items[-1][key] for key in ("pk", "sk")}} if len(items) == TABLE_PAGE else {}
        return {"Count": len(items), "Items": items, **more}

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _instance_id(number: int) -> str:
    return f"i-{number:017x}"


@cache
def _page(action: str, asked: tuple[tuple[str, str], ...], total: int, days: int, now: datetime) -> bytes:
    """One answer of EC2, made once: what the making takes is no part of what is compared."""
    wanted = dict(asked)
    items: Iterable[str] = ()
    if action == "DescribeInstances":
        items = [_instance(number) for number in range(1, total + 1)]
    elif action == "DescribeVolumes":
        numbers = [int(value[4:], 16) for name, value in asked if value.startswith("vol-")]
        items = [_volume(number) for number in numbers]
    elif action == "DescribeSnapshots" and not any(
        "lifeboat:suspect" in v or "result=failed" in v for v in wanted.values()
    ):
        items = _snapshots(wanted, total, days, now)
    kind = {"DescribeInstances": "reservationSet", "DescribeVolumes": "volumeSet"}.get(action, "snapshotSet")
    items = list(items)
    first = int(wanted.get("NextToken", "0"))
    after = min(first + PAGE, len(items))
    token = f"<nextToken>{after}</nextToken>" if after < len(items) else ""
    if action == "GetTopicAttributes":
        inner = "<GetTopicAttributesResult><Attributes/></GetTopicAttributesResult>"
    else:
        inner = f"<{kind}>{''.join(items[first:after])}</{kind}>{token}"
    return f'<{action}Response xmlns="{NAMESPACE}">{inner}</{action}Response>'.encode()


def _snapshots(wanted: dict[str, str], total: int, kept: int, now: datetime) -> list[str]:
    """Those of the instances, of the slots, or of the recovery points that the filters name."""
    values = [value for name, value in wanted.items() if ".Value." in name]
    named = [int(value[2:], 16) for value in values if value.startswith("i-")]
    slots = [value for value in values if value.endswith("*") and value[:2] == "20"]
    if any(value.startswith("vol-") for value in values):
        return []
    taken = [now - timedelta(days=day, minutes=5) for day in range(kept)]
    days = [day for day in range(kept) if not slots or any(fnmatchcase(iso(taken[day]), slot) for slot in slots)]
    return [
        snapshot_form(number).format(
            number=f"{number * DAYS + day:017x}", time=iso(taken[day]), compact=f"{taken[day]:%Y%m%dT%H%M%SZ}"
        )
        for day in days
        for number in (named or range(1, total + 1))
        if number % LATE or day >= LATE_DAYS
    ]


def _instance(number: int) -> str:
    tags = {"Name": f"CadoResponse{number}", "lifeboat:backup": "true", "Owner": "forensics", "CostCenter": "4711"}
    tag_set = "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in tags.items())
    at = "2026-01-01T00:00:00.000Z"
    disks = "".join(
        f"<item><deviceName>{device}</deviceName><ebs><volumeId>{volume}</volumeId><status>attached</status>"
        f"<attachTime>{at}</attachTime><deleteOnTermination>false</deleteOnTermination></ebs></item>"
        for device, volume in (("/dev/xvda", f"vol-1{number:016x}"), ("/dev/sdh", f"vol-{number:017x}"))
    )
    return (
        f"<item><reservationId>r-{number:017x}</reservationId><ownerId>111122223333</ownerId><instancesSet><item>"
        f"<instanceId>{_instance_id(number)}</instanceId><imageId>ami-{number:017x}</imageId>"
        "<instanceState><code>16</code><name>running</name></instanceState><instanceType>m5.xlarge</instanceType>"
        f"<launchTime>{at}</launchTime><placement><availabilityZone>eu-west-1a</availabilityZone></placement>"
        "<privateIpAddress>10.0.0.1</privateIpAddress><architecture>x86_64</architecture>"
        "<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>"
        f"<blockDeviceMapping>{disks}</blockDeviceMapping><tagSet>{tag_set}</tagSet></item></instancesSet></item>"
    )


def _volume(number: int) -> str:
    return (
        f"<item><volumeId>vol-{number:017x}</volumeId><size>500</size><availabilityZone>eu-west-1a</availabilityZone>"
        "<status>in-use</status><volumeType>gp3</volumeType><encrypted>true</encrypted><iops>4000</iops></item>"
    )


@contextmanager
def account(instances: int, days: int) -> Iterator[tuple[str, Counter[str]]]:
    """The URL of an account with so many instances, and what it is asked for, counted by action."""
    asked: Counter[str] = Counter()
    with served(_Account, total=instances, days=days, asked=asked) as url:
        yield url, asked


def measure(instances: int = INSTANCES, days: int = DAYS, rounds: int = 1) -> tuple[list[Figure], list[str]]:
    """The handler and the loop, each in processes of its own; of `rounds` the fastest of each. And what is wrong.

    Both run once before that, so that every answer of the account is made.
    """
    figures: dict[str, Figure] = {}
    with account(instances, days) as (url, asked):
        made: dict[str, Counter[str]] = {}
        for kind in ("handler", "loop") * (rounds + (rounds > 1)):
            asked.clear()
            figure = Figure(**reported_alone("bench.status_memory", kind, instances, url=url))
            made[kind] = Counter(asked)
            if kind not in figures or figure.seconds < figures[kind].seconds:
                figures[kind] = figure
        figures["page"] = Figure(**reported_alone("bench.status_memory", "page", instances, url=url))
    problems = []
    if made["handler"] != made["loop"]:
        problems.append(f"the handler made the calls {dict(made['handler'])}, the loop {dict(made['loop'])}")
    return [figures["handler"], figures["loop"], figures["page"]], problems


def _invoke(kind: str, instances: int) -> Figure:
    begin, begin_processor = perf_counter(), process_time()
    size, overdue = {"handler": _handle, "loop": _loop, "page": _show_page}[kind]()
    took, processor = perf_counter() - begin, process_time() - begin_processor
    return Figure(
        kind, instances, round(peak_mb(), 1), round(took, 2), round(processor, 2), round(size / 1e3, 1), overdue
    )


def _handle() -> tuple[int, int]:
    from functions.show_status.app import handler

    context: Any = Context(60, 512)
    answer = handler({}, context)
    return len(json.dumps(answer)), answer["counts"]["overdue"]


def _show_page() -> tuple[int, int]:
    """The page that CloudWatch's widget gets first; how many are overdue it says in words."""
    from functions.show_status.app import handler

    context: Any = Context(60, 512)
    page = str(handler({"widgetContext": {}}, context))
    return len(page.encode()), int(re.findall(r"(\d+) instances? (?:is|are) overdue", page)[0])


def _loop() -> tuple[int, int]:
    """The same calls as anybody would make them; which instances are overdue comes from the recent snapshots."""
    import boto3

    from lifeboat.backup.overdue import expected_slot, slot_patterns
    from lifeboat.backup.schedule import parse_schedule

    ec2, table = boto3.client("ec2"), boto3.client("dynamodb")
    now = datetime.now(UTC).replace(microsecond=0)
    expected = expected_slot(parse_schedule("cron(0 2 * * ? *)"), now=now, grace=timedelta(minutes=30))

    def query(kind: str) -> None:
        pages = table.get_paginator("query").paginate(
            TableName="table",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": kind}},
            ConsistentRead=True,
        )
        for _ in pages:
            pass

    def described(name: str, found: str, filters: dict[str, Sequence[str]], **asked: Any) -> Iterator[Any]:
        wanted = [{"Name": key, "Values": list(values)} for key, values in filters.items()]
        for page in ec2.get_paginator(name).paginate(Filters=wanted, PaginationConfig={"PageSize": PAGE}, **asked):
            yield from page[found]

    def snapshots(filters: dict[str, Sequence[str]], *, ours: bool = True) -> list[Any]:
        own = {"tag-key": ["lifeboat:recovery-point"], "tag:lifeboat:stack": ["lifeboat"]} if ours else {}
        return [
            item["SnapshotId"]
            for item in described("describe_snapshots", "Snapshots", {**own, **filters}, OwnerIds=["self"])
        ]

    ids = [
        item["InstanceId"]
        for reservation in described("describe_instances", "Reservations", {"tag:lifeboat:backup": ["true"]})
        for item in reservation["Instances"]
    ]
    query("selected")
    query("restore-open")
    query("backup-open")
    query("retention-run")
    assert expected
    recent = snapshots({"tag:lifeboat:slot": slot_patterns(expected, now + timedelta(minutes=1))})
    snapshots({"tag:lifeboat:verified": ["result=failed*"]})
    late = [instance for number, instance in enumerate(sorted(ids), 1) if not number % LATE]
    snapshots({"tag:lifeboat:instance": late[:50]}) if late else None
    snapshots({"tag-key": ["lifeboat:suspect"]}, ours=False)
    boto3.client("sns").get_topic_attributes(TopicArn="arn:aws:sns:eu-west-1:111122223333:notifications")
    list(described("describe_volumes", "Volumes", {"tag-key": ["lifeboat:restore"]}))  # what restores have made
    page = sorted(ids)[:100]  # the first page
    list(described("describe_volumes", "Volumes", {"volume-id": [f"vol-{instance[2:]}" for instance in page]}))
    newest = snapshots({"tag:lifeboat:instance": page})
    ec2.describe_locked_snapshots(SnapshotIds=newest[: len(page)])
    return 0, len(ids) - len(recent)


def problems_of(figures: Sequence[Figure], *, timed: bool = True) -> list[str]:
    """What breaks a bound, one sentence each; not `timed`, and how fast this machine is counts for nothing."""
    handler, loop, page = figures
    bars = [
        (page.peak_mb >= MAX_MEGABYTES, f"the page takes {page.peak_mb:.0f} MB, expected under {MAX_MEGABYTES} MB"),
        (page.answer_kb > MAX_PAGE_KB, f"the page has {page.answer_kb} kB, expected at most {MAX_PAGE_KB} kB"),
        (page.overdue != handler.overdue, f"the page says {page.overdue} overdue"),
        (handler.peak_mb >= MAX_MEGABYTES, f"{handler.peak_mb:.0f} MB, expected under {MAX_MEGABYTES} MB"),
        (
            timed and handler.seconds > MAX_RATIO * loop.seconds,
            f"{handler.seconds:.1f} s, expected at most {MAX_RATIO} times the loop's {loop.seconds:.1f} s",
        ),
        (handler.overdue != handler.instances // LATE, f"{handler.overdue} overdue"),
    ]
    return [f"{handler.instances} instances: {said}" for broken, said in bars if broken]


def run() -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    figures, problems = measure(rounds=2)
    print("process  instances  peak MB  seconds  of the processor  answer kB  overdue")
    for item in figures:
        print(
            f"{item.kind:8} {item.instances:9,} {item.peak_mb:8.1f} {item.seconds:8.2f} {item.processor_seconds:17.2f} "
            f"{item.answer_kb:10.1f} {item.overdue:8}",
            flush=True,
        )
    return {"figures": [asdict(item) for item in figures], "problems": [*problems, *problems_of(figures)]}


if __name__ == "__main__":
    sys.exit(main(run, _invoke))
