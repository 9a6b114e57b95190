"""Lifeboat beside its peers, on one local AWS, in one run: cloud-custodian, shelvery and a plain boto3 loop.

Each tool is a process of its own that makes snapshots of the data volumes of the same instances: API calls by action,
wall and processor time, peak memory; what a second run in the same minute makes again; what is left when one of five
is refused; what comes of it under EC2's token buckets. The tools take turns, several times; medians are printed.

Lifeboat is the handler of `take_snapshots` as `sam build` built it, in one process like the others; the queue of a
large run is measured by `bench large_run`. shelvery takes minutes for a thousand volumes, so it is measured for
the fewest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
for place in (str(ROOT), str(LAYER)):
    if place not in sys.path:  # run as a program, not by pytest
        sys.path.insert(0, place)

from bench._plot import drawn  # noqa: E402
from lifeboat.backup.selection import volume_metadata  # noqa: E402
from lifeboat.domain.recovery_point_tags import write_tags  # noqa: E402
from local import stack  # noqa: E402
from local.session import LocalAws  # noqa: E402
from tests.builders import attachment, volume  # noqa: E402
from tests.e2e.stage import Stage  # noqa: E402

SIZES = (200, 1_000)
ROUNDS = 5
GROWTH = (100, 300, 1_000, 3_000, 10_000)
LAUNCHED = 100
SPEED = 10
"""How much faster than EC2's the buckets refill here."""
UNDER_BUCKETS = 300
ALLOWED_BESIDE_PAGES = 10
"""API calls of Lifeboat beside one CreateSnapshots for each instance and the pages of its describes."""
SLOT = datetime(2026, 11, 1, 2, tzinfo=UTC)

LINEAGES, TAKEN, KEPT = 40, 50, 10
"""Two thousand snapshots, one an hour of each of forty volumes, of which the newest ten of each stay."""

OLD_POLICY = """
policies:
  - name: old
    resource: aws.ebs-snapshot
    filters:
      - {type: age, days: 8.396, op: ge}
    actions: [delete]
"""

POLICY = """
policies:
  - name: snapshots
    resource: aws.ec2
    filters:
      - "tag:lifeboat:backup": "true"
      - "State.Name": running
    actions:
      - type: snapshot
        exclude-boot: true
        copy-tags: [Name]
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One run of a tool. `calls` are by action; `made` are snapshots that exist after it and did not before."""

    tool: str
    instances: int
    wall_seconds: float
    processor_seconds: float
    peak_mb: float
    calls: dict[str, int]
    made: int
    exit_code: int

    @property
    def creates(self) -> int:
        return self.calls.get("CreateSnapshots", 0) + self.calls.get("CreateSnapshot", 0)

    @property
    def describes(self) -> int:
        return sum(count for action, count in self.calls.items() if action.startswith(("Describe", "List")))

    @property
    def ec2_calls(self) -> int:
        return sum(count for action, count in self.calls.items() if action in EC2_ACTIONS)


EC2_ACTIONS = {
    "CreateSnapshot",
    "CreateSnapshots",
    "CreateTags",
    "DeleteSnapshot",
    "DescribeImages",
    "DescribeInstances",
    "DescribeInstanceImageMetadata",
    "DescribeLockedSnapshots",
    "DescribeSnapshots",
    "DescribeVolumes",
}


class Bench:
    """A local AWS with the stack deployed and instances launched, on which the tools are run."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder
        self._slots = 0
        self._launched = 0
        stage.control.event_fault("drop", count=0)  # what EC2's events start is not what is measured
        (folder / "policy.yml").write_text(POLICY)
        (folder / "old.yml").write_text(OLD_POLICY)
        self._environment = {**stage.aws.environment(), "PATH": "/usr/bin:/bin", "HOME": str(folder)}

    @property
    def slot(self) -> str:
        return (SLOT + timedelta(hours=self._slots)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def launch_up_to(self, instances: int) -> list[str]:
        """Instances with a data volume each, selected by all tools; the ids of the new ones."""
        made: list[str] = []
        while self._launched < instances:
            some = self._stage.launch(min(LAUNCHED, instances - self._launched))
            made += [machine.instance_id for machine in some]
            self._launched += len(some)
        return made

    def tag_volumes_for_shelvery(self) -> None:
        """It selects volumes, not instances, and wants a bucket."""
        pages = self._stage.ec2.get_paginator("describe_instances").paginate()
        volumes = [
            mapping["Ebs"]["VolumeId"]
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
            for mapping in instance["BlockDeviceMappings"]
            if mapping["DeviceName"] != instance["RootDeviceName"]
        ]
        for first in range(0, len(volumes), LAUNCHED):
            self._stage.ec2.create_tags(
                Resources=volumes[first : first + LAUNCHED], Tags=[{"Key": "shelvery:create_backup", "Value": "true"}]
            )
        account = self._stage.aws.client("sts").get_caller_identity()["Account"]
        self._stage.aws.client("s3").create_bucket(
            Bucket=f"shelvery.data.{account}-eu-west-1.base2tools",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        )

    def seed(self) -> None:
        """Snapshots of volumes long gone, that carry Lifeboat's tags, the newest of them eight days old."""
        newest = datetime.now(UTC).replace(microsecond=0) - timedelta(days=8)

        def one(number: int) -> None:
            lineage, hour = divmod(number, TAKEN)
            name, at = f"vol-{lineage:017x}", newest - timedelta(hours=hour)
            tags = write_tags(
                recovery_point_id=f"rp-{at:%Y%m%dT%H%M%SZ}-i-{lineage:017x}",
                set_id=f"set-{number}",
                stack="lifeboat",
                slot=at,
                instance_id=f"i-{lineage:017x}",
                instance_name="CadoResponse",
                zone="eu-west-1a",
                ami_id="ami-0cad0000000000001",
                ami_owner="055430919509",
                all_metadata=[volume_metadata(volume(id=name, tags={}), attachment(name, "/dev/sdf"))],
            )
            self._stage.control.seed_snapshot(start_time=at, volume_id=name, size=100, tags=tags)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(LINEAGES * TAKEN)))

    def run(self, tool: str, *, again: bool = False, deleting: bool = False) -> Figure:
        """Run a tool once and wait for it. `again`: Lifeboat gets the slot of its last run once more. `deleting`: it
        deletes what is old, instead.
        """
        if not again:
            self._slots += 1
        before = self._snapshots()
        mark = self._stage.control.mark()
        begin = time.perf_counter()
        process = subprocess.Popen(
            self._command(tool, deleting=deleting),
            cwd=self._folder,
            env=self._environment | self._more(tool),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        calls = Counter(
            call["action"] for call in self._stage.control.calls(mark) if "assumed-role" not in (call["caller"] or "")
        )
        return Figure(
            tool=tool,
            instances=self._launched,
            wall_seconds=round(wall, 2),
            processor_seconds=round(used.ru_utime + used.ru_stime, 2),
            peak_mb=round(used.ru_maxrss / 1024, 1),
            calls=dict(calls),
            made=self._snapshots() - before,
            exit_code=process.returncode,
        )

    def _snapshots(self) -> int:
        pages = self._stage.ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], PaginationConfig={"PageSize": 1000}
        )
        return sum(len(page["Snapshots"]) for page in pages)

    def _command(self, tool: str, *, deleting: bool) -> list[str]:
        python = str(ROOT / ".venv" / "bin" / "python")
        if tool == "Lifeboat":
            function = stack.BUILD_DIR / ("PruneSnapshotsFunction" if deleting else "TakeSnapshotsFunction")
            event = {} if deleting else {"scheduled_time": self.slot}
            layer = stack.BUILD_DIR / "LifeboatLayer" / "python"
            once = str(ROOT / "bench" / "_lifeboat_once.py")
            return [python, "-S", once, str(layer), str(function), json.dumps(event)]
        if tool == "cloud-custodian":
            return [
                str(ROOT / ".tools" / "peer-custodian" / "bin" / "custodian"),
                *("run", "--output-dir", str(self._folder / "custodian"), "--cache-period", "0"),
                *("--region", "eu-west-1", str(self._folder / ("old.yml" if deleting else "policy.yml"))),
            ]
        if tool == "shelvery":
            return [str(ROOT / ".tools" / "peer-shelvery" / "bin" / "shelvery"), "ebs", "create_backups"]
        return [python, str(ROOT / "bench" / ("_plain_deletions.py" if deleting else "_plain_loop.py"))]

    def _more(self, tool: str) -> dict[str, str]:
        if tool != "Lifeboat":
            return {}
        return {
            "AWS_REGION": "eu-west-1",
            "LIFEBOAT_STACK": "lifeboat",
            "LIFEBOAT_TABLE": self._stage.outputs["StateTableName"],
            "LIFEBOAT_TOPIC": self._stage.outputs["NotificationTopicArn"],
            "LIFEBOAT_RETENTION": f"last={KEPT}",
            "LIFEBOAT_MAX_DELETE_PERCENT": "100",
            "LIFEBOAT_GRACE_HOURS": "0",
            "POWERTOOLS_SERVICE_NAME": "lifeboat",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


@contextmanager
def bench() -> Iterator[Bench]:
    """On the machine's clock, as wall time is what is measured; EC2 is quick, because it is not what is compared."""
    settings = {"schedules_fire": False, "retry_seconds": 0.2, "delays": {"snapshot": 0.1, "volume": 0.2, "start": 0.2}}
    with (
        LocalAws(settings, simulated=False) as aws,
        tempfile.TemporaryDirectory(prefix="lifeboat-peers-") as folder,
    ):
        yield Bench(Stage(aws, {}), Path(folder))


FAST = ("Lifeboat", "cloud-custodian", "plain loop")


def in_turn(made: Bench, tools: Sequence[str], rounds: int) -> dict[str, list[Figure]]:
    """Every tool once a round, so that all meet the machine in the same mood."""
    figures: dict[str, list[Figure]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            figures[tool].append(made.run(tool))
    return figures


def typical(figures: Sequence[Figure]) -> Figure:
    """The run with the median wall time."""
    middle = median(figure.wall_seconds for figure in figures)
    return min(figures, key=lambda figure: abs(figure.wall_seconds - middle))


def side_by_side() -> dict[str, Any]:
    """The same instances for all, few and many, and each tool again in the same minute."""
    found: dict[str, Any] = {}
    for size in SIZES:
        with bench() as made:
            made.launch_up_to(size)
            figures = {tool: typical(runs) for tool, runs in in_turn(made, FAST, ROUNDS).items()}
            again = {}
            for tool in FAST:
                made.run(tool)
                again[tool] = made.run(tool, again=True).made
            if size == SIZES[0]:
                made.tag_volumes_for_shelvery()
                figures["shelvery"] = made.run("shelvery")
                again["shelvery"] = made.run("shelvery").made
            found[str(size)] = {tool: {**asdict(figure), "made_again": again[tool]} for tool, figure in figures.items()}
            _print(size, figures, again)
    return found


def _print(size: int, figures: Mapping[str, Figure], again: Mapping[str, int]) -> None:
    print(f"\n{size} instances     wall s  processor s  peak MB  EC2 calls  creates  describes  made  made again")
    for tool, figure in figures.items():
        print(
            f"{tool:16} {figure.wall_seconds:8.2f} {figure.processor_seconds:12.2f} {figure.peak_mb:8.1f} "
            f"{figure.ec2_calls:10,} {figure.creates:8,} {figure.describes:10,} {figure.made:5,} {again[tool]:11,}",
            flush=True,
        )


def second_of_five_refused() -> dict[str, Any]:
    """What each tool makes of five instances when EC2 refuses the second, and what a run does once EC2 allows it."""
    found: dict[str, Any] = {}
    for tool in FAST:
        with bench() as made:
            second = sorted(made.launch_up_to(5))[1]
            made._stage.control.fault(
                "CreateSnapshots", "fail", count=0, resource=second, code="InternalError", message="not today"
            )
            refused = made.run(tool)
            made._stage.control.reset()
            made._stage.control.event_fault("drop", count=0)
            then = made.run(tool, again=True)
            subject = "Lifeboat" if tool == "Lifeboat" else ""
            named = any(second in str(message) for message in made._stage.messages()) if subject else None
            found[tool] = {"made": refused.made, "made_once_allowed": then.made, "named": named}
            print(f"2nd of 5 refused: {tool:16} makes {refused.made}, then {then.made}", flush=True)
    return found


def under_buckets() -> dict[str, Any]:
    """Under EC2's token buckets, refilling SPEED times as fast."""
    found: dict[str, Any] = {}
    for tool in FAST:
        with bench() as made:
            made.launch_up_to(UNDER_BUCKETS)
            made._stage.control.set_throttling(speed=SPEED)
            figure = made.run(tool)
            found[tool] = {**asdict(figure), "bound_seconds": (UNDER_BUCKETS - 100) / 5 / SPEED}
            print(
                f"{UNDER_BUCKETS} instances under EC2's buckets, {SPEED} times as fast: {tool:16} made {figure.made}, "
                f"{figure.wall_seconds} s, {figure.creates} calls",
                flush=True,
            )
    return found


def deletions() -> dict[str, Any]:
    """What is old goes: 1,600 of 2,000."""
    found: dict[str, Any] = {}
    for tool in FAST:
        with bench() as made:
            made.seed()
            figure = made.run(tool, deleting=True)
            found[tool] = asdict(figure)
            print(
                f"delete 1,600 of 2,000: {tool:16} {-figure.made:,} deleted, {figure.wall_seconds} s, "
                f"{figure.processor_seconds} s of a processor, {figure.peak_mb} MB, {figure.ec2_calls:,} calls",
                flush=True,
            )
    return found


def growth() -> dict[str, dict[str, list[float]]]:
    """Wall time and API calls of Lifeboat and cloud-custodian as the large run grows."""
    found: dict[str, dict[str, list[float]]] = {tool: {"wall_seconds": [], "ec2_calls": []} for tool in FAST[:2]}
    with bench() as made:
        for size in GROWTH:
            made.launch_up_to(size)
            for tool in found:
                figure = made.run(tool)
                found[tool]["wall_seconds"].append(figure.wall_seconds)
                found[tool]["ec2_calls"].append(figure.ec2_calls)
                print(f"growth: {size:6,} instances {tool:16} {figure.wall_seconds:7.2f} s {figure.ec2_calls:7,} calls")
    return found


def problems_of(sizes: Mapping[str, Any], refused: Mapping[str, Any], throttled: Mapping[str, Any]) -> list[str]:
    """The bars that are not met, one sentence each."""
    many = sizes[str(SIZES[-1])]
    ours, theirs = many["Lifeboat"], many["cloud-custodian"]
    calls = sum(count for action, count in ours["calls"].items() if action in EC2_ACTIONS)
    pages = sum(count for action, count in ours["calls"].items() if action.startswith("Describe"))
    bars = [
        (
            calls > SIZES[-1] + pages + ALLOWED_BESIDE_PAGES,
            f"{calls} API calls for {SIZES[-1]} instances, expected one for each, {pages} pages and "
            f"{ALLOWED_BESIDE_PAGES}",
        ),
        (
            ours["wall_seconds"] > theirs["wall_seconds"],
            f"{ours['wall_seconds']} s for {SIZES[-1]} instances, expected no more than cloud-custodian's "
            f"{theirs['wall_seconds']} s",
        ),
        (ours["made"] != SIZES[-1], f"{ours['made']} made of {SIZES[-1]}"),
        (ours["made_again"], f"{ours['made_again']} made again in the same slot, expected none"),
        (
            refused["Lifeboat"] != {"made": 4, "made_once_allowed": 1, "named": True},
            f"2nd of 5 refused: {refused['Lifeboat']}, expected 4 made, it named, and made once it is allowed",
        ),
        (throttled["Lifeboat"]["made"] != UNDER_BUCKETS, f"{throttled['Lifeboat']['made']} made under EC2's buckets"),
    ]
    return [said for broken, said in bars if broken]


def run() -> dict[str, Any]:
    """Measure everything, print the tables, return the figures."""
    sizes = side_by_side()
    refused = second_of_five_refused()
    throttled = under_buckets()
    gone = deletions()
    grown = growth()
    (ROOT / ".local" / "peers.svg").write_text(
        drawn(GROWTH, {name: row["wall_seconds"] for name, row in grown.items()})
    )
    return {
        "sizes": sizes,
        "second_of_five_refused": refused,
        "under_buckets": throttled,
        "deletions": gone,
        "growth": {"instances": list(GROWTH), **grown},
        "problems": [
            *problems_of(sizes, refused, throttled),
            *(
                f"{tool} deleted {-row['made']} of 2,000, expected 1,600"
                for tool, row in gone.items()
                if tool == "Lifeboat" and row["made"] != -LINEAGES * (TAKEN - KEPT)
            ),
        ],
    }


if __name__ == "__main__":
    print(json.dumps(run()["problems"], indent=1))
