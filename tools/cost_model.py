"""What a month of Lifeboat costs, storage apart: a model of its requests, times and messages with AWS's prices.

Pure arithmetic. How often a door is woken comes from the template's schedules; how many requests an invocation makes is
counted by tests against the code (tests/tools/test_cost_model.py); how long one lasts is assumed, and said so.
"""

from __future__ import annotations

from dataclasses import dataclass

DAYS = 30.4375
"""A month: a twelfth of a year."""

MINUTES = DAYS * 24 * 60


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one unit, beyond what every account has for nothing each month, in us-east-1."""

    dollars: float
    free: float
    source: str


PRICES = {
    "Lambda requests": Price(0.20 / 1e6, 1e6, "aws.amazon.com/lambda/pricing"),
    "Lambda GB-seconds, arm64": Price(0.0000133334, 400_000, "aws.amazon.com/lambda/pricing"),
    "DynamoDB reads": Price(0.125 / 1e6, 0, "aws.amazon.com/dynamodb/pricing/on-demand"),
    "DynamoDB writes": Price(0.625 / 1e6, 0, "aws.amazon.com/dynamodb/pricing/on-demand"),
    "Scheduler invocations": Price(1.00 / 1e6, 14e6, "aws.amazon.com/eventbridge/pricing"),
    "SNS publishes": Price(0.50 / 1e6, 1e6, "aws.amazon.com/sns/pricing"),
    "SQS requests": Price(0.40 / 1e6, 1e6, "aws.amazon.com/sqs/pricing"),
    "GB of logs taken in": Price(0.50, 5, "aws.amazon.com/cloudwatch/pricing"),
    "alarms": Price(0.10, 10, "aws.amazon.com/cloudwatch/pricing"),
    "metrics": Price(0.30, 10, "aws.amazon.com/cloudwatch/pricing"),
}
"""EC2's own API calls and its events on the default bus cost nothing, nor does SNS's delivery to Lambda."""

SNAPSHOT_GB_MONTH = 0.05
"""aws.amazon.com/ebs/pricing, of changed blocks."""

LOG_LINE_BYTES = 900
"""A line of ours with its facts; Lambda's own lines of each invocation are switched off."""

ALARMS = 9
"""Of a stack without copies: one for failed events, one for each of six doors, one for each of two sweeps."""


@dataclass(frozen=True, slots=True)
class Door:
    """What one invocation of a kind takes. `seconds` are assumed for a function with 256 MB, which has about a seventh
    of a processor: some seven times what it takes here.
    """

    seconds: float
    reads: float = 0
    writes: float = 0
    publishes: float = 0
    lines: float = 0
    scheduled: bool = False
    gb: float = 0.25


IDLE_SWEEP = Door(seconds=0.06, reads=1, scheduled=True)
"""One query of the table that finds nothing; it says nothing."""

CATCH_UP = Door(seconds=0.35, reads=4, lines=1, scheduled=True)
"""The instances, who was selected, the fired slot; the metric is its line."""

COLD_START = 1.2
"""Seconds; every door grows cold some times a day, the sweeps never."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a month takes, in units of PRICES."""

    units: dict[str, float]

    @property
    def at_list_price(self) -> float:
        """Dollars, if other things in the account have used up all that is free."""
        return sum(PRICES[name].dollars * amount for name, amount in self.units.items())

    @property
    def within_free(self) -> float:
        """Dollars, if Lifeboat is the first to use what every account has for nothing."""
        return sum(PRICES[name].dollars * max(0.0, amount - PRICES[name].free) for name, amount in self.units.items())


def month(instances: int, *, slots_a_day: float = 1, volumes: int = 1, fleet: bool = False) -> Use:
    """A month with so many protected instances. `fleet`: the queue that hands out the work."""
    slots = slots_a_day * DAYS
    backups = slots * instances
    portions = slots * -(-instances // 25) if fleet else 0.0
    # Each recovery point: taken (two writes of a transaction cost two each, one more notes it), confirmed by an event
    # for each snapshot and one for the set, told once, closed.
    doors: list[tuple[float, Door]] = [
        (2 * MINUTES, IDLE_SWEEP),
        (MINUTES / 15, CATCH_UP),
        (MINUTES / 15, Door(seconds=0, reads=instances * 0.05 / 4)),  # who is selected: some 50 bytes each
        (slots, Door(seconds=COLD_START + 0.5, lines=2, publishes=1, writes=2, scheduled=True)),
        (portions, Door(seconds=20.0, reads=1, writes=4, lines=1, gb=0.5)),
        (0 if fleet else backups, Door(seconds=0.5)),
        (backups, Door(seconds=0, writes=5)),
        (backups * (volumes + 1), Door(seconds=0.25, reads=1, lines=0.5)),
        (backups, Door(seconds=0.2, reads=0, writes=4, publishes=1)),
        (backups, Door(seconds=0.1, reads=1, lines=1)),  # prune_snapshots, which waits for the last of a slot
        (slots + DAYS, Door(seconds=COLD_START + instances * 0.05, publishes=0.5, lines=2, scheduled=True)),
        (DAYS, Door(seconds=COLD_START + instances * 0.02, lines=1, scheduled=True)),
    ]
    invocations = sum(count for count, door in doors if door.seconds)
    return Use(
        {
            "Lambda requests": invocations,
            "Lambda GB-seconds, arm64": sum(count * door.seconds * door.gb for count, door in doors),
            "DynamoDB reads": sum(count * door.reads for count, door in doors),
            "DynamoDB writes": sum(count * door.writes for count, door in doors),
            "Scheduler invocations": sum(count for count, door in doors if door.scheduled),
            "SNS publishes": sum(count * door.publishes for count, door in doors),
            "SQS requests": (3 * portions + IDLE_POLLS) if fleet else 0.0,
            "GB of logs taken in": sum(count * door.lines for count, door in doors) * LOG_LINE_BYTES / 1e9,
            "alarms": float(ALARMS),
            "metrics": 1.0,
        }
    )


IDLE_POLLS = 5 * MINUTES * 3
"""Lambda looks into an idle queue with five pollers, each waiting 20 seconds
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)."""

BAR = 0.05
"""Dollars a month that one protected instance may cost, storage apart."""
