"""What a month of Lifeboat costs, storage apart: a model of its requests, times and messages with AWS's prices.

Pure arithmetic. How often a handler is woken comes from the template's schedules; how many requests an invocation
makes is counted, and what it logs weighed, by tests against the code (tests/functions/test_cost_model.py); how long
one lasts is assumed, and said so.
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
    observed: str
    """Who wrote it, and when: AWS's own pages are not dated."""


PRICES = {
    "Lambda requests": Price(0.20 / 1e6, 1e6, "aws.amazon.com/lambda/pricing", "the page, 2026"),
    "Lambda GB-seconds, arm64": Price(0.0000133334, 400_000, "aws.amazon.com/lambda/pricing", "the page, 2026"),
    "DynamoDB reads": Price(0.125 / 1e6, 0, "aws.amazon.com/dynamodb/pricing/on-demand", "airbyte.com, 2025-07"),
    "DynamoDB writes": Price(0.625 / 1e6, 0, "aws.amazon.com/dynamodb/pricing/on-demand", "airbyte.com, 2025-07"),
    "Scheduler invocations": Price(1.00 / 1e6, 14e6, "aws.amazon.com/eventbridge/pricing", "cloudburn.io, 2026-03"),
    "SNS publishes": Price(0.50 / 1e6, 1e6, "aws.amazon.com/sns/pricing", "factualminds.com, 2026-06"),
    "e-mails": Price(2.00 / 1e5, 1_000, "aws.amazon.com/sns/pricing", "factualminds.com, 2026-06"),
    "SQS requests": Price(0.40 / 1e6, 1e6, "aws.amazon.com/sqs/pricing", "cloudburn.io, 2026-03"),
    "KMS requests": Price(0.03 / 1e4, 20_000, "aws.amazon.com/kms/pricing", "cloudburn.io, 2026-03; the page, undated"),
    "EBS block lists": Price(
        0.0006 / 1e3, 0, "docs.aws.amazon.com/ebs/latest/userguide/ebsapi-pricing.html", "the page, undated"
    ),
    "EBS blocks read": Price(
        0.003 / 1e3, 0, "docs.aws.amazon.com/ebs/latest/userguide/ebsapi-pricing.html", "the page, undated"
    ),
    "GB of logs taken in": Price(0.50, 5, "aws.amazon.com/cloudwatch/pricing", "cloudburn.io, 2026-02"),
    "state transitions": Price(
        0.025 / 1e3, 4_000, "aws.amazon.com/step-functions/pricing", "the page, undated; the free ones do not expire"
    ),
    "alarms": Price(
        0.10, 10, "aws.amazon.com/cloudwatch/pricing", "cloudburn.io, 2026-02; what is free: the page, undated"
    ),
    "metrics": Price(
        0.30, 10, "aws.amazon.com/cloudwatch/pricing", "cloudburn.io, 2026-02; what is free: the page, undated"
    ),
}
"""EC2's own API calls and its events on the default bus cost nothing, nor does SNS's delivery to Lambda."""

SNAPSHOT_GB_MONTH = 0.05
"""aws.amazon.com/ebs/pricing, of changed blocks."""

GP3_GB_MONTH = 0.08
"""aws.amazon.com/ebs/pricing, billed by the second, for at least a minute."""

DRILL_MINUTES = 5
"""How long a volume of a drill lives at the most, unless EC2 is slow: until the next reconcile run."""


def drill(gib: float) -> float:
    """Dollars of one restore drill of so many GiB."""
    return gib * GP3_GB_MONTH * DRILL_MINUTES / MINUTES


LIST_DOLLARS = 0.005 / 1e3
"""aws.amazon.com/s3/pricing, of a request that lists 1,000 versions."""

SETTINGS_DOLLARS = 10 * 0.0004 / 1e3
"""The same page, of the requests that read the settings of a bucket, once."""

LIST_SECONDS = 0.6
"""Assumed, for one page of 1,000 versions with 512 MB, of which a manifest is written and compared."""

PART_DOLLARS = 0.005 / 1e3 + 0.0004 / 1e3
"""The same page, of writing one part of a manifest and reading one of the manifest before: 5,000 versions each."""

MANIFEST_GB_MONTH = 90 * 80 / 1e9 * 0.023
"""Of 90 manifests, for one version: a line has some 80 bytes in gzip, most of them of its hash and its version id."""


def guard(versions: int) -> float:
    """Dollars of a month of guard_evidence and its manifests, for a bucket of so many versions; nothing free, with its
    alarm."""
    pages = -(-versions // 1000)
    seconds = DAYS * (COLD_START + 2 + pages * LIST_SECONDS) + MINUTES / 15 * IDLE_RECONCILE.seconds
    return (
        DAYS * (pages * (LIST_DOLLARS + PART_DOLLARS / 5) + SETTINGS_DOLLARS)
        + versions * MANIFEST_GB_MONTH
        + seconds * 0.5 * PRICES["Lambda GB-seconds, arm64"].dollars
        + MINUTES / 15 * (PRICES["Scheduler invocations"].dollars + PRICES["Lambda requests"].dollars)
        + MINUTES / 15 * PRICES["DynamoDB reads"].dollars
        + PRICES["alarms"].dollars
    )


EVENT_LINE = 450
"""Bytes of the line that says what a snapshot's event led to. Lambda's own lines are switched off."""

OTHER_LINE = 900
"""Bytes, assumed, of a line of prune_snapshots or check_ami_owner about little."""

AGES_LOGGED = 100
"""How many volumes' ages the metric's line lists at most (lifeboat.backup.overdue_workflow.AGES_LOGGED)."""


def metric_line(volumes: int) -> float:
    """Bytes of the line that carries the metric: it lists the oldest recovery points' ages."""
    return 280 + 150 * min(volumes, AGES_LOGGED)


def slot_line(instances: float) -> float:
    """Bytes of the line that names what a slot, or a batch of it, has begun."""
    return 450 + 250 * instances


BATCH = 25
"""Instances of a batch of a large run (docs/adr/0011-large-runs.md)."""

KEY_KEPT = 5
"""Minutes that DynamoDB keeps the key of a table for a connection in use, at least
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html). Without KmsKeyArn it is
the account's aws/dynamodb, which is free to have but not to ask (https://aws.amazon.com/kms/pricing/)."""

ESSENTIAL_ALARMS = 2
"""One for failed events, one for the reconcile runs of confirm_snapshots."""

ALARMS = 10
"""Of a stack without copies and with Alarms=all: also one for each of seven handlers, and one for the reconcile runs of
attach_volume."""

METRICS = 3
"""With Metrics=true: the ages of recovery points and of proven ones, and the share of changed blocks. A completed
restore adds a fourth in its month."""

OPEN_MINUTES = 10
"""Assumed, from the begin of a slot's recovery points until the last of them is published. The first one of a large
volume takes hours."""

TRANSITIONS = 3
"""Of a wake: from the start to the wait, to the invocation, to the end."""

GIB = 100
"""Of each data volume, all of it written: what verification lists."""

LISTED = -(-GIB * 2048 // 10_000)
"""Calls of ListSnapshotBlocks for one volume: 2,048 blocks a GiB, 10,000 in each answer."""

READ = 20
"""Blocks that the level `read` reads of one volume of 100 GiB: 16 of an ext4, 4 of an XFS, as tests count."""

READ_BAR = 200
"""What they may be of a volume of 100 GiB."""

CANARY_LISTED = LISTED + -(-LISTED // 10)
"""The change canary lists the blocks that changed; assumed are a tenth. It lists all of a volume once more if they are
too many for one invocation to keep (lifeboat.verify.reading_workflow.MOST_TOKENS)."""

CANARY_READ = 64
"""Blocks that it reads at most, half of them of those that changed (lifeboat.verify.canary.SAMPLED)."""

CANARY_READS = 2
"""For each volume: the history of its lineage, which has at most 4 kB, and whether its lists were cut off."""

CANARY_WRITES = 4
"""For each volume: the history, in kB. A checkpoint is written only of lists that are long."""

VERIFY_READS = 5
"""For each recovery point: whether it was read before, what is open, three times, and whether a person asked."""

VERIFY_WRITES = 5
"""For each recovery point: opening and closing it in three, the right to read in two."""

CHECKPOINTS = -(-LISTED // 10) + 1
"""For each volume: a write after each tenth call of the list, and one after the inspection."""


@dataclass(frozen=True, slots=True)
class Handler:
    """What one invocation of a kind takes. `seconds` are assumed for a function with 256 MB, which has about a seventh
    of a processor: some seven times what it takes here. `within`: it is part of an invocation that is counted already.
    """

    seconds: float
    reads: float = 0
    writes: float = 0
    publishes: float = 0
    log_bytes: float = 0
    scheduled: bool = False
    gb: float = 0.25
    within: bool = False


COLD_START = 1.2
"""Seconds. A handler that is invoked every 15 minutes is taken to be cold each time."""

IDLE_RECONCILE = Handler(seconds=COLD_START + 0.06, reads=1, scheduled=True)
"""One query of the table that finds nothing; it says nothing."""

DRILL_RECONCILE = Handler(seconds=COLD_START + 0.15, reads=1, scheduled=True)
"""The same after one DescribeVolumes, for volumes that a drill left behind."""

CATCH_UP = Handler(seconds=COLD_START + 0.35, reads=1, scheduled=True)
"""Who is selected; the schedule's last slot is read only for a rate. The metric is its line."""

WAKE = Handler(seconds=0.25, reads=1)
"""A reconcile run that finds open backups. Its function is warm: it ran a minute before."""

SELECTED_KB = 0.07
"""Of the table's item that says since when an instance is selected."""

BEGUN_WRITES = 5
"""For each recovery point: a transaction's two items at two writes each, and a note that it is being made."""

COMPLETED_WRITES = 4
"""For each recovery point: publishing it once, and closing it."""

EVENT_WRITES = 2
"""For each further event about a recovery point that has been published: a refused note, and a deletion of nothing."""


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


def month(
    instances: int,
    *,
    slots_a_day: float = 1,
    volumes: int = 1,
    large_run: bool = False,
    mailboxes: int = 1,
    verify: bool = True,
    alarms: int = ESSENTIAL_ALARMS,
    metrics: bool = False,
) -> Use:
    """A month with so many protected instances.

    `volumes` of data each. `large_run`: a queue hands out the work. `mailboxes`: how many e-mail addresses are
    notified.
    `verify`: each recovery point is read back at the level `read`. `alarms`: how many there are. `metrics`: whether
    figures are metrics, too.
    """
    slots = slots_a_day * DAYS
    backups = slots * instances
    batches = slots * -(-instances // BATCH) if large_run else 0.0
    wakes = slots * (OPEN_MINUTES + 1) if instances else 0.0  # the last one finds nothing open
    begun_line = 450 if large_run else slot_line(instances)
    # A recovery point has an event for each snapshot and one for the set: the first publishes it, the others find
    # it published.
    handlers: list[tuple[float, Handler]] = [
        (2 * MINUTES / 15, IDLE_RECONCILE),
        (MINUTES / 15, DRILL_RECONCILE),
        (wakes, WAKE),
        (MINUTES / 15, CATCH_UP),
        # Who is selected, 4 kB for each unit; the ages.
        (
            MINUTES / 15,
            Handler(
                seconds=0, reads=instances * SELECTED_KB / 4, log_bytes=metric_line(instances * volumes), within=True
            ),
        ),
        (slots, Handler(seconds=COLD_START + 0.5, log_bytes=begun_line, publishes=1, writes=2, scheduled=True)),
        (batches, Handler(seconds=20.0, reads=1, writes=4, log_bytes=slot_line(BATCH), gb=0.5)),
        (0 if large_run else backups, Handler(seconds=0.5, within=True)),
        (backups, Handler(seconds=0, writes=BEGUN_WRITES, within=True)),
        (backups * (volumes + 1), Handler(seconds=0.25, reads=1, log_bytes=EVENT_LINE)),
        (backups, Handler(seconds=0.2, writes=COMPLETED_WRITES, publishes=1, within=True)),
        (backups * volumes, Handler(seconds=0, writes=EVENT_WRITES, within=True)),
        (backups, Handler(seconds=0.1, reads=1, log_bytes=OTHER_LINE)),  # prune_snapshots waits for the last of a slot
        (
            slots + DAYS,
            # The write is the record of the run.
            Handler(
                seconds=COLD_START + instances * 0.05,
                writes=1,
                publishes=0.5,
                log_bytes=2 * OTHER_LINE,
                scheduled=True,
            ),
        ),
        (DAYS, Handler(seconds=COLD_START + instances * 0.02, log_bytes=OTHER_LINE, scheduled=True)),
        (DAYS, Handler(seconds=COLD_START + 1.0, scheduled=True, gb=0.5)),  # check_stack finds no new deployment
        (DAYS / 7, Handler(seconds=COLD_START + 2.0 + instances * 0.02, scheduled=True, gb=0.5)),  # the coverage report
    ]
    if verify:
        handlers += [
            (MINUTES / 15, Handler(seconds=COLD_START + 0.06, reads=1, scheduled=True, gb=0.5)),
            (
                MINUTES / 60,
                Handler(seconds=0.3 + 0.01 * instances, log_bytes=metric_line(instances), gb=0.5, within=True),
            ),
            (
                backups,
                Handler(seconds=COLD_START, reads=VERIFY_READS, writes=VERIFY_WRITES, log_bytes=OTHER_LINE, gb=0.5),
            ),
            # A list of 10,000 blocks has a megabyte; a block has half of one.
            (
                backups * volumes,
                Handler(seconds=0.5 * LISTED + 0.05 * READ, writes=CHECKPOINTS, gb=0.5, within=True),
            ),
            (
                backups * volumes,
                Handler(
                    seconds=0.5 * CANARY_LISTED + 0.1 * CANARY_READ,
                    reads=CANARY_READS,
                    writes=CANARY_WRITES,
                    log_bytes=2 * OTHER_LINE,
                    gb=0.5,
                    within=True,
                ),
            ),
        ]
    publishes = sum(count * function.publishes for count, function in handlers)
    return Use(
        {
            "Lambda requests": sum(count for count, function in handlers if not function.within),
            "Lambda GB-seconds, arm64": sum(count * function.seconds * function.gb for count, function in handlers),
            "DynamoDB reads": sum(count * function.reads for count, function in handlers),
            "DynamoDB writes": sum(count * function.writes for count, function in handlers),
            "Scheduler invocations": sum(count for count, function in handlers if function.scheduled),
            "SNS publishes": publishes,
            "e-mails": publishes * mailboxes,
            "SQS requests": (3 * batches + IDLE_POLLS) if large_run else 0.0,
            "KMS requests": (4 + verify) * MINUTES / 15 + wakes / KEY_KEPT,
            "state transitions": TRANSITIONS * wakes,
            "EBS block lists": backups * volumes * (LISTED + CANARY_LISTED) * verify,
            "EBS blocks read": backups * volumes * (READ + CANARY_READ) * verify,
            "GB of logs taken in": sum(count * function.log_bytes for count, function in handlers) / 1e9,
            "alarms": float(alarms),
            "metrics": float(METRICS * metrics),
        }
    )


IDLE_POLLS = 5 * MINUTES * 3
"""Lambda polls an idle queue with five pollers, each waiting 20 seconds
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)."""

BAR = 0.05
"""Dollars a month that one protected instance may cost, storage apart."""
