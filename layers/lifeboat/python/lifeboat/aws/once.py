"""Once: work is done one time for its key, even if a request is retried, redelivered or invoked twice.

Powertools' idempotency does it, in the stack's table. While the work runs, the invocation holds the key, at the longest
until its own end. If the work succeeds, its answer is kept. If it raises, the key is free again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clients

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
    from aws_lambda_powertools.utilities.typing import LambdaContext

KEPT = 35 * 24 * 3600
"""Seconds for which an answer is kept. That is longer than any redelivery: SNS tries for 23 days
(https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html)."""


class UnderWay(Exception):  # noqa: N818 - a state of affairs, not an error
    """Another invocation is doing this work now."""


class _Sooner:
    """The part of an invocation's context that Powertools uses, with less time left."""

    def __init__(self, context: LambdaContext, seconds: int) -> None:
        self._context = context
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return min(self._context.get_remaining_time_in_millis(), 1000 * self._seconds)


def once(
    table: str,
    kind: str,
    key: str,
    work: Callable[[], dict[str, Any]],
    context: LambdaContext | None,
    *,
    within: int | None = None,
) -> dict[str, Any]:
    """Do `work` unless it was done for this kind and key before; its answer, now or then.

    `within` is the longest that the work takes, in seconds. After that, another invocation may do the work, even if
    this one was killed long before its own end.

    Raises UnderWay if another invocation is doing it, and whatever `work` raises.
    """
    # Imported here: most events do no such work, and the import adds 8 ms to a cold start.
    from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function  # noqa: PLC0415
    from aws_lambda_powertools.utilities.idempotency.exceptions import (  # noqa: PLC0415
        IdempotencyAlreadyInProgressError,
    )

    config = IdempotencyConfig(event_key_jmespath="key", raise_on_no_idempotency_key=True, expires_after_seconds=KEPT)
    if context is not None:  # frees the key of a killed invocation when its time is over
        ends: Any = _Sooner(context, within) if within else context
        config.register_lambda_context(ends)

    @idempotent_function(  # type: ignore[untyped-decorator] # Powertools leaves it untyped
        data_keyword_argument="data", persistence_store=_store(table, kind), config=config, key_prefix=kind
    )
    def run(*, data: dict[str, str]) -> dict[str, Any]:
        del data
        return work()

    try:
        return dict(run(data={"key": key}))
    except IdempotencyAlreadyInProgressError as problem:
        raise UnderWay(f"{kind} {key} is being done by another invocation") from problem


def _store(table: str, kind: str) -> DynamoDBPersistenceLayer:
    """Where the answers of one kind are kept. One is made for each kind in an execution environment, and no more.

    Each one adds a handler to the client, which runs at every later request and adds a header to it. Made for each
    piece of work, they slow a warm function down with the square of the work that it has done.
    """
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer  # noqa: PLC0415

    client = clients.dynamodb()
    stores = _stores(client)
    if (table, kind) not in stores:
        stores[table, kind] = DynamoDBPersistenceLayer(
            table_name=table,
            key_attr="pk",
            static_pk_value=kind,
            sort_key_attr="sk",
            expiry_attr="expiration",
            boto3_client=client,
        )
    return stores[table, kind]


@lru_cache(maxsize=1)
def _stores(client: Any) -> dict[tuple[str, str], DynamoDBPersistenceLayer]:
    del client  # a function has one. Tests have many, one after the other, and leave none behind
    return {}
