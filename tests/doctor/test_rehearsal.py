"""Which calls a function rehearses, and that nothing is called without DryRun."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifeboat.aws import clients, rehearsing
from lifeboat.doctor.commands import Place
from lifeboat.doctor.line import Level
from lifeboat.doctor.rehearsal import REHEARSING, Props, judge_rehearsal
from lifeboat.domain.config import Config, Selector, VaultSource
from lifeboat.domain.rehearsal import Outcome, Rehearsal, Rehearsed, RoleRehearsal

CONFIG = Config(
    stack="lifeboat",
    region="eu-west-1",
    table="t",
    topic_arn="arn:aws:sns:eu-west-1:111122223333:t",
    selector=Selector("lifeboat:backup", "true"),
)
PLACE = Place("lifeboat", "eu-west-1", "111122223333")
READER = "arn:aws:iam::222233334444:role/reader"


class Recorder:
    """Any call of EC2, answered as a DryRun is, and recorded."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.made: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**asked: Any) -> None:
            self.made.append(asked)
            answer: Any = {"Error": {"Code": self.code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": 412}}
            raise ClientError(answer, name)

        return call


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("DryRunOperation", Outcome.ALLOWED),
        ("UnauthorizedOperation", Outcome.REFUSED),
        ("RequestLimitExceeded", Outcome.UNKNOWN),
    ],
)
def test_every_rehearsed_call_has_dry_run(monkeypatch: pytest.MonkeyPatch, code: str, outcome: Outcome) -> None:
    recorder = Recorder(code)
    monkeypatch.setattr(clients, "ec2_writes", lambda _region=None: recorder)
    call = Rehearsal("DeleteSnapshot", "snap-1", {"SnapshotId": "snap-1", "DryRun": False})
    assert rehearsing.rehearse(call).outcome is outcome
    assert recorder.made == [{"SnapshotId": "snap-1", "DryRun": True}]


@pytest.mark.parametrize("function", REHEARSING)
def test_without_anything_to_try_it_on_nothing_is_rehearsed(function: str) -> None:
    found = list(REHEARSING[function](Props(), CONFIG))
    assert all(isinstance(item, str) for item in found)


def test_a_vault_rehearses_the_role_of_each_source() -> None:
    vault = Config(
        stack="lifeboat",
        region="eu-west-1",
        table="t",
        topic_arn=CONFIG.topic_arn,
        selector=CONFIG.selector,
        vault_sources=(VaultSource("222233334444", READER),),
    )
    assert list(REHEARSING["copy-snapshots"](Props(), vault)) == [RoleRehearsal(READER)]


def test_what_was_not_judged_is_a_warning() -> None:
    outcomes = [Rehearsed("DeleteSnapshot", "snap-1", Outcome.UNKNOWN, "RequestLimitExceeded: m")]
    [line] = judge_rehearsal("prune-snapshots", outcomes, (), PLACE)
    assert line.level is Level.WARN
    assert "did not learn whether it may call DeleteSnapshot on snap-1" in line.text
