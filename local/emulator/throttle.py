"""EC2's API throttling: token buckets for each account and region, as the Amazon EC2 Developer Guide lists them."""

import threading
from dataclasses import dataclass
from urllib.parse import parse_qsl

from local.emulator.clock import CLOCK
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS


@dataclass(frozen=True)
class Limit:
    """A bucket's capacity in requests, and its refill in requests a second."""

    capacity: float
    refill: float


DESCRIBE = Limit(100, 20)
DESCRIBE_EVERYTHING = Limit(50, 10)
MUTATING = Limit(50, 5)
OWN_BUCKET = {
    "CreateSnapshot": Limit(100, 5),
    "CreateSnapshots": Limit(100, 5),
    "DeleteSnapshot": Limit(100, 5),
    "CreateVolume": Limit(100, 5),
    "DeleteVolume": Limit(100, 5),
    "ModifySnapshotAttribute": Limit(100, 5),
    "DeregisterImage": Limit(100, 5),
    "CopyImage": Limit(100, 1),
    "StartInstances": Limit(5, 2),
    "RunInstances": Limit(5, 2),
}
TAGGING = Limit(100, 10)
UNFILTERED = ("DescribeInstances", "DescribeSnapshots", "DescribeVolumes", "DescribeImages", "DescribeInstanceStatus")


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


_buckets: dict[tuple[Scope, str], _Bucket] = {}
_lock = threading.Lock()


def bucket_of(action: str, body: bytes) -> tuple[str, Limit]:
    """The bucket that a call draws from, and its limit."""
    if action in OWN_BUCKET:
        return action, OWN_BUCKET[action]
    if action in ("CreateTags", "DeleteTags"):
        return "tags", TAGGING
    if action.startswith(("Describe", "Get", "List")):
        if action in UNFILTERED and not _narrowed(body):
            return f"{action} of everything", DESCRIBE_EVERYTHING
        return "describe", DESCRIBE
    return "mutating", MUTATING


def _narrowed(body: bytes) -> bool:
    """Whether a Describe call names resources, filters or a page size."""
    names = [name for name, _ in parse_qsl(body.decode(errors="replace"))]
    return any(name.startswith(("Filter.", "MaxResults")) or "Id." in name for name in names)


def refuses(scope: Scope, action: str, body: bytes) -> bool:
    """Whether the call finds its bucket empty; if not, it has taken a token. Never, unless switched on."""
    if not SETTINGS.throttling:
        return False
    return empty(scope, *bucket_of(action, body))


def empty(scope: Scope, name: str, limit: Limit) -> bool:
    """Whether a bucket is empty; if not, a token is taken. Never empty, unless throttling is switched on."""
    if not SETTINGS.throttling:
        return False
    now = CLOCK.monotonic()
    with _lock:
        bucket = _buckets.setdefault((scope, name), _Bucket(limit.capacity, now))
        refill = (now - bucket.filled_at) * limit.refill * SETTINGS.throttle_speed
        bucket.tokens = min(limit.capacity, bucket.tokens + refill)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return True
        bucket.tokens -= 1
        return False


def clear() -> None:
    """Fill all buckets."""
    with _lock:
        _buckets.clear()
