"""What AWS says when it refuses: in its own words, as far as a person can read them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifeboat.aws import ec2_calls, errors
from lifeboat.aws.errors import AwsError, message_of, translated
from lifeboat.domain.ec2_calls import StopInstance
from lifeboat.domain.error_codes import CAPACITY, NOT_NOW, SNAPSHOT_LIMITS, THROTTLED, TRANSIENT

BLOB = "aB3_" * 700 + "-x"
DENIED = (
    "You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/r/f is not "
    "authorized to perform: ec2:StopInstances on resource: arn:aws:ec2:eu-west-1:111122223333:instance/i-0 with an "
    "explicit deny in a service control policy. Encoded authorization failure message: "
)


def refusal(code: str, message: str, status: int = 403) -> ClientError:
    said: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "StopInstances")


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What goes to the log."""
    stream = io.StringIO()
    monkeypatch.setattr(errors._logger(), "warning", lambda text, extra: stream.write(json.dumps([text, extra])))
    return stream


def test_an_encoded_message_goes_to_the_log_only(logged):
    with pytest.raises(AwsError) as raised, translated():
        raise refusal("UnauthorizedOperation", DENIED + BLOB)
    assert BLOB[:40] not in str(raised.value)
    assert str(raised.value).startswith(f"UnauthorizedOperation: {DENIED}")
    assert "aws sts decode-authorization-message" in str(raised.value)
    assert len(str(raised.value)) < 500
    [text, extra] = json.loads(logged.getvalue())
    assert extra == {"call": "StopInstances", "said": DENIED + BLOB}
    assert text


def test_an_encoded_message_of_a_dry_run_goes_to_the_log_only(ec2_writes, logged):
    ec2_writes.add_client_error("stop_instances", "UnauthorizedOperation", DENIED + BLOB, http_status_code=403)
    said = ec2_calls.rehearse(StopInstance("i-0"))
    assert "explicit deny in a service control policy" in said
    assert len(said) < 500
    assert BLOB in logged.getvalue()


@pytest.mark.parametrize("words", ["", "no", DENIED, f"{DENIED}short", "The volume 'vol-0' is 'in-use'"])
def test_other_messages_are_unchanged(logged, words):
    assert message_of(refusal("UnauthorizedOperation", words)) == words
    assert logged.getvalue() == ""


@pytest.mark.parametrize("code", sorted(TRANSIENT))
def test_a_temporary_problem_passes(code):
    assert AwsError(code, "", answered=True).passes


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "InvalidParameterValue", "SnapshotLimitExceeded"])
def test_a_problem_that_a_person_must_repair_does_not_pass(code):
    assert not AwsError(code, "", answered=True).passes
    assert AwsError(code, "", answered=False).passes, "without an answer it may have been done"


def test_every_group_of_temporary_codes_passes():
    assert THROTTLED | CAPACITY | SNAPSHOT_LIMITS | NOT_NOW == TRANSIENT
