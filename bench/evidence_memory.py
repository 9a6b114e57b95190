"""What guard_evidence takes of the function's memory and time for a bucket of a million versions.

`python -m bench.evidence_memory` runs the real handler, each invocation in a process of its own, against an S3 that
only lists, with a table that keeps the checkpoint. Once an invocation has all the time that it needs; once each has
time for 150 pages, and the next one goes on. It exits with 1 when the peak of a process reaches the memory that the
template gives the function, when an invocation would take longer than it may, or when a version is not counted once.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler
from time import perf_counter, process_time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench._alone import Context, in_lambda, main, peak_mb, reported_alone, served

VERSIONS = 1_000_000
PAGE = 1_000
PAGES_EACH = 150
"""Pages of an invocation whose time is short."""

MEMORY_SIZE = 512
"""`MemorySize` of the function in template.yaml."""
MAX_SECONDS = 900
"""`Timeout` of the function in template.yaml."""

BUCKET = "cadoresponse-1"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
SETTINGS = {
    "location": "<LocationConstraint>eu-west-1</LocationConstraint>",
    "versioning": "<VersioningConfiguration/>",
    "lifecycle": (
        "<LifecycleConfiguration><Rule><ID>CadoGlacierRule</ID><Filter><Prefix>glacier</Prefix></Filter>"
        "<Status>Enabled</Status><Expiration><Days>365</Days></Expiration></Rule></LifecycleConfiguration>"
    ),
    "encryption": (
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
        "</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
    ),
}
NOT_CONFIGURED = {
    "object-lock": "ObjectLockConfigurationNotFoundError",
    "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "policy": "NoSuchBucketPolicy",
    "policyStatus": "NoSuchBucketPolicy",
    "replication": "ReplicationConfigurationNotFoundError",
    "ownershipControls": "OwnershipControlsNotFoundError",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """What one invocation took. `peak_mb` is the peak of the process, Python and boto3 included.

    `lambda_seconds` is how long it would take with Lambda's part of a processor as fast as this machine's. `objects` is
    what was counted, 0 if the next invocation goes on.
    """

    event: str
    peak_mb: float
    seconds: float
    lambda_seconds: float
    objects: int


@dataclass
class World:
    """The table, which outlives each invocation, and what was listed."""

    versions: int
    items: dict[tuple[str, str], Any] = field(default_factory=dict)
    pages: int = 0


def key_of(number: int) -> str:
    """The key of an object; every fourth is under `glacier`."""
    return f"{'glacier' if number < VERSIONS / 4 else 'imports'}/{number // 1000:04}/{number:07}/disk.e01"


class _Lists(BaseHTTPRequestHandler):
    """An S3 that shows the settings and lists the versions, a table without conditions, and a topic."""

    protocol_version = "HTTP/1.1"
    world: World

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        [setting] = [name for name in asked if name in {*SETTINGS, *NOT_CONFIGURED, "versions"}]
        if setting == "versions":
            self._say(self._list(asked))
        elif setting in SETTINGS:
            self._say(re.sub(r"^<\w+", rf'\g<0> xmlns="{NAMESPACE}"', SETTINGS[setting]))
        else:
            self._say(f"<Error><Code>{NOT_CONFIGURED[setting]}</Code><Message>none</Message></Error>", 404)

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "X-Amz-Target" in self.headers:
            self._say(self._store(self.headers["X-Amz-Target"].rsplit(".", 1)[-1], json.loads(text)))
        else:
            self._say("<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>")

    def _store(self, action: str, asked: dict[str, Any]) -> str:
        item = asked.get("Item") or asked["Key"]
        key = item["pk"]["S"], item["sk"]["S"]
        if action == "PutItem":
            self.world.items[key] = item
        elif action == "DeleteItem":
            self.world.items.pop(key, None)
        elif action == "GetItem" and key in self.world.items:
            return json.dumps({"Item": self.world.items[key]})
        return "{}"

    def _list(self, asked: dict[str, list[str]]) -> str:
        self.world.pages += 1
        [marker] = asked.get("key-marker", [""])
        first = int(marker.split("/")[2]) + 1 if marker else 0
        after = min(first + PAGE, self.world.versions)
        items = "".join(
            f"<Version><Key>{key_of(number)}</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><LastModified>"
            f'2026-11-0{number % 9 + 1}T10:00:00.000Z</LastModified><ETag>"{number:032x}"</ETag><Size>1073741824</Size>'
            f"<StorageClass>{'GLACIER' if number % 4 else 'STANDARD'}</StorageClass></Version>"
            for number in range(first, after)
        )
        last = key_of(after - 1)
        more = f"<NextKeyMarker>{last}</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker>"
        cut = after < self.world.versions
        return (
            f'<ListVersionsResult xmlns="{NAMESPACE}"><IsTruncated>{str(cut).lower()}</IsTruncated>'
            f"{more if cut else ''}{items}</ListVersionsResult>"
        )

    def _say(self, body: str, status: int = 200) -> None:
        said = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


def measure_alone(versions: int, pages_each: int) -> tuple[list[Figure], World]:
    """As many invocations as it takes, each in a process of its own and with time for so many pages."""
    world, figures = World(versions), list[Figure]()
    with served(_Lists, world=world) as url:
        while not (figures and figures[-1].objects):
            event = "reconcile" if figures else "daily"
            asked = ("bench.evidence_memory", event, pages_each)
            figures.append(Figure(**reported_alone(*asked, url=url, LIFEBOAT_EVIDENCE_BUCKET=BUCKET)))
    return figures, world


@dataclass(slots=True)
class _Context(Context):
    """Its time is up after so many pages."""

    pages: int = 0

    def get_remaining_time_in_millis(self) -> int:
        self.pages -= 1
        return 900_000 if self.pages > 0 else 0


def _invoke(event: str, pages: int) -> Figure:
    from functions.guard_evidence.app import handler

    context: Any = _Context(MAX_SECONDS, MEMORY_SIZE, pages=pages + 1)  # the lease asks once more
    asked = {"sweep": True} if event == "reconcile" else {}
    begin, begin_processor = perf_counter(), process_time()
    answer = handler(asked, context)
    took, processor = perf_counter() - begin, process_time() - begin_processor
    return Figure(
        event=event,
        peak_mb=round(peak_mb(), 1),
        seconds=round(took, 2),
        lambda_seconds=in_lambda(took, processor, MEMORY_SIZE),
        objects=answer.get("objects", 0),
    )


def problems_of(figures: list[Figure], world: World, *, timed: bool = True) -> list[str]:
    """What breaks a bound, one sentence each; not `timed`, and how fast this machine is counts for nothing."""
    name = f"{world.versions} versions in {len(figures)} invocations"
    peak = max(figure.peak_mb for figure in figures)
    longest = max(figure.lambda_seconds for figure in figures)
    counted, pages = figures[-1].objects, -(-world.versions // PAGE)
    bars = [
        (peak >= MEMORY_SIZE, f"{peak:.0f} MB, expected under {MEMORY_SIZE} MB"),
        (timed and longest >= MAX_SECONDS, f"{longest:.0f} s, expected under {MAX_SECONDS} s"),
        (counted != world.versions, f"{counted} were counted, expected each once"),
        (world.pages != pages, f"{world.pages} pages were listed, expected {pages}"),
    ]
    return [f"{name}: {said}" for broken, said in bars if broken]


def run() -> dict[str, Any]:
    """Measure a whole listing and one in parts, print the table, return the figures."""
    print("versions   invocations  peak MB  seconds  s in Lambda, the longest  pages")
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for pages_each in (VERSIONS // PAGE + 10, PAGES_EACH):
        figures, world = measure_alone(VERSIONS, pages_each)
        peak = max(figure.peak_mb for figure in figures)
        seconds = sum(figure.seconds for figure in figures)
        longest = max(figure.lambda_seconds for figure in figures)
        print(
            f"{world.versions:9,} {len(figures):12} {peak:8.1f} {seconds:8.1f} {longest:25.1f} {world.pages:6,}",
            flush=True,
        )
        rows.append({"pages_each": pages_each, "pages": world.pages, "invocations": [asdict(item) for item in figures]})
        problems += problems_of(figures, world)
    return {"figures": rows, "problems": problems}


if __name__ == "__main__":
    sys.exit(main(run, _invoke))
