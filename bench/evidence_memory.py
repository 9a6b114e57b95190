"""What guard_evidence takes of the function's memory and time for a bucket of a million versions.

`python -m bench.evidence_memory` runs the real handler, each invocation in a process of its own, against an S3 that
lists a bucket and keeps its manifests, with a table that keeps the checkpoint. The first night an invocation has all
the time that it needs. The second night each has time for 150 pages, and the next one goes on: it compares with the
manifest of the first. The third night the bucket is empty, so that all is lost. At last two manifests are compared by
hand. It exits with 1 when the peak of a process reaches the memory that the template gives the function, when an
invocation would take longer than it may, or when a version is not counted or lost once.
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
OWN = "manifests"
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
    what was counted, -1 if the next invocation goes on. `lost` is what the manifest before has beyond it.
    """

    event: str
    peak_mb: float
    seconds: float
    lambda_seconds: float
    objects: int
    lost: int


@dataclass
class World:
    """The table and the manifests, which outlive each invocation, and what was listed of how many versions."""

    versions: int
    items: dict[tuple[str, str], Any] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    pages: int = 0


def key_of(number: int) -> str:
    """The key of an object; every fourth is under `glacier`."""
    return f"{'glacier' if number < VERSIONS / 4 else 'imports'}/{number // 1000:04}/{number:07}/disk.e01"


class _Lists(BaseHTTPRequestHandler):
    """An S3 that shows the settings and lists the versions, a table without conditions, and a topic."""

    protocol_version = "HTTP/1.1"
    world: World

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        asked = parse_qs(place.query, keep_blank_values=True)
        if place.path.startswith(f"/{OWN}"):
            self._show(place.path.removeprefix(f"/{OWN}/"), asked)
            return
        [setting] = [name for name in asked if name in {*SETTINGS, *NOT_CONFIGURED, "versions"}]
        if setting == "versions":
            self._say(self._list(asked))
        elif setting in SETTINGS:
            self._say(re.sub(r"^<\w+", rf'\g<0> xmlns="{NAMESPACE}"', SETTINGS[setting]))
        else:
            self._say(f"<Error><Code>{NOT_CONFIGURED[setting]}</Code><Message>none</Message></Error>", 404)

    def _show(self, key: str, asked: dict[str, list[str]]) -> None:
        """An object of the manifests, or the list of their keys."""
        if "list-type" in asked:
            keys = [key for key in sorted(self.world.manifests) if key.startswith(asked["prefix"][0])]
            found = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
            self._say(f'<ListBucketResult xmlns="{NAMESPACE}">{found}</ListBucketResult>')
        elif key in self.world.manifests:
            self._say(self.world.manifests[key])
        else:
            self._say("<Error><Code>NoSuchKey</Code><Message>none</Message></Error>", 404)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.world.manifests[urlsplit(self.path).path.removeprefix(f"/{OWN}/")] = body
        self._say("")

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.startswith(f"/{OWN}"):
            for key in re.findall("<Key>(.*?)</Key>", text):
                del self.world.manifests[key]
            self._say(f'<DeleteResult xmlns="{NAMESPACE}"/>')
        elif "X-Amz-Target" in self.headers:
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

    def _say(self, body: str | bytes, status: int = 200) -> None:
        said = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


def put_back(world: World, day: int) -> None:
    """Give the manifest of this run a day of its own, long ago: of those of one day the newest alone is kept."""
    [index] = [key for key in world.manifests if "/index/" in key and not key.endswith("T000000Z.json")]
    name = index.rsplit("/", 1)[-1].removesuffix(".json")
    then = f"202001{day:02}T000000Z"
    world.manifests = {key.replace(name, then): data for key, data in world.manifests.items()}
    key = index.replace(name, then)
    world.manifests[key] = world.manifests[key].replace(name.encode(), then.encode())


def measure_alone(world: World, pages_each: int, event: str = "daily") -> list[Figure]:
    """As many invocations as it takes, each in a process of its own and with time for so many pages."""
    figures = list[Figure]()
    with served(_Lists, world=world) as url:
        while not figures or figures[-1].objects < 0:
            asked = ("bench.evidence_memory", "reconcile" if figures else event, pages_each)
            own = {"LIFEBOAT_EVIDENCE_BUCKET": BUCKET, "LIFEBOAT_MANIFEST_BUCKET": OWN}
            figures.append(Figure(**reported_alone(*asked, url=url, **own)))
    return figures


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
    asked = {"reconcile": {"sweep": True}, "compare": {"compare": "oldest"}}.get(event, {})
    begin, begin_processor = perf_counter(), process_time()
    answer = handler(asked, context)
    took, processor = perf_counter() - begin, process_time() - begin_processor
    return Figure(
        event=event,
        peak_mb=round(peak_mb(), 1),
        seconds=round(took, 2),
        lambda_seconds=in_lambda(took, processor, MEMORY_SIZE),
        objects=answer.get("objects", -1),
        lost=answer.get("lost_objects", 0),
    )


def problems_of(night: Night, figures: list[Figure], pages: int, *, timed: bool = True) -> list[str]:
    """What breaks a bound, one sentence each; not `timed`, and how fast this machine is counts for nothing."""
    name = f"{night.name} in {len(figures)} invocations"
    peak = max(figure.peak_mb for figure in figures)
    longest = max(figure.lambda_seconds for figure in figures)
    counted, lost = figures[-1].objects, figures[-1].lost
    bars = [
        (peak >= MEMORY_SIZE, f"{peak:.0f} MB, expected under {MEMORY_SIZE} MB"),
        (timed and longest >= MAX_SECONDS, f"{longest:.0f} s, expected under {MAX_SECONDS} s"),
        (counted != night.objects, f"{counted} were counted, expected each once"),
        (lost != night.lost, f"{lost} were lost, expected {night.lost}"),
        (pages != night.pages, f"{pages} pages were listed, expected {night.pages}"),
    ]
    return [f"{name}: {said}" for broken, said in bars if broken]


@dataclass(frozen=True, slots=True)
class Night:
    """A listing of a bucket with so many versions, what it must find, and how many pages an invocation has time for."""

    name: str
    versions: int
    objects: int
    lost: int
    pages: int
    pages_each: int = VERSIONS // PAGE + 10
    event: str = "daily"


NIGHTS = (
    Night("the first manifest", VERSIONS, VERSIONS, 0, VERSIONS // PAGE),
    Night("in parts", VERSIONS - 1000, VERSIONS - 1000, 1000, VERSIONS // PAGE - 1, PAGES_EACH),
    Night("all lost", 0, 0, VERSIONS - 1000, 1),
    Night("by hand", 0, VERSIONS, VERSIONS, 0, event="compare"),
)


def run() -> dict[str, Any]:
    """Measure one night after the other, print the table, return the figures."""
    print("what                versions   invocations  peak MB  seconds  s in Lambda, the longest  pages")
    world = World(VERSIONS)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for day, night in enumerate(NIGHTS, 1):
        world.versions, world.pages = night.versions, 0
        figures = measure_alone(world, night.pages_each, night.event)
        peak = max(figure.peak_mb for figure in figures)
        seconds = sum(figure.seconds for figure in figures)
        longest = max(figure.lambda_seconds for figure in figures)
        print(
            f"{night.name:18} {night.versions:9,} {len(figures):12} {peak:8.1f} {seconds:8.1f} {longest:25.1f} "
            f"{world.pages:6,}",
            flush=True,
        )
        rows.append({"night": asdict(night), "pages": world.pages, "invocations": [asdict(item) for item in figures]})
        problems += problems_of(night, figures, world.pages)
        if night.event == "daily":
            put_back(world, day)
    print(f"manifests: {len(world.manifests)} objects with {sum(map(len, world.manifests.values())):,} bytes")
    return {"figures": rows, "problems": problems}


if __name__ == "__main__":
    sys.exit(main(run, _invoke))
