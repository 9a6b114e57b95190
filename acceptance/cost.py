"""What a run costs at most, from the prices of the cost model (tools/cost_model.py), and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass

from tools.cost_model import GP3_GB_MONTH, MINUTES, PRICES, SNAPSHOT_GB_MONTH, month

MINUTES_USUAL = 40
"""On the local AWS it takes as long, and its delays are AWS's."""
HOURS_AT_MOST = 3
"""Longer than all deadlines together. Whoever interrupts a run and leaves it pays further, by the hour."""

T3_NANO_HOUR = 0.0052
"""aws.amazon.com/ec2/pricing/on-demand, us-east-1, Linux."""
ADDRESS_HOUR = 0.005
"""aws.amazon.com/vpc/pricing, of a public IPv4 address: a default subnet gives one to each instance."""
KEY_MONTH = 1.0
"""aws.amazon.com/kms/pricing, of a customer key; nothing while its deletion is scheduled."""
BLOCK_PUT = 0.006 / 1e3
"""docs.aws.amazon.com/ebs/latest/userguide/ebsapi-pricing.html."""
ELSEWHERE = 1.6
"""No region costs more than so many times us-east-1 for these (assumed)."""

INSTANCES, ROOT_GIB, VOLUMES, VOLUME_GIB = 3, 8, 6, 1
SNAPSHOT_GIB = 12
"""The image of the clone has the root volume; all other snapshots have a few MB."""
BLOCKS = 200


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the estimate, in dollars."""

    what: str
    dollars: float


def items(hours: float = HOURS_AT_MOST) -> list[Item]:
    """What a run of so many hours costs, at list prices, nothing free."""
    part = hours * 60 / MINUTES
    gib = INSTANCES * ROOT_GIB + VOLUMES * VOLUME_GIB
    blocks = BLOCKS * (BLOCK_PUT + PRICES["EBS blocks read"].dollars + PRICES["EBS block lists"].dollars)
    us_east_1 = [
        Item(f"{INSTANCES} instances t3.nano with public addresses", INSTANCES * hours * (T3_NANO_HOUR + ADDRESS_HOUR)),
        Item(f"{gib} GiB of gp3", gib * GP3_GB_MONTH * part),
        Item(f"{SNAPSHOT_GIB} GiB of snapshots", SNAPSHOT_GIB * SNAPSHOT_GB_MONTH * part),
        Item("a KMS key", KEY_MONTH * part),
        Item("blocks by the EBS direct APIs", blocks),
        Item("Lifeboat itself", month(INSTANCES, slots_a_day=24 * 6).at_list_price * part),
    ]
    return [Item(item.what, item.dollars * ELSEWHERE) for item in us_east_1]


def at_most(hours: float = HOURS_AT_MOST) -> float:
    """Dollars."""
    return sum(item.dollars for item in items(hours))
