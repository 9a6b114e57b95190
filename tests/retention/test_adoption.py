"""Which existing snapshots become recovery points, and why the others do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.domain.catalogue import read_catalogue
from lifeboat.retention.adoption import Adopt, Leave, decide_adoption
from lifeboat.retention.request import VolumeFacts
from tests.builders import ACCOUNT, DATA, KEY, PLATFORM, ROOT, SLOT, attachment, instance, snapshot, volume

GONE = VolumeFacts(
    device="/dev/sdh",
    type="gp3",
    iops=3000,
    throughput=125,
    delete_on_termination=False,
    instance_id=PLATFORM,
)


def legacy(**facts):
    """A snapshot as a bare schedule makes it: no tag of ours."""
    return snapshot(**{"tags": {"Name": "nightly"}, **facts})


def decide(*snapshots, volumes=(), instances=(), facts=VolumeFacts()):  # noqa: B008 - frozen
    return decide_adoption(
        snapshots,
        volumes={item.id: item for item in volumes},
        instances={item.id: item for item in instances},
        facts=facts,
        account=ACCOUNT,
        stack="lifeboat",
    )


def adopted(*snapshots, **facts) -> Adopt:
    [item] = decide(*snapshots, **facts)
    assert isinstance(item, Adopt), item
    return item


def reason(*snapshots, **facts) -> str:
    [item] = decide(*snapshots, **facts)
    assert isinstance(item, Leave), item
    return item.reason


LIVING = {"volumes": [volume()], "instances": [instance()]}


class TestExistingVolume:
    def test_the_recovery_point_has_all_settings_of_a_restore(self):
        item = adopted(legacy(), **LIVING)
        catalogue = read_catalogue([item.adopted])
        assert catalogue.unreadable == ()
        [point] = catalogue.points
        assert point.id == item.recovery_point_id == "rp-20261123T020000Z-snap-0aaaaaaaaaaaaaa01"
        assert (point.condition, point.stack, point.slot, point.taken_at) == ("good", "lifeboat", SLOT, SLOT)
        assert (point.instance_id, point.instance_name, point.zone) == (PLATFORM, "CadoResponse", "eu-west-1a")
        assert (point.ami_id, point.ami_owner) == ("", ""), "of which image it was then is not known"
        [member] = point.members
        assert member.metadata == item.metadata
        metadata = member.metadata
        assert (metadata.lineage, metadata.device, metadata.type, metadata.iops, metadata.throughput) == (
            *(DATA, "/dev/sdh", "gp3", 4000, 200),
        )
        assert (metadata.delete_on_termination, metadata.encrypted, metadata.kms_key_id) == (False, True, KEY)
        assert metadata.tags == {"Name": "CadoResponseDataVolume"}

    def test_only_lifeboats_tags_are_written(self):
        item = adopted(legacy(), **LIVING)
        assert all(key.startswith("lifeboat:") for key in item.tags)
        assert item.adopted.tags["Name"] == "nightly"

    def test_a_restored_volume_continues_its_lineage(self):
        existing = [volume(tags={"lifeboat:chain": "vol-0eeeeeeeeeeeeeee1"})]
        assert adopted(legacy(), volumes=existing, instances=[instance()]).metadata.lineage == "vol-0eeeeeeeeeeeeeee1"

    def test_size_and_encryption_are_those_of_the_snapshot(self):
        metadata = adopted(legacy(size=50, encrypted=False, kms_key_id=None), **LIVING).metadata
        assert (metadata.size, metadata.encrypted, metadata.kms_key_id) == (50, False, None)

    def test_the_root_volume_is_refused(self):
        root = volume(id=ROOT, attachments=(attachment(ROOT, "/dev/xvda"),))
        refusal = reason(legacy(volume_id=ROOT), volumes=[root], instances=[instance()])
        assert refusal == f"{ROOT} is the root volume of {PLATFORM}, expected a data volume"

    def test_a_volume_that_may_be_the_root_is_refused(self):
        rescued = instance(root_device="/dev/sda1")
        refusal = reason(legacy(), volumes=[volume()], instances=[rescued])
        assert refusal.startswith(f"{PLATFORM} has no volume at its root device /dev/sda1 and {DATA} (/dev/sdh)")

    def test_a_device_may_be_given_by_any_of_its_names(self):
        item = adopted(legacy(), **LIVING, facts=VolumeFacts(device="/dev/xvdh"))
        assert item.metadata.device == "/dev/sdh"

    def test_a_persons_settings_must_not_contradict_ec2(self):
        refusal = reason(legacy(), facts=VolumeFacts(type="gp2"), **LIVING)
        assert refusal == f"volume.type is 'gp2', but {DATA} exists and has 'gp3'"
        assert adopted(legacy(), facts=VolumeFacts(type="gp3"), **LIVING)

    def test_for_an_unattached_volume_a_person_gives_the_attachment(self):
        loose = [volume(attachments=(), state="available")]
        refusal = reason(legacy(), volumes=loose)
        assert refusal == (
            f"{DATA} is attached to no instance, or to several: "
            "name it in adopt.volume_id and give volume.instance_id, volume.device, volume.delete_on_termination"
        )
        facts = VolumeFacts(device="/dev/sdh", delete_on_termination=True, instance_id=PLATFORM)
        item = adopted(legacy(), volumes=loose, facts=facts)
        assert (item.metadata.type, item.metadata.device, item.instance_id) == ("gp3", "/dev/sdh", PLATFORM)

    def test_a_volume_attached_to_several_instances_is_refused(self):
        several = volume(multi_attach=True, attachments=(attachment(), attachment(instance_id="i-0bbbbbbbbbbbbbbb2")))
        assert "volume.device" in reason(legacy(), volumes=[several], instances=[instance()])


class TestDeletedVolume:
    def test_a_persons_settings_are_used(self):
        item = adopted(legacy(), facts=replace(GONE, instance_name="Cado", zone="eu-west-1b"))
        [point] = read_catalogue([item.adopted]).points
        assert (point.instance_id, point.instance_name, point.zone) == (PLATFORM, "Cado", "eu-west-1b")
        assert (item.metadata.lineage, item.metadata.size, item.metadata.iops) == (DATA, 100, 3000)

    def test_the_lineage_is_that_of_the_copied_tag(self):
        copied = legacy(tags={"lifeboat:chain": "vol-0eeeeeeeeeeeeeee1", "lifeboat:restore-target": "true"})
        assert adopted(copied, facts=GONE).metadata.lineage == "vol-0eeeeeeeeeeeeeee1"

    @pytest.mark.parametrize("name", ["device", "type", "iops", "throughput", "delete_on_termination", "instance_id"])
    def test_a_missing_setting_is_named(self, name):
        refusal = reason(legacy(), facts=replace(GONE, **{name: None}))
        assert f"{DATA} does not exist any more" in refusal
        assert f"volume.{name}" in refusal

    def test_a_type_without_iops_needs_none(self):
        assert adopted(legacy(), facts=replace(GONE, type="st1", iops=None, throughput=None))
        assert "volume.iops" in reason(legacy(), facts=replace(GONE, type="io2", iops=None, throughput=None))


class TestRefused:
    @pytest.mark.parametrize(
        ("facts", "said"),
        [
            ({"tags": {"aws:backup:source-resource": "arn"}}, "AWS Backup manages it, as its tag aws:backup:source-"),
            ({"description": "This snapshot is created by the AWS Backup service."}, "AWS Backup manages it, as its d"),
            ({"owner_alias": "aws-backup-vault"}, "AWS Backup manages it, as its owner"),
            ({"tags": {"aws:dlm:lifecycle-policy-id": "policy-1"}}, "Data Lifecycle Manager manages it"),
            ({"tags": {"dlm:managed": "true"}}, "Data Lifecycle Manager manages it"),
            ({"state": "pending"}, "it is pending, expected completed"),
            ({"state": "error"}, "it is error, expected completed"),
            ({"state": "recoverable"}, "it is recoverable, expected completed"),
            ({"tier": "archive"}, "it is in the archive tier, expected standard"),
            ({"owner_id": "444455556666"}, "it belongs to account 444455556666, expected 111122223333"),
            ({"volume_id": "vol-ffffffff"}, "it is a copy, and EC2 does not show which volume it is from"),
            ({"tags": {"lifeboat:stack": "other"}}, "it is already a recovery point of other"),
            ({"tags": {"lifeboat:recovery-point": "rp"}}, "it is already a recovery point of no stack"),
            ({"tags": {"lifeboat:kms-key/vol-1": "key"}}, "it carries the tag lifeboat:kms-key/vol-1, which only a"),
            ({"tags": {"lifeboat:chain": ""}}, f"it carries lifeboat:chain=, but its volume carries {DATA}"),
        ],
    )
    def test_the_reason_is_given(self, facts, said):
        assert said in reason(legacy(**facts), facts=GONE)

    def test_one_with_too_many_tags(self):
        crowded = legacy(tags={f"key-{number}": "" for number in range(40)})
        assert reason(crowded, **LIVING).startswith("it would have 5")
        reserved = legacy(tags={f"aws:key-{number}": "" for number in range(40)})
        assert adopted(reserved, **LIVING), "AWS's own tags do not count"

    def test_a_value_too_long_for_a_tag(self):
        existing = [volume(tags={"lifeboat:chain": "x" * 257})]
        assert "EC2 takes 256" in reason(legacy(), volumes=existing, instances=[instance()])


def test_snapshots_are_decided_one_by_one_oldest_first():
    new, old = legacy(id="snap-b"), legacy(id="snap-a", started_at=SLOT - timedelta(days=1))
    bad = legacy(id="snap-c", state="error")
    assert [(item.snapshot.id, type(item)) for item in decide(new, bad, old, **LIVING)] == [
        ("snap-a", Adopt),
        ("snap-b", Adopt),
        ("snap-c", Leave),
    ]


def test_an_adopted_snapshot_is_not_adopted_again():
    assert "already" in reason(adopted(legacy(), **LIVING).adopted, **LIVING)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=40)


@settings(max_examples=300)
@given(
    own=st.dictionaries(texts.filter(bool), texts, max_size=30),
    volume_tags=st.dictionaries(texts.filter(bool), texts, max_size=60),
    name=texts,
    state=st.sampled_from(["completed", "pending", "error"]),
)
def test_an_adopted_snapshot_can_be_read(own, volume_tags, name, state):
    found = decide(
        legacy(tags=own, state=state),
        volumes=[volume(tags=volume_tags)],
        instances=[instance(tags={"Name": name})],
    )
    for item in found:
        if isinstance(item, Leave):
            assert item.reason
            continue
        catalogue = read_catalogue([item.adopted])
        assert catalogue.unreadable == ()
        assert [point.id for point in catalogue.points if point.condition == "good"] == [item.recovery_point_id]
        assert len(item.adopted.tags) <= 50
        assert item.adopted.tags.items() >= own.items(), "what was there stays as it was"
