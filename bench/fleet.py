"""How long a fleet's run takes under EC2's buckets, what it calls, and that the simulation tells the truth.

The simulation runs the product's own chain, `take_snapshots`' planner and its workers, on a clock that only waiting
moves; beneath `lifeboat.aws` there are buckets as EC2 documents them and calls that take as long as is assumed here.
The same on the local AWS, at its real speed and with all its parts, for fewer instances, must take about as long.
`back_up` is that real run, for whoever wants to compare it with something.
"""

from __future__ import annotations

import heapq
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import Mock, patch

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
for place in (str(ROOT), str(LAYER)):
    if place not in sys.path:  # run as a program, not by pytest
        sys.path.insert(0, place)

from lifeboat import news as voice  # noqa: E402
from lifeboat.aws import backups, clock, ec2, queue, runs, topic  # noqa: E402
from lifeboat.aws.errors import AwsError  # noqa: E402
from lifeboat.chains import backup, portion, telling  # noqa: E402
from lifeboat.chains import fleet as chain  # noqa: E402
from lifeboat.config import Config  # noqa: E402
from lifeboat.events import snapshot_request  # noqa: E402
from lifeboat.model import Attachment, Instance, PortionResult, Run, Selector, Volume  # noqa: E402
from lifeboat.requests import BackupRequest, Trigger  # noqa: E402
from lifeboat.rules import fleet  # noqa: E402

CAPACITY, REFILL = 100, 5.0
"""EC2's bucket of CreateSnapshots (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""
DESCRIBE_CAPACITY, DESCRIBE_REFILL = 100, 20.0
MORE_THAN_BOUND = 1.1
"""A run may take this many times what the buckets alone allow."""
MOST_SECONDS = 60
"""No invocation may last longer."""
PAGE = 1_000

DESCRIBE_SECONDS = 0.3
CREATE_SECONDS = 0.4
TABLE_SECONDS = 0.01
START_SECONDS = 2.0
TURN_SECONDS = 0.1
"""How long calls, a cold start, and the way from one message to the next take: assumed, not documented by AWS."""

SLOT = datetime(2026, 11, 23, 2, tzinfo=UTC)
SELECTOR = Selector("lifeboat:backup", "true")
REAL = 200
"""Instances of the run on the local AWS."""
LAUNCHED = 500
"""How many the local AWS launches in one call."""
REAL_START = 6.0
"""Seconds that the local AWS may take beyond the simulation: it starts five Python processes, on a shared machine."""


def bound(instances: int, share: int = 100, *, speed: float = 1.0) -> float:
    """Seconds that the bucket alone takes for so many calls."""
    return max(0.0, instances - CAPACITY * share / 100) / (REFILL * share / 100) / speed


@dataclass(frozen=True, slots=True)
class Figure:
    """One run. `pages` are describe calls of all kinds, `refused` throttled CreateSnapshots among `creates`."""

    kind: str
    instances: int
    share: int
    bound_seconds: float
    seconds: float
    creates: int
    refused: int
    pages: int
    invocations: int
    longest_seconds: float
    lost: int
    doubled: int
    told: tuple[str, ...]

    @property
    def row(self) -> str:
        times = f"{self.bound_seconds:7.1f} {self.seconds:8.1f} {self.longest_seconds:8.1f}"
        calls = f"{self.creates:7,} {self.refused:8,} {self.pages:6,} {self.invocations:6,}"
        return f"{self.kind:10} {self.instances:9,} {self.share:5} {times} {calls} {self.lost:5} {self.doubled:8}"


HEAD = "kind       instances share bound s  took s longest s  creates  refused  pages    inv  lost  doubled"


# --- a clock that only waiting moves


class VirtualTime:
    """Threads that take turns: one runs, and when it waits, the one that is due next goes on, at its own time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, threading.Event]] = []
        self._order = 0
        self._over = threading.Event()

    def wait(self, seconds: float) -> None:
        turn = self._enqueue(self.now + max(0.0, seconds))
        self._next()
        turn.wait()

    def run(self, *works: Callable[[], None]) -> None:
        """All of these at once, until the last has ended."""
        for work in works:
            turn = self._enqueue(self.now)
            threading.Thread(target=self._live, args=(work, turn), daemon=True).start()
        self._over.clear()
        self._next()
        self._over.wait()

    def _live(self, work: Callable[[], None], turn: threading.Event) -> None:
        turn.wait()
        try:
            work()
        finally:
            self._next()

    def _enqueue(self, at: float) -> threading.Event:
        turn = threading.Event()
        self._order += 1
        heapq.heappush(self._due, (at, self._order, turn))
        return turn

    def _next(self) -> None:
        if not self._due:
            self._over.set()
            return
        self.now, _, turn = heapq.heappop(self._due)
        turn.set()


@dataclass(slots=True)
class Bucket:
    """Tokens, and how many come back a second."""

    time: VirtualTime
    capacity: float
    refill: float
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.capacity

    def take(self) -> bool:
        self.tokens = min(self.capacity, self.tokens + (self.time.now - self.at) * self.refill)
        self.at = self.time.now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _Context:
    """What Lambda tells an invocation."""

    time: VirtualTime
    began: float
    aws_request_id: str = "simulated"

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (MOST_SECONDS - (self.time.now - self.began)))


class Simulation:
    """AWS as far as a fleet's run touches it, on virtual time."""

    def __init__(self, instances: int, share: int) -> None:
        self.time = VirtualTime()
        self.share = share
        self.ids = [f"i-{number:017x}" for number in range(instances)]
        self.creating = Bucket(self.time, CAPACITY, REFILL)
        self.describing = Bucket(self.time, DESCRIBE_CAPACITY, DESCRIBE_REFILL)
        self.calls: Counter[str] = Counter()
        self.saved: Counter[str] = Counter()
        self.messages: list[tuple[float, str, int]] = []  # visible from, body, how often received
        self.delays: dict[str, int] = {}
        self.done: set[int] = set()
        self.results: list[PortionResult] = []
        self.planned: Run | None = None
        self.kept: dict[tuple[str, str], Any] = {}
        self.told: list[voice.News] = []
        self.lasted: list[float] = []
        self.config = Config(
            stack="lifeboat",
            region="eu-west-1",
            table="table",
            topic_arn="arn:aws:sns:eu-west-1:111122223333:news",
            selector=SELECTOR,
            work_queue="work",
            api_share=share,
        )

    # what the chain calls, in place of lifeboat.aws

    def _describe(self, calls: int = 1) -> None:
        for _ in range(calls):
            while not self.describing.take():
                self.time.wait(0.1)
            self.calls["pages"] += 1
            self.time.wait(DESCRIBE_SECONDS)

    def each_instance_with_tag(self, _key: str, _value: str) -> Iterator[Instance]:
        for number, instance_id in enumerate(self.ids):
            if number % PAGE == 0:
                self._describe()
            yield self._instance(instance_id)

    @staticmethod
    def _instance(instance_id: str) -> Instance:
        volume = "vol" + instance_id[1:]
        disks = (
            Attachment("vol-0", instance_id, "/dev/xvda", "attached", True),
            Attachment(volume, instance_id, "/dev/sdh", "attached", False),
        )
        tags = {SELECTOR.tag_key: SELECTOR.tag_value}
        return Instance(instance_id, "running", "eu-west-1a", "ami-0", "/dev/xvda", disks, tags)

    def instances(self, ids: Sequence[str]) -> dict[str, Instance]:
        self._describe()
        return {instance_id: self._instance(instance_id) for instance_id in ids}

    def volumes(self, ids: Sequence[str]) -> dict[str, Volume]:
        self._describe(ceil(len(ids) / ec2.IDS))
        return {item: Volume(item, "in-use", 100, "gp3", "eu-west-1a", encrypted=True) for item in ids}

    def image_owners(self, ids: Sequence[str]) -> dict[str, str]:
        self._describe()
        return dict.fromkeys(ids, "055430919509")

    def recovery_point_snapshots_of(self, _stack: str, _filters: Any) -> tuple[()]:
        self._describe()
        return ()

    def create_snapshots(self, instance_id: str, _description: str, _tags: Any) -> dict[str, str]:
        self.calls["creates"] += 1
        self.time.wait(CREATE_SECONDS)
        if not self.creating.take():
            self.calls["refused"] += 1
            raise AwsError("RequestLimitExceeded", "Request limit exceeded.", answered=True)
        self.saved[instance_id] += 1
        return {"vol" + instance_id[1:]: "snap" + instance_id[1:]}

    def once(self, _table: str, kind: str, key: str, work: Callable[[], Any], _context: Any, **_more: Any) -> Any:
        self.time.wait(2 * TABLE_SECONDS)
        if (kind, key) not in self.kept:
            self.kept[kind, key] = work()
        return self.kept[kind, key]

    def take(self, _table: str, ids: Sequence[str], **_times: datetime) -> frozenset[str]:
        self.time.wait(ceil(len(ids) / backups.TAKEN_AT_ONCE) * TABLE_SECONDS)
        return frozenset(ids)

    def note(self, *_anything: Any) -> None:
        self.time.wait(TABLE_SECONDS)

    def open_run(self, _table: str, run: Run) -> None:
        self.planned = run

    def report(self, _table: str, done: Any, result: PortionResult, _now: datetime) -> Run:
        self.time.wait(2 * TABLE_SECONDS)
        self.done.add(done.number)
        self.results.append(result)
        assert self.planned
        run = self.planned
        return Run(run.id, run.slot, run.late, run.planned_at, run.instances, run.portions, frozenset(self.done))

    def send(self, _url: str, bodies: Sequence[str]) -> None:
        self.messages += [(self.time.now + number / 1e6, body, 0) for number, body in enumerate(bodies)]

    def hold_back(self, _url: str, receipt: str, seconds: int) -> None:
        self.delays[receipt] = seconds

    def publish(self, _topic: str, message: voice.News) -> None:
        self.told.append(message)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        mine: dict[Any, dict[str, Any]] = {
            ec2: {
                name: getattr(self, name)
                for name in (
                    *("each_instance_with_tag", "instances", "volumes", "image_owners"),
                    *("recovery_point_snapshots_of", "create_snapshots"),
                )
            },
            clock: {
                "now": lambda: SLOT + timedelta(seconds=int(self.time.now)),
                "monotonic": lambda: self.time.now,
                "wait": self.time.wait,
            },
            backups: {"open_backups_for": self.take, "remember_made": self.note, "withdraw": self.note},
            queue: {"send": self.send, "hold_back": self.hold_back},
            runs: {"open_run": self.open_run, "report": self.report, "results_of": lambda *_: self.results},
            topic: {"publish": self.publish},
            portion: {"AT_ONCE": 1},  # the clock knows the workers, not their threads: they take longer here
            telling: {"once": self.once},
            chain: {"once": self.once, "logger": Mock()},
        }
        with ExitStack() as stack:
            for module, names in mine.items():
                for name, replacement in names.items():
                    stack.enter_context(patch.object(module, name, replacement))
            yield

    # what Lambda does

    def run(self) -> None:
        with self.in_place():
            self.time.run(self._plan)
            self.time.run(*[self._worker] * fleet.WORKERS)

    def _invoke(self, request: Any) -> Any:
        began = self.time.now
        context: Any = _Context(self.time, began)
        answer = backup.take(request, self.config, context) if isinstance(request, BackupRequest) else None
        answer = answer or chain.work(request, self.config, context)
        self.lasted.append(self.time.now - began)
        return answer

    def _plan(self) -> None:
        self.time.wait(START_SECONDS)
        self._invoke(BackupRequest(Trigger.SCHEDULE, slot=SLOT))

    def _worker(self) -> None:
        self.time.wait(START_SECONDS)
        while self.messages:
            visible, body, received = min(self.messages)
            if visible > self.time.now:
                self.time.wait(visible - self.time.now)
                continue
            self.messages.remove((visible, body, received))
            record = {
                "eventSource": "aws:sqs",
                "messageId": "1",
                "receiptHandle": body,
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(received + 1)},
            }
            answer = self._invoke(snapshot_request({"Records": [record]}))
            if answer["batchItemFailures"]:
                self.messages.append((self.time.now + self.delays.pop(body), body, received + 1))
            self.time.wait(TURN_SECONDS)


def simulate(instances: int, share: int = 100) -> Figure:
    """A run of so many instances, on virtual time."""
    made = Simulation(instances, share)
    made.run()
    return Figure(
        kind="simulated",
        instances=instances,
        share=share,
        bound_seconds=bound(instances, share),
        seconds=round(made.time.now, 1),
        creates=made.calls["creates"],
        refused=made.calls["refused"],
        pages=made.calls["pages"],
        invocations=len(made.lasted),
        longest_seconds=round(max(made.lasted), 1),
        lost=len(set(made.ids) - made.saved.keys()),
        doubled=sum(count - 1 for count in made.saved.values()),
        told=tuple(message.event for message in made.told),
    )


# --- the same for real


def back_up(stage: Any, instances: int, *, speed: float | None = 1.0) -> Figure:
    """Back up so many new instances on the local AWS, the real stack deployed with Fleet=true.

    `stage` is a `tests.e2e.stage.Stage`; with a `speed` EC2's buckets are enforced, refilling so much faster than
    AWS's. EC2's events are dropped meanwhile: what they start is not what is measured.
    """
    stage.control.event_fault("drop", count=0)
    for first in range(0, instances, LAUNCHED):
        stage.launch(min(LAUNCHED, instances - first))
    if speed is not None:
        stage.control.set_throttling(speed=speed)
    mark, begin = stage.control.mark(), perf_counter()
    stage.control.fire_schedule("TakeSnapshotsFunctionSlot", SLOT)
    stage.control.settle()
    seconds = perf_counter() - begin
    stage.control.reset()
    calls = stage.control.calls(mark, service="ec2", caller="TakeSnapshots")
    creates = [call for call in calls if call["action"] == "CreateSnapshots"]
    worked = stage.control.invocations(mark, function="TakeSnapshots")
    saved = Counter(_instance_of(item) for item in stage.recovery_point_snapshots())
    return Figure(
        kind="local AWS",
        instances=instances,
        share=100,
        bound_seconds=bound(instances, speed=speed) if speed else 0.0,
        seconds=round(seconds, 1),
        creates=len(creates),
        refused=sum(call["error"] == "RequestLimitExceeded" for call in creates),
        pages=sum(call["action"].startswith("Describe") for call in calls),
        invocations=len(worked),
        longest_seconds=round(max(item["milliseconds"] for item in worked) / 1000, 1),
        lost=instances - len(saved),
        doubled=sum(count - 1 for count in saved.values()),
        told=tuple(message["event"] for message in stage.news()),
    )


def _instance_of(snapshot: dict[str, Any]) -> str:
    [found] = [tag["Value"] for tag in snapshot["Tags"] if tag["Key"] == "lifeboat:instance"]
    return str(found)


# --- the bench


def problems_of(figure: Figure) -> list[str]:
    """The bars that a run does not meet, one sentence each."""
    name = f"{figure.instances} instances, {figure.kind}, share {figure.share}"
    slow = figure.kind == "simulated" and figure.seconds > MORE_THAN_BOUND * figure.bound_seconds
    bars = [
        (slow and figure.instances >= 1000, f"{figure.seconds} s, expected {MORE_THAN_BOUND} times the bound at most"),
        (figure.longest_seconds > MOST_SECONDS, f"an invocation of {figure.longest_seconds} s"),
        (figure.lost, f"{figure.lost} lost"),
        (figure.doubled, f"{figure.doubled} doubled"),
        (figure.told != ("BackupStarted",), f"told {figure.told}, expected one BackupStarted"),
        (figure.creates - figure.refused != figure.instances, f"{figure.creates} calls, expected one for each"),
        (figure.share < fleet.WHOLE and figure.refused, f"{figure.refused} refused although a share was kept"),
    ]
    return [f"{name}: {said}" for broken, said in bars if broken]


def run() -> dict[str, Any]:
    """Simulate, run the real thing beside it, print the table, return the figures."""
    from tests.e2e.stage import staged

    print(HEAD)
    figures: list[Figure] = []
    for instances, share in ((REAL, 100), (1_000, 100), (1_000, 50), (10_000, 100)):
        figures.append(simulate(instances, share))
        print(figures[-1].row, flush=True)
    with staged({"Fleet": "true"}) as stage:
        real = back_up(stage, REAL)
    print(real.row)
    problems = [problem for figure in (*figures, real) for problem in problems_of(figure)]
    if abs(real.seconds - figures[0].seconds) > REAL_START:
        problems.append(
            f"{REAL} instances took {real.seconds} s on the local AWS and {figures[0].seconds} s in the simulation, "
            f"expected no more than {REAL_START} s between them"
        )
    return {"figures": [asdict(figure) for figure in (*figures, real)], "problems": problems}


if __name__ == "__main__":
    print("\n".join(run()["problems"]) or "all bars are met")
