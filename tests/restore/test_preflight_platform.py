"""Pre-flight of the platform's version: what it refuses, what an override does, and what the plan says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.preflight.facts import Preflight, Severity
from lifeboat.restore.request import AmiOverride, RecoveryPointChoice
from tests.builders import point_tags, snapshot
from tests.restore.preflight_cases import NOW, TRUSTED, asked, codes, fresh, known, points

RECORDED = "CadoResponse_v2.324.0"
TARGET = "ami-0cad0000000000002"
OVERRIDE = {"ami_override": AmiOverride("the vendor said so")}


def checked(recorded: str, target: str, ami: AmiVerdict = TRUSTED, **request: Any) -> Preflight:
    made = snapshot(tags=point_tags(ami_name=recorded))
    facts = known(points=points(made), ami=replace(ami, image_name=target), instance=fresh(ami_id=TARGET))
    return preflight(asked(**request), facts, NOW)


def test_an_older_platform_is_refused_with_what_to_send():
    found = checked(RECORDED, "CadoResponse_v2.100.0")
    assert codes(found) == ["platform-older"]
    assert found.plan is None
    [finding] = found.findings
    assert finding.field == "instance_id"
    assert finding.sentence == (
        f"The target's image 'CadoResponse_v2.100.0' ({TARGET}) is an older platform than '{RECORDED}' "
        "(ami-0cad0000000000001), which was backed up; to restore anyway, send the request with "
        '"ami_override": {"reason": "..."}.'
    )


def test_an_override_with_a_reason_allows_an_older_platform_and_is_recorded():
    found = checked(RECORDED, "CadoResponse_v2.100.0", **OVERRIDE)
    assert (codes(found), codes(found, Severity.WARN)) == ([], ["platform-overridden"])
    assert found.findings[0].sentence.endswith("; overridden: the vendor said so.")
    assert found.plan is not None
    assert found.plan.ami_override == "the vendor said so"


@pytest.mark.parametrize(
    ("recorded", "target", "warned", "said"),
    [
        (RECORDED, "CadoResponse_v2.325.0", ["platform-newer"], "Required updates must not be skipped"),
        (RECORDED, "OtherPlatform_v1.0.0", ["platform-other"], "is another product than"),
        (RECORDED, RECORDED, [], "is the same platform version as"),
        (RECORDED, "latest", [], "platform versions are not compared: the target's image 'latest'"),
        (RECORDED, "", [], "platform versions are not compared: EC2 shows no name"),
        ("", RECORDED, [], "platform versions are not compared: the recovery point does not record"),
    ],
)
def test_all_others_are_said_in_the_plan_and_need_no_override(recorded, target, warned, said):
    for request in ({}, OVERRIDE):
        found = checked(recorded, target, **request)
        assert (codes(found), codes(found, Severity.WARN)) == ([], warned)
        assert said in found.text.splitlines()[-1 if warned else 3]
        assert found.text.lower().count(said.lower()) == 1
        assert found.plan is not None
        assert found.plan.ami_override is None, "nothing was overridden"


@pytest.mark.parametrize("name", [RECORDED, "CadoResponse_v2.325.0", ""])
@pytest.mark.parametrize("trust", [Trust.UNTRUSTED, Trust.UNKNOWN])
def test_no_name_makes_an_image_trusted(name, trust):
    found = checked(RECORDED, name, AmiVerdict(trust, "clone", "it is a clone"))
    assert codes(found) == [f"ami-{trust}"]
    assert found.plan is None


def test_one_override_stands_for_both_and_both_are_said():
    found = checked(RECORDED, "CadoResponse_v1.0.0", AmiVerdict(Trust.UNTRUSTED, "clone", "it is a clone"), **OVERRIDE)
    assert codes(found, Severity.WARN) == ["ami-overridden", "platform-overridden"]


def test_a_snapshot_named_by_its_id_is_compared_too():
    made = snapshot(tags=point_tags(ami_name=RECORDED))
    old = replace(TRUSTED, image_name="CadoResponse_v2.100.0")
    facts = known(points=(), snapshots={made.id: made}, ami=old, instance=fresh(ami_id=TARGET))
    found = preflight(asked(recovery_point=RecoveryPointChoice(snapshot_ids=(made.id,))), facts, NOW)
    assert codes(found) == ["platform-older"]
    bare = replace(made, tags={})
    found = preflight(
        asked(recovery_point=RecoveryPointChoice(snapshot_ids=(made.id,))),
        replace(facts, snapshots={made.id: bare}),
        NOW,
    )
    assert codes(found) == []
    assert "platform versions are not compared" in found.text
