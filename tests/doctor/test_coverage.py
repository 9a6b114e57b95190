"""Which gaps the coverage report names, each with one command; what was not observed is named, too."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.doctor.commands import Place
from lifeboat.doctor.coverage import ROWS, judge_coverage
from lifeboat.doctor.coverage_facts import (
    Coverage,
    Instances,
    Unselected,
    find_settled,
    find_unselected,
    lineages_of,
    own_keys,
)
from lifeboat.doctor.line import Level, Line
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.config import Config, Selector
from lifeboat.domain.file_system import FileSystem
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.stack import Key, NotSeen
from lifeboat.domain.tags import Tag
from lifeboat.status.protection import select
from tests.builders import ACCOUNT, DATA, KEY, PLATFORM, ROOT, SLOT, attachment, instance, point_tags, snapshot, volume

AWAY = "eu-central-1"
VAULT = "777788889999"
NOW = SLOT + timedelta(days=1, hours=1)
PLACE = Place("lifeboat", "eu-west-1", ACCOUNT)
CONFIG = Config(
    stack="lifeboat",
    region="eu-west-1",
    table="t",
    topic_arn=f"arn:aws:sns:eu-west-1:{ACCOUNT}:t",
    selector=Selector("lifeboat:backup", "true"),
    vault_account=VAULT,
)
PROVEN = {Tag.VERIFIED: "result=proven level=read at=2026-11-23T03:00:00Z"}
REFUSED = NotSeen("UnauthorizedOperation: no")


def point(*, proven: bool = True, days: int = 0, **tags: str) -> RecoveryPoint:
    """The platform's recovery point, so many days later."""
    at = SLOT + timedelta(days=days)
    facts = {"slot": at, "recovery_point_id": f"rp-{at:%Y%m%dT%H%M%SZ}-{PLATFORM}"}
    found = snapshot(id=f"snap-{days}", started_at=at, tags=point_tags(**facts) | (PROVEN if proven else {}) | tags)
    [made] = read_catalogue([found]).points
    return made


SELECTED = select(instance(), SLOT)
WHOLE = Coverage(
    now=NOW,
    parameters={},
    instances=Instances((SELECTED,)),
    volumes={DATA: volume()},
    keys={KEY: Key(KEY, "Enabled")},
    points=(point(),),
    settled={DATA: point()},
    copies={AWAY: (point(),)},
    shared=frozenset({"snap-0"}),
    file_systems=(FileSystem("fs-1", "ENABLED"),),
)


def gaps(found: Coverage, config: Config = CONFIG) -> list[Line]:
    return [line for line in judge_coverage(found, config, PLACE) if line.level is not Level.OK]


def test_a_whole_protection_has_no_gap() -> None:
    lines = list(judge_coverage(WHOLE, CONFIG, PLACE))
    assert {line.level for line in lines} == {Level.OK}
    assert [line.check for line in lines] == [
        "selection",
        "vault_keys",
        "second_region",
        "vault",
        "proofs",
        "file_systems",
    ]


@pytest.mark.parametrize(
    ("found", "check", "text", "command"),
    [
        (
            replace(WHOLE, instances=Instances((SELECTED,), (Unselected("i-2"),))),
            "selection",
            "i-2 has data volumes, and this stack does not back it up: it has no tag lifeboat:backup",
            "aws ec2 create-tags --resources i-2",
        ),
        (
            replace(WHOLE, instances=Instances((SELECTED,), (Unselected("i-2", "True"), Unselected("i-3", "No")))),
            "selection",
            "i-2 has data volumes, and this stack does not back it up: its tag lifeboat:backup is 'True'",
            "aws ec2 create-tags --resources i-2",
        ),
        (
            replace(WHOLE, keys={KEY: Key(KEY, "Enabled", of_aws=True)}),
            "vault_keys",
            f"{DATA} is encrypted with aws/ebs",
            "aws ec2 copy-snapshot --source-region eu-west-1 --source-snapshot-id snap-0 --encrypted "
            "--kms-key-id KEY_ARN",
        ),
        (replace(WHOLE, keys={}), "vault_keys", "1 further key of data volumes not judged: 0 were", ""),
        (
            replace(WHOLE, copies={}),
            "second_region",
            "every recovery point of this stack is in eu-west-1 only",
            "make deploy REGION=eu-west-1 CopyToRegions=OTHER_REGION",
        ),
        (
            replace(WHOLE, copies={AWAY: ()}),
            "second_region",
            f"The copies in {AWAY} fell behind: of 1 lineage it has no copy as new as the slot 2026-11-23T02:00:00Z",
            "sam remote invoke CopySnapshotsFunction",
        ),
        (replace(WHOLE, copies={AWAY: (point(days=-1),)}), "second_region", "fell behind", "sam remote invoke"),
        (replace(WHOLE, shared=frozenset()), "vault", f"The vault {VAULT} fell behind", "sam remote invoke"),
        (
            replace(WHOLE, parameters={"VaultSourceAccounts": "222233334444"}),
            "sources",
            "no recovery point of account 222233334444 of the last two days: there is none",
            "sam remote invoke",
        ),
        (
            replace(WHOLE, points=(point(proven=False),)),
            "proofs",
            f"Lineage {DATA} ({DATA} of {PLATFORM}) is unproven",
            f"lifeboat verify rp-20261123T020000Z-{PLATFORM} --stack lifeboat --region eu-west-1",
        ),
        (
            replace(WHOLE, points=(), settled={}),
            "proofs",
            "has no good recovery point",
            f"lifeboat backup {PLATFORM} --stack lifeboat",
        ),
        (
            replace(WHOLE, file_systems=(FileSystem("fs-1", "ENABLING"), FileSystem("fs-2", "DISABLED"))),
            "file_systems",
            "fs-2 is a file system of the platform, and EFS's automatic backups of it are DISABLED",
            "aws efs put-backup-policy --file-system-id fs-2",
        ),
        (replace(WHOLE, parameters={"Verify": "off"}), "proofs", "Verify is off", "make deploy"),
    ],
)
def test_a_gap_has_one_line_and_one_command(found: Coverage, check: str, text: str, command: str) -> None:
    [line] = gaps(found)
    assert (line.check, line.level) == (check, Level.WARN)
    assert text in line.text
    assert [item.startswith(command) for item in line.commands] == ([True] if command else [])
    assert all(shlex.split(item) for item in line.commands)


@pytest.mark.parametrize(
    ("found", "checks"),
    [
        (replace(WHOLE, parameters=REFUSED), ["parameters"]),
        (replace(WHOLE, instances=REFUSED), ["selection"]),
        (replace(WHOLE, volumes=REFUSED), ["volumes"]),
        (replace(WHOLE, keys={KEY: REFUSED}), ["vault_keys"]),
        (replace(WHOLE, points=REFUSED), ["recovery_points"]),
        (replace(WHOLE, copies={AWAY: REFUSED}), ["second_region"]),
        (replace(WHOLE, shared=REFUSED), ["vault"]),
        (replace(WHOLE, file_systems=REFUSED), ["file_systems"]),
    ],
)
def test_a_place_that_was_not_observed_is_named_with_awss_words(found: Coverage, checks: list[str]) -> None:
    lines = gaps(found)
    assert [line.check for line in lines] == checks
    assert all("UnauthorizedOperation: no" in line.text for line in lines)


def test_without_a_vault_a_volume_under_aws_ebs_is_said_and_no_gap() -> None:
    found = replace(WHOLE, keys={KEY: Key(KEY, "Enabled", of_aws=True)})
    assert gaps(found, replace(CONFIG, vault_account="")) == []


def test_many_gaps_of_one_check_are_counted() -> None:
    many = tuple(Unselected(f"i-{number}") for number in range(ROWS + 5))
    lines = gaps(replace(WHOLE, instances=Instances((SELECTED,), many)))
    assert len(lines) == ROWS + 1
    assert lines[-1].text == "5 more gaps of this check"


def test_a_stack_that_keeps_the_copies_of_others_needs_no_second_region() -> None:
    assert gaps(replace(WHOLE, copies={}, parameters={"HomeRegion": AWAY})) == []


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({}, False),
        ({"tags": {}}, True),
        ({"tags": {"lifeboat:backup": "True"}}, True),
        ({"tags": {}, "attachments": (attachment(ROOT, "/dev/xvda"),)}, False),
        ({"tags": {}, "root_device": None}, True),
        ({"tags": {}, "root_device": None, "attachments": (attachment(ROOT, "/dev/xvda"),)}, False),
    ],
)
def test_an_instance_with_data_volumes_that_nothing_selects(facts: dict[str, object], found: bool) -> None:
    assert bool(find_unselected(instance(**facts), CONFIG.selector)) is found


def test_only_a_recovery_point_older_than_a_day_must_be_elsewhere() -> None:
    points = [point(days=-3), point(), point(days=1)]
    assert {name: item.slot for name, item in find_settled(points, {DATA}, NOW).items()} == {DATA: SLOT}
    assert find_settled(points, {"vol-other"}, NOW) == {}


def test_a_restored_volume_keeps_its_lineage() -> None:
    restored = {DATA: volume(tags={Tag.LINEAGE: "vol-old"})}
    assert lineages_of([SELECTED], restored) == {"vol-old": (PLATFORM, DATA)}


def test_only_keys_of_this_account_are_asked_about() -> None:
    foreign = KEY.replace(ACCOUNT, VAULT)
    volumes = {DATA: volume(), "a": volume(kms_key_id=foreign), "b": volume(kms_key_id=None)}
    assert own_keys(volumes, ACCOUNT) == [KEY]


@pytest.mark.parametrize(("hours", "arrives"), [(0, True), (22, True), (23, False)])
def test_a_vault_says_whether_recovery_points_of_a_source_arrive(hours: int, arrives: bool) -> None:
    source = "222233334444"
    received = replace(point(), instance_id=f"{source}/{PLATFORM}")
    vault = replace(WHOLE, parameters={"VaultSourceAccounts": source}, points=(*WHOLE.points, received))
    lines = gaps(replace(vault, now=NOW + timedelta(hours=hours)))
    assert [line.check for line in lines] == ([] if arrives else ["sources"])
