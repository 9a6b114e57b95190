"""The table's memory of the terms that retention goes by: one JSON document for the stack, and for a lineage's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lifeboat.aws.table import delete_all, partition, put_all
from lifeboat.retention.policy_change import Former, Remembered, Terms

_KIND = "retention"


def remembered_terms(table: str) -> dict[str, Remembered]:
    """What was in force when retention last looked: by lineage, and the stack's."""
    return {item["sk"]["S"]: _read(json.loads(item["terms"]["S"])) for item in partition(table, _KIND)}


def remember_terms(table: str, items: Mapping[str, Remembered]) -> None:
    """Note what is in force from now on."""
    put_all(
        table,
        (
            {"pk": {"S": _KIND}, "sk": {"S": key}, "terms": {"S": json.dumps(_written(item))}}
            for key, item in items.items()
        ),
    )


def forget_terms(table: str, keys: Iterable[str]) -> None:
    """Note that the stack's terms are in force of these, and no others spare anything any more."""
    delete_all(table, ({"pk": {"S": _KIND}, "sk": {"S": key}} for key in keys))


def _written(item: Remembered) -> dict[str, Any]:
    former = [{**_terms_written(one.terms), "until": one.until.isoformat()} for one in item.former]
    return {**_terms_written(item.terms), "former": former}


def _terms_written(terms: Terms) -> dict[str, Any]:
    return {
        "policy": terms.policy,
        "time_zone": terms.time_zone,
        "min_keep": terms.min_keep,
        "orphan_keep": terms.orphan_keep,
        "grace_seconds": terms.grace.total_seconds(),
    }


def _read(document: Mapping[str, Any]) -> Remembered:
    former = (Former(_terms_read(one), datetime.fromisoformat(one["until"])) for one in document["former"])
    return Remembered(_terms_read(document), tuple(former))


def _terms_read(document: Mapping[str, Any]) -> Terms:
    return Terms(
        policy=document["policy"],
        time_zone=document["time_zone"],
        min_keep=document["min_keep"],
        orphan_keep=document["orphan_keep"],
        grace=timedelta(seconds=document["grace_seconds"]),
    )
