"""The evidence bucket is listed in parts: whatever ends an invocation, each version is counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from moto import mock_aws

from lifeboat.aws import clients, evidence_bucket
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.config import load
from lifeboat.domain.evidence import LifecycleRule
from lifeboat.evidence import listing_workflow
from lifeboat.evidence.listing_workflow import count_versions

BUCKET = "cadoresponse-1"
RULE = LifecycleRule("old", True, "", {"ID": "old"}, expires_days=30)
VARIABLES = {
    "LIFEBOAT_STACK": "lifeboat",
    "AWS_REGION": "eu-west-1",
    "LIFEBOAT_TABLE": "state",
    "LIFEBOAT_TOPIC": "arn:aws:sns:eu-west-1:123456789012:topic",
}
OBJECTS = 7


@dataclass
class Context:
    """Lambda's, with time for so many pages."""

    pages: int

    def get_remaining_time_in_millis(self) -> int:
        self.pages -= 1
        return 900_000 if self.pages > 0 else 1_000


@pytest.fixture(autouse=True)
def _bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(evidence_bucket, "PAGE", 1)
    clients.forget()
    with mock_aws():
        clients.dynamodb().create_table(
            TableName="state",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        client = clients.s3()
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for number in range(OBJECTS):
            client.put_object(Bucket=BUCKET, Key=f"{number}", Body=b"12345")
        yield
    clients.forget()


def count(pages: int = 100, rule: LifecycleRule = RULE) -> Any:
    context: Any = Context(pages)
    listed = count_versions(BUCKET, [rule], Invocation(load(VARIABLES), context))
    return listed and listed.tally


def test_a_listing_goes_on_in_the_next_invocation() -> None:
    found = [count(pages=3) for _ in range(3)]
    assert found[:2] == [None, None]
    assert (found[2].objects, found[2].size, found[2].going[0].objects) == (OBJECTS, 5 * OBJECTS, OBJECTS)
    assert count() == found[2], "the next one begins anew"


def test_other_rules_begin_anew() -> None:
    assert count(pages=3) is None
    other = LifecycleRule("new", True, "3", {"ID": "new"}, expires_days=30)
    found = count(rule=other)
    assert (found.objects, found.going[0].objects) == (OBJECTS, 1)


def test_a_refused_page_loses_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_workflow, "PAGES_A_CHECKPOINT", 2)
    asked: list[Any] = []

    def refuse(params: Any, **_: Any) -> None:
        asked.append(params)
        if len(asked) == 4:
            raise AwsError("SlowDown", "Please reduce your request rate.", answered=True)

    clients.s3().meta.events.register("provide-client-params.s3.ListObjectVersions", refuse)
    with pytest.raises(AwsError, match="SlowDown"):
        count()
    assert count().objects == OBJECTS
    assert len(asked) == 4 + OBJECTS - 2
