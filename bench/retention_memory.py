"""What reading and planning 20,000 and 100,000 snapshots takes of the function's memory, and how long.

`python -m bench.retention_memory` runs the real handler of prune_snapshots, each time in a process of its own, against
an EC2 that only lists: it answers DescribeSnapshots in pages of 1,000, as EC2 does. It exits with 1 when the peak of a
process reaches the memory that the template gives the function.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from http.server import BaseHTTPRequestHandler
from itertools import product
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from bench._alone import ACCOUNT, Context, main, peak_mb, reported_alone, served
from lifeboat.domain.recovery_point import VolumeMetadata
from lifeboat.domain.recovery_point_tags import write_tags
from lifeboat.domain.text import iso

SNAPSHOTS = (20_000, 100_000)
"""As many as are held at once, and as many as a region has by default
(https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html), which go in parts."""
LINEAGES = 400
PAGE = 1_000
MAX_MEGABYTES = 256
"""`MemorySize` of the function in template.yaml."""

DELETED = 25
"""So many are deleted before the run learns that its time is up: what is measured is the plan, not the deleting."""

EMPTY = (
    "<snapshotSet/><imagesSet/><reservationSet/><volumeSet/><return>true</return>"
    "<ebsEncryptionByDefault>false</ebsEncryptionByDefault>"
)
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one invocation took. `peak_mb` is the peak of the process, Python and boto3 included."""

    mode: str
    snapshots: int
    peak_mb: float
    seconds: float
    answer_mb: float
    deletable: int


_SLOT = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


@cache
def snapshot_form(lineage: int) -> str:
    """A snapshot of a lineage as EC2 lists it, with every tag that a backup writes; `{number}` and its times are
    open."""
    instance, volume = f"i-{lineage:017x}", f"vol-{lineage:017x}"
    metadata = VolumeMetadata(
        volume_id=volume,
        lineage=volume,
        device="/dev/sdh",
        type="gp3",
        size=500,
        encrypted=True,
        delete_on_termination=False,
        iops=4000,
        throughput=250,
        kms_key_id=f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
        tags={"Name": "CadoResponseDataVolume", "Owner": "forensics", "CostCenter": "4711"},
    )
    tags = write_tags(
        recovery_point_id="rp-{compact}-" + instance,
        set_id="00000000-0000-0000-0000-{number}",
        stack="lifeboat",
        slot=_SLOT,
        instance_id=instance,
        instance_name="CadoResponse",
        zone="eu-west-1a",
        ami_id=f"ami-{lineage:017x}",
        ami_owner="055430919509",
        all_metadata=[metadata],
    )
    listed = "".join(
        f"<item><key>{escape(key)}</key><value>{escape(value)}</value></item>" for key, value in tags.items()
    ).replace(iso(_SLOT), "{time}")
    return (
        "<item><snapshotId>snap-{number}</snapshotId><volumeId>" + volume + "</volumeId><status>completed</status>"
        "<startTime>{time}</startTime><completionTime>{time}</completionTime><progress>100%</progress><ownerId>"
        f"{ACCOUNT}</ownerId><volumeSize>500</volumeSize><description>lifeboat rp-{{compact}}-{instance}</description>"
        "<encrypted>true</encrypted><storageTier>standard</storageTier><fullSnapshotSizeInBytes>"
        f"{500 * 2**30}</fullSnapshotSizeInBytes><tagSet>{listed}</tagSet></item>"
    )


def snapshot_item(number: int, now: datetime) -> str:
    """One snapshot of the list; in each lineage there is one a day."""
    taken = now - timedelta(days=number // LINEAGES, hours=1)
    open_parts = {"number": f"{number:017x}", "time": iso(taken), "compact": f"{taken:%Y%m%dT%H%M%SZ}"}
    return snapshot_form(number % LINEAGES).format(**open_parts)


class _Lists(BaseHTTPRequestHandler):
    """An EC2 that lists the snapshots, knows nothing else, and deletes and publishes without a word; an empty table."""

    now = datetime.now(UTC)
    total = 0

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if "X-Amz-Target" in self.headers:  # the table, in which no restore is open
            self._say(b'{"Count": 0, "Items": [], "UnprocessedItems": {}}')
            return
        action = asked.get("Action", ["?"])[0]
        self._say(f'<{action}Response xmlns="{NAMESPACE}">{self._answer(action, asked)}</{action}Response>'.encode())

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, action: str, asked: dict[str, list[str]]) -> str:
        if action == "Publish":
            return "<PublishResult><MessageId>1</MessageId></PublishResult>"
        if action != "DescribeSnapshots" or "RestorableBy.1" in asked:
            return EMPTY
        wanted = [int(values[0][5:], 16) for name, values in asked.items() if values[0].startswith("snap-")]
        if wanted:
            return f"<snapshotSet>{''.join(snapshot_item(number, self.now) for number in wanted)}</snapshotSet>"
        first = int(asked.get("NextToken", ["0"])[0])
        numbers = self._filtered(asked)
        after = min(first + PAGE, len(numbers))
        items = "".join(snapshot_item(number, self.now) for number in numbers[first:after])
        token = f"<nextToken>{after}</nextToken>" if after < len(numbers) else ""
        return f"<snapshotSet>{items}</snapshotSet>{token}"

    def _filtered(self, asked: dict[str, list[str]]) -> Sequence[int]:
        """All snapshots, or those of the instance that a filter names, or of those whose ids end as it says, `*x`."""
        values = (values[0] for name, values in asked.items() if ".Value." in name)
        wanted = [value for value in values if value.startswith(("*", "i-"))]
        if not wanted:
            return range(self.total)
        [pattern] = wanted
        lineages = [lineage for lineage in range(LINEAGES) if fnmatchcase(f"i-{lineage:017x}", pattern)]
        return [
            day + lineage
            for day in range(0, self.total, LINEAGES)
            for lineage in lineages
            if day + lineage < self.total
        ]


def listing(total: int) -> AbstractContextManager[str]:
    """The URL of an EC2 with so many snapshots."""
    return served(_Lists, total=total)


def measure_alone(mode: str, snapshots: int = SNAPSHOTS[0]) -> Figure:
    """One invocation, `dry-run` or `run`, in a process of its own."""
    with listing(snapshots) as url:
        retention = "last=3 daily=14 weekly=8 monthly=12 yearly=7"
        reported = reported_alone("bench.retention_memory", mode, snapshots, url=url, LIFEBOAT_RETENTION=retention)
    return Figure(**reported)


@dataclass(slots=True)
class _Context(Context):
    """Its time is up after DELETED checks the clock."""

    observations: int = 0

    def get_remaining_time_in_millis(self) -> int:
        self.observations += 1
        return 900_000 if self.observations <= 2 * DELETED else 0


def _invoke(mode: str, snapshots: int) -> Figure:
    from functions.prune_snapshots.app import handler

    context: Any = _Context(900, MAX_MEGABYTES)
    begin = perf_counter()
    answer = handler({"scheduled_time": iso(_SLOT), "dry_run": mode == "dry-run"}, context)
    took = perf_counter() - begin
    deletable = answer["delete_count"]
    text = json.dumps(answer)
    return Figure(mode, snapshots, round(peak_mb(), 1), round(took, 2), round(len(text) / 1e6, 2), deletable)


def too_much(figures: list[Figure]) -> list[str]:
    """What breaks the bound, one sentence each."""
    return [
        f"{figure.snapshots} snapshots, {figure.mode}: {figure.peak_mb:.0f} MB, expected under {MAX_MEGABYTES} MB"
        for figure in figures
        if figure.peak_mb >= MAX_MEGABYTES
    ]


def run() -> dict[str, Any]:
    """Measure both kinds of invocation, print the table, return the figures."""
    print("mode     snapshots  peak MB  seconds  answer MB  may go")
    figures = []
    for mode, snapshots in product(("dry-run", "run"), SNAPSHOTS):
        figure = measure_alone(mode, snapshots)
        figures.append(figure)
        print(
            f"{mode:8} {figure.snapshots:9,} {figure.peak_mb:8.1f} {figure.seconds:8.2f} {figure.answer_mb:10.2f} "
            f"{figure.deletable:7,}",
            flush=True,
        )
    return {"figures": [asdict(figure) for figure in figures], "problems": too_much(figures)}


if __name__ == "__main__":
    sys.exit(main(run, _invoke))
