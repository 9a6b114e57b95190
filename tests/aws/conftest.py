"""The adapters are tested against moto, and against botocore's Stubber where moto differs from EC2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber
from moto import mock_aws

from lifeboat.aws import clients


@pytest.fixture(autouse=True)
def _no_real_aws(monkeypatch: pytest.MonkeyPatch, counts_filter_values: None) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients.forget()
    yield
    clients.forget()


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def ec2_reads() -> Iterator[Stubber]:
    with Stubber(clients.ec2_reads()) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def ec2_writes() -> Iterator[Stubber]:
    with Stubber(clients.ec2_writes()) as stub:
        yield stub
        stub.assert_no_pending_responses()


TABLE = "state"


@pytest.fixture
def table(aws: None) -> str:
    make_table()
    return TABLE


def make_table() -> None:
    key: Any = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    clients.dynamodb().create_table(
        TableName=TABLE,
        KeySchema=key,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
