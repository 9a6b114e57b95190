"""What a world will be and what will happen in it, drawn from its seed before it begins.

A happening says when and what, and of which thing only a number between 0 and 1: which instance or volume that is shows
when it happens. So happenings can be left out one by one, and the rest still make sense: that is how a failure shrinks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from local.simulator.chance import Chance

HOUR = 3600.0
DAY = 24 * HOUR
MINUTE = 60.0

BEGINNINGS = (
    "2027-03-12T22:00:30",  # New York's spring
    "2027-03-26T22:00:30",  # Berlin's spring
    "2027-04-02T22:00:30",  # Lord Howe's autumn
    "2027-09-24T22:00:30",  # Chatham's spring
    "2027-10-29T22:00:30",  # Berlin's autumn
    "2027-11-05T22:00:30",  # New York's autumn
    "2028-02-27T22:00:30",
    "2027-12-29T22:00:30",
    "2027-06-12T22:00:30",
)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Chatham",
)
SCHEDULES = (
    "cron(0 2 * * ? *)",
    "cron(30 2 * * ? *)",
    "cron(0 */6 * * ? *)",
    "cron(15 10,22 * * ? *)",
    "cron(30 1,2,3 * * ? *)",
    "cron(0 2 ? * MON-FRI *)",
    "rate(1 hour)",
    "rate(6 hours)",
    "rate(90 minutes)",
)
OFTEN = SCHEDULES[-3:]
MANY = 4
"""More instances than this live shorter, and are not saved every hour: what a world costs grows with both."""
MOST_DAYS_OFTEN = 4
POLICIES = (
    "last=1",
    "last=2",
    "last=3 daily=14 weekly=8 monthly=12 yearly=7",
    "last=2 daily=3",
    "daily=2",
    "within=1d",
    "last=1 within=6h",
    "last=5 hourly=4",
)
TIGHT = {
    "MinimumKept": "1",
    "MaximumDeletePercent": "100",
    "GraceHours": "0",
    "FailedAfterDays": "1",
    "LockMode": "none",
}
"""With these retention keeps so little that any miscount shows."""
VOLUME_TYPES = ("gp3", "gp3", "gp2", "io1", "io2", "st1", "sc1", "standard")
DEVICES = ("/dev/sdh", "/dev/sdb", "/dev/xvdf", "/dev/sdf", "/dev/xvdba", "/dev/sdp", "/dev/sdc", "/dev/xvdbc")
SAME = ("/dev/xvdf", "/dev/sdf")
"""EC2 takes these for one and refuses an instance with both."""
LETTERS = "abc"


@dataclass(frozen=True)
class Happening:
    """Something that a person does, or that goes wrong for a while.

    Attributes:
        number: its place in the plan.
        at: seconds after the beginning of the world's life.
        kind: what, as `Operator` or `Misfortune` knows it.
        which: numbers from 0 up to 1, from which it is found what it is about.
        seconds: how long it lasts; 0 for what a person does.
        more: what else there is to know.
    """

    number: int
    at: float
    kind: str
    which: tuple[float, ...] = ()
    seconds: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)

    def pick[Thing](self, things: Sequence[Thing], place: int = 0) -> Thing | None:
        """The one of these that it is about; nothing if there are none."""
        return things[int(self.which[place] * len(things))] if things else None


@dataclass(frozen=True)
class Disk:
    """A data volume to be."""

    device: str
    type: str
    size: int
    iops: int | None
    encryption: str
    delete_on_termination: bool
    tags: Mapping[str, str]
    attached_later: bool


@dataclass(frozen=True)
class Machine:
    """An instance to be."""

    name: str
    zone: str
    disks: tuple[Disk, ...]
    tags: Mapping[str, str]
    trusted: bool
    stopped: bool
    untagged_volumes: bool


@dataclass(frozen=True)
class Carrying:
    """Where a world's recovery points are carried to.

    Attributes:
        region: another region has copies, and a stack.
        vault: a vault account has copies.
        own_keys: the copies are under keys made for them.
        is_lost: at the end the home region is lost, and a person restores in the other one.
    """

    region: bool = False
    vault: bool = False
    own_keys: bool = False
    is_lost: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A world.

    Attributes:
        seed: what it was drawn from.
        beginning: when its clock starts.
        life: seconds in which things happen; afterwards nobody does anything and nothing goes wrong.
        calm: seconds of that afterwards.
    """

    seed: int
    beginning: str
    life: float
    calm: float
    parameters: Mapping[str, str]
    machines: tuple[Machine, ...]
    happenings: tuple[Happening, ...]
    carrying: Carrying = Carrying()


def draw(seed: int, days: float | None = None) -> Plan:
    """The world of a seed; `days` of life if they are not to be drawn, too."""
    chance = Chance(seed)
    parameters = _parameters(chance)
    if chance.happens(0.35):
        parameters.update(TIGHT, Retention=chance.choice(("last=1", "last=2")))
    machines = _machines(chance, often=parameters["Schedule"] in OFTEN)
    drawn = chance.choice((1, 2, 2, 3)) if len(machines) > MANY else chance.choice((2, 3, 4, 5, 7, 10))
    if parameters["Schedule"] in OFTEN:
        drawn = min(drawn, MOST_DAYS_OFTEN)
    life = (days or drawn) * DAY
    happenings = [*_people(chance, life), *_misfortune(chance, life)]
    if chance.happens(0.4):
        happenings += _together(chance, life)
    carrying, of_copies = _carrying(Chance(f"carrying of {seed}"), life)
    of_proofs = _proofs(Chance(f"proofs of {seed}"), life, parameters)
    happenings += of_copies
    happenings.sort(key=lambda item: (item.at, item.kind))
    numbered = tuple(
        Happening(number, item.at, item.kind, item.which, item.seconds, item.more)
        for number, item in enumerate(happenings)
    )
    # Numbered behind all others, which so keep the numbers that they had before.
    of_proofs.sort(key=lambda item: (item.at, item.kind))
    numbered += tuple(replace(item, number=len(numbered) + place) for place, item in enumerate(of_proofs))
    beginning = datetime.fromisoformat(chance.choice(BEGINNINGS)).replace(tzinfo=UTC)
    beginning += timedelta(minutes=chance.randrange(24 * 60))
    return Plan(seed, beginning.isoformat(), life, 14 * HOUR, parameters, machines, numbered, carrying)


OF_COPIES: Mapping[str, float] = {
    "prune elsewhere": 6 * HOUR,
    "hold copy": 20 * HOUR,
    "delete copy": 40 * HOUR,
    "copy again": 24 * HOUR,
    "key disabled": 20 * HOUR,
    "calls": 6 * HOUR,
}
"""What people do, and what goes wrong, where recovery points are carried away: how often on average, in seconds."""


def _carrying(chance: Chance, life: float) -> tuple[Carrying, list[Happening]]:
    region, vault = chance.happens(0.25), chance.happens(0.2)
    if not (region or vault):
        return Carrying(), []
    parameters = {
        "Retention": chance.choice(("last=1", "last=2", "last=3 daily=14 weekly=8 monthly=12 yearly=7")),
        "MinimumKept": chance.choice(("1", "2")),
        "GraceHours": "0",
    }
    happenings = []
    for kind, every in OF_COPIES.items():
        if kind in ("key disabled", "calls") and chance.happens(0.5):
            continue
        for at in _times(chance, life, every):
            seconds, more = 0.0, {"probability": 1.0}
            if kind in ("key disabled", "calls"):
                seconds = round(min(chance.expovariate(1 / (2 * HOUR)), life - at), 1)
            if kind == "calls":
                service, action = chance.choice(CALLS_OF_COPIES)
                more = _call(chance, service, action)
            happenings.append(Happening(0, at, kind, _which(chance), seconds, more))
    lost = region and chance.happens(0.5)
    return Carrying(region, vault, chance.happens(0.6), lost, parameters), happenings


CALLS_OF_COPIES = (
    ("ec2", "CopySnapshot"),
    ("ec2", "CopySnapshot"),
    ("ec2", "DescribeSnapshots"),
    ("ec2", "ModifySnapshotAttribute"),
    ("ec2", "LockSnapshot"),
    ("dynamodb", "PutItem"),
    ("sns", "Publish"),
)


OF_PROOFS: Mapping[str, float] = {
    "write": 5 * HOUR,
    "encrypt files": 60 * HOUR,
    "damage volume": 40 * HOUR,
    "damage snapshot": 20 * HOUR,
    "verify": 16 * HOUR,
    "drill": 16 * HOUR,
    "suspect": 24 * HOUR,
    "close suspicion": 30 * HOUR,
    "delete amid reading": 40 * HOUR,
    "restore proven": 24 * HOUR,
    "calls": 10 * HOUR,
}
"""What people do with what recovery points hold, and what goes wrong while it is read: how often, in seconds."""
CALLS_OF_PROOFS = (
    ("ebs", "*"),
    ("ebs", "GetSnapshotBlock"),
    ("ebs", "ListSnapshotBlocks"),
    ("ec2", "CreateTags"),
    ("ec2", "CreateVolume"),
    ("ec2", "DeleteVolume"),
    ("dynamodb", "PutItem"),
)
DRILL_SCHEDULES = ("", "", "rate(6 hours)", "rate(1 day)", "cron(0 */8 * * ? *)")


def _proofs(chance: Chance, life: float, parameters: dict[str, str]) -> list[Happening]:
    """What happens around verification and drills, whose parameters are drawn, too."""
    parameters["Verify"] = chance.choice(("read", "read", "read", "sample", "full", "off"))
    parameters["VerifiedMessages"] = chance.choice(("true", "false"))
    parameters["DrillSchedule"] = chance.choice(DRILL_SCHEDULES)
    found = []
    for kind, every in OF_PROOFS.items():
        if kind != "write" and chance.happens(0.3):
            continue
        for at in _times(chance, life, every):
            seconds, more = 0.0, {}
            if kind == "calls":
                seconds = round(min(chance.expovariate(1 / HOUR), life - at), 1)
                more = _call(chance, *chance.choice(CALLS_OF_PROOFS))
            found.append(Happening(0, at, kind, _which(chance), seconds, more))
    return found


def _parameters(chance: Chance) -> dict[str, str]:
    locks = chance.happens(0.2)
    return {
        "Architecture": "x86_64",
        "Schedule": chance.choice(SCHEDULES),
        "TimeZone": chance.choice(ZONES),
        "CatchUpGraceMinutes": str(chance.choice((5, 30, 60))),
        "LargeRuns": "true" if chance.happens(0.15) else "false",
        "Retention": chance.choice(POLICIES),
        "MinimumKept": str(chance.choice((1, 1, 2, 3))),
        "MaximumDeletePercent": str(chance.choice((50, 100))),
        "GraceHours": str(chance.choice((0, 0, 1, 24))),
        "FailedAfterDays": "1",
        "Verify": "off",
        "EncryptRestoredVolumes": chance.choice(("true", "false")),
        "LockMode": "governance" if locks else "none",
        "LockDays": "1",
    }


def _machines(chance: Chance, *, often: bool) -> tuple[Machine, ...]:
    number = chance.choice((1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 8, 30))
    if often:
        number = min(number, MANY)
    first = replace(_machine(chance, "machine-0", least=1), trusted=True)
    first = replace(first, tags={**first.tags, "lifeboat:backup": "true"})
    return (first, *(_machine(chance, f"machine-{index}") for index in range(1, number)))


def _machine(chance: Chance, name: str, least: int = 0) -> Machine:
    devices = list(DEVICES)
    chance.shuffle(devices)
    devices.remove(chance.choice(SAME))
    disks = tuple(
        _disk(chance, devices[place]) for place in range(max(least, chance.choice((0, 1, 1, 1, 1, 2, 2, 3, 5))))
    )
    tags = {"Name": name}
    if chance.happens(0.85):
        tags["lifeboat:backup"] = "true"
    if chance.happens(0.15):
        tags["lifeboat:retention"] = chance.choice((*POLICIES, "nonsense"))
    return Machine(
        name=name,
        zone=chance.choice(LETTERS),
        disks=disks,
        tags=tags,
        trusted=chance.happens(0.9),
        stopped=chance.happens(0.15),
        untagged_volumes=chance.happens(0.3),
    )


def _disk(chance: Chance, device: str) -> Disk:
    kind = chance.choice(VOLUME_TYPES)
    size = chance.choice((125, 200, 500)) if kind in ("st1", "sc1") else chance.choice((4, 8, 100, 512))
    iops = {"io1": 200, "io2": 400, "gp3": chance.choice((None, 4000))}.get(kind)
    tags = {f"key {place}": "v" * chance.choice((1, 20, 200)) for place in range(chance.choice((0, 0, 1, 3, 12)))}
    return Disk(
        device=device,
        type=kind,
        size=size,
        iops=iops if size >= 8 else (iops and min(iops, 200) if kind != "gp3" else None),
        encryption=chance.choice(("none", "default", "key-0", "key-1")),
        delete_on_termination=chance.happens(0.3),
        tags=tags,
        attached_later=chance.happens(0.3),
    )


def _times(chance: Chance, life: float, every: float) -> list[float]:
    """Times of something that happens so often on average."""
    found, at = [], 0.0
    while (at := at + chance.expovariate(1 / every)) < life:
        found.append(round(at, 1))
    return found


def _which(chance: Chance) -> tuple[float, ...]:
    return tuple(round(chance.random(), 6) for _ in range(6))


PEOPLE: Mapping[str, float] = {
    "restore": 2.5 * HOUR,
    "restore elsewhere": 10 * HOUR,
    "restore twice": 10 * HOUR,
    "cancel": 12 * HOUR,
    "detach": 30 * HOUR,
    "attach": 30 * HOUR,
    "new volume": 40 * HOUR,
    "terminate": 60 * HOUR,
    "launch": 60 * HOUR,
    "stop or start": 24 * HOUR,
    "backup tag": 40 * HOUR,
    "consent tag": 60 * HOUR,
    "retention tag": 40 * HOUR,
    "hold": 30 * HOUR,
    "delete snapshot": 40 * HOUR,
    "delete volume": 40 * HOUR,
    "policy": 60 * HOUR,
    "protect": 60 * HOUR,
    "backup": 16 * HOUR,
    "prune": 6 * HOUR,
    "grow": 60 * HOUR,
}
"""What people do, and how often on average, in seconds, where things are busy."""


def _people(chance: Chance, life: float) -> list[Happening]:
    busy = chance.choice((0.5, 1.0, 1.0, 2.0))
    found = []
    for kind, every in PEOPLE.items():
        if kind.startswith("restore") or chance.happens(0.6):
            for at in _times(chance, life, every * busy):
                found.append(Happening(0, at, kind, _which(chance)))
                if kind.startswith("restore") and chance.happens(0.25):  # and at once a person does something else
                    follows = chance.choice(
                        ("cancel", "detach target", "terminate target", "consent tag", "prune", "stop or start target")
                    )
                    found.append(Happening(0, round(at + chance.expovariate(1 / 240), 1), follows, _which(chance)))
    return found


EC2_OF_A_RESTORE = (
    "CreateVolume",
    "StopInstances",
    "DetachVolume",
    "AttachVolume",
    "CreateTags",
    "DeleteTags",
    "ModifyInstanceAttribute",
    "StartInstances",
    "DeleteVolume",
)
EC2_OF_THE_REST = (
    "CreateSnapshots",
    "DeleteSnapshot",
    "DescribeInstances",
    "DescribeVolumes",
    "DescribeSnapshots",
    "LockSnapshot",
    "*",
)
OTHERS = (
    ("dynamodb", "*"),
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "PutItem"),
    ("dynamodb", "Query"),
    ("dynamodb", "GetItem"),
    ("dynamodb", "UpdateItem"),
    ("dynamodb", "DeleteItem"),
    ("sns", "Publish"),
    ("sqs", "*"),
)
EFFECTS = ("throttle", "fail", "answer_error", "drop", "kill", "kill_before", "slow", "slow", "late")
FAIL_CODES = {
    "ec2": ("InternalError", "Unavailable", "UnauthorizedOperation", "IncorrectState", "InsufficientInstanceCapacity"),
    "dynamodb": ("InternalServerError",),
    "sns": ("InternalError", "AuthorizationError"),
    "sqs": ("InternalError",),
    "ebs": ("InternalServerException", "AccessDeniedException"),
}

MISFORTUNE: Mapping[str, tuple[float, float]] = {
    "calls": (2 * HOUR, 40 * MINUTE),
    "events lost": (8 * HOUR, 2 * HOUR),
    "events doubled": (8 * HOUR, 2 * HOUR),
    "events late": (8 * HOUR, 2 * HOUR),
    "invocations doubled": (10 * HOUR, 2 * HOUR),
    "schedules lost": (24 * HOUR, 90 * MINUTE),
    "schedules doubled": (16 * HOUR, 4 * HOUR),
    "schedules late": (24 * HOUR, 2 * HOUR),
    "EC2 slow": (12 * HOUR, 2 * HOUR),
    "EC2 very slow": (16 * HOUR, 5 * HOUR),
    "creations fail": (16 * HOUR, 1 * HOUR),
    "creations hang": (60 * HOUR, 30 * MINUTE),
    "no capacity": (10 * HOUR, 30 * MINUTE),
    "starts fall back": (10 * HOUR, 30 * MINUTE),
    "impaired": (15 * HOUR, 1 * HOUR),
    "stuck stopping": (16 * HOUR, 40 * MINUTE),
    "key disabled": (14 * HOUR, 2 * HOUR),
    "busy detach": (16 * HOUR, 2 * HOUR),
    "EC2 throttles": (20 * HOUR, 2 * HOUR),
}
"""What goes wrong: how often on average, and for how long, in seconds."""


BESIDE = ("backup", "prune", "prune")


def _misfortune(chance: Chance, life: float) -> list[Happening]:
    """A swarm: each world has its own few kinds, so that what one kind hides another world shows."""
    kinds = [kind for kind in MISFORTUNE if chance.happens(0.5)]
    density = chance.choice((0.5, 1.0, 2.0))
    found = []
    for kind in kinds:
        every, lasting = MISFORTUNE[kind]
        for at in _times(chance, life, every * density):
            seconds = round(min(chance.expovariate(1 / lasting), life - at), 1)
            more = _calls(chance) if kind == "calls" else {"probability": chance.choice((0.1, 0.5, 1.0))}
            found.append(Happening(0, at, kind, _which(chance), seconds, more))
            if kind == "EC2 very slow":  # what is not finished for hours is there when people back up and prune
                times = sorted(round(at + chance.uniform(60, max(61, seconds)), 1) for _ in range(3))
                found += [Happening(0, t, what, _which(chance)) for t, what in zip(times, BESIDE, strict=True)]
            if chance.happens(0.4):  # a person restores in the middle of it
                found.append(
                    Happening(0, round(at + chance.uniform(0, min(seconds, 600)), 1), "restore", _which(chance))
                )
    return found


def _together(chance: Chance, life: float) -> list[Happening]:
    """What shows something only together: a slot that comes twice while the table answers late."""
    found = []
    for at in _times(chance, life, 12 * HOUR):
        seconds = round(min(chance.uniform(2, 14) * HOUR, life - at), 1)
        opening = {
            "service": "dynamodb",
            "action": "TransactWriteItems",
            "effect": chance.choice(("slow", "slow", "late")),
            "code": "InternalServerError",
            "probability": chance.choice((0.5, 1.0)),
        }
        found.append(Happening(0, at, "calls", _which(chance), seconds, opening))
        found.append(Happening(0, at, "schedules doubled", _which(chance), seconds, {"probability": 1.0}))
        for _ in range(2):
            twice = round(at + chance.uniform(0, seconds), 1)
            found.append(Happening(0, twice, "backup twice", _which(chance)))
    return found


def _calls(chance: Chance) -> dict[str, Any]:
    part = chance.random()
    if part < 0.45:
        service, action = "ec2", chance.choice(EC2_OF_A_RESTORE)
    elif part < 0.7:
        service, action = "ec2", chance.choice(EC2_OF_THE_REST)
    else:
        service, action = chance.choice(OTHERS)
    return _call(chance, service, action)


def _call(chance: Chance, service: str, action: str) -> dict[str, Any]:
    effect = chance.choice(EFFECTS)
    often = (0.02, 0.1, 0.3) if action == "*" else (0.1, 0.5, 1.0)
    return {
        "service": service,
        "action": action,
        "effect": effect,
        "code": chance.choice(FAIL_CODES[service]),
        "probability": chance.choice(often),
    }
