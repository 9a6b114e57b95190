"""Device names: what is one device, what EC2 takes, and that the root is never taken for data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.backup.selection import CreateRecoveryPoint, Skip, plan_recovery_point
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.data_volumes import data_attachments, root_problem
from lifeboat.domain.devices import is_reserved_for_root, is_taken_by_ec2, naming_problem, same_device
from lifeboat.domain.ec2 import Instance, Volume
from lifeboat.domain.image import LaunchImage
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.request import RecoveryPointChoice, RestoreRequest
from lifeboat.retention.adoption import Leave, decide_adoption
from lifeboat.retention.request import VolumeFacts
from tests.builders import ACCOUNT, PLATFORM, SLOT, attachment, instance, point_tags, snapshot, volume
from tests.examples import examples

NOW = SLOT + timedelta(days=1)


@pytest.mark.parametrize(
    ("one", "other"),
    [("/dev/sdf", "/dev/xvdf"), ("/dev/sdf", "xvdf"), ("/dev/xvdba", "xvdba"), ("sdh", "/dev/sdh"), ("/odd", "/odd")],
)
def test_names_of_one_device(one: str, other: str) -> None:
    assert same_device(one, other)
    assert same_device(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("/dev/sda1", "/dev/xvda"), ("/dev/sdf", "/dev/sdg"), ("/dev/sdf", "/dev/hdf"), ("/dev/sdb", "/dev/sdba")],
)
def test_names_of_two_devices(one: str, other: str) -> None:
    assert not same_device(one, other)


@pytest.mark.parametrize("root", ["/dev/sda1", "/dev/xvda", "/dev/sda", "xvda"])
@pytest.mark.parametrize("name", ["/dev/sda1", "/dev/xvda", "/dev/sda", "/dev/xvda1", "xvda", "sda1"])
def test_every_name_of_the_root_is_reserved_for_it(name: str, root: str) -> None:
    assert is_reserved_for_root(name, root)


def test_what_is_reserved_for_the_root_goes_by_the_image_and_by_habit() -> None:
    assert is_reserved_for_root("/dev/sdf", "/dev/xvdf")
    assert is_reserved_for_root("/dev/xvda", "/dev/sdf")
    assert not is_reserved_for_root("/dev/sdf", "/dev/sda1")


@pytest.mark.parametrize(
    "name", ["/dev/sdb", "/dev/sdz", "/dev/xvdb", "/dev/xvdz", "/dev/xvdba", "/dev/xvddz", "xvdf", "xvdcz", "/dev/sda1"]
)
def test_what_is_on_aws_s_list(name: str) -> None:
    assert is_taken_by_ec2(name)


@pytest.mark.parametrize("name", ["/dev/sdaa", "/dev/xvdea", "/dev/xvdzz", "/dev/sdf1", "/dev/hdf", "sdh", "/dev/sdF"])
def test_what_is_not_on_aws_s_list(name: str) -> None:
    assert not is_taken_by_ec2(name)


@pytest.mark.parametrize("name", ["/dev/sdh", "/dev/sdf1", "/dev/hda", "xvdf", "/dev/xvdzz", "/dev/sda1"])
def test_what_ec2_may_show_is_a_name(name: str) -> None:
    assert naming_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "disk"), [("/dev/nvme1n1", "nvme1n1"), ("nvme12n1p1", "nvme12n1"), ("/dev/NVME0n1", "NVME0n1")]
)
def test_the_refusal_of_a_guest_name_says_how_to_find_ec2_s(name: str, disk: str) -> None:
    problem = naming_problem(name)
    assert f"because {disk} is a name inside the machine" in problem
    assert f"lsblk -no SERIAL /dev/{disk.lower()}" in problem
    assert "describe-volumes --volume-ids" in problem


@pytest.mark.parametrize("name", ["", "D:", "/dev/mapper/data", "/dev/sdh ", "/dev/sdh\n", "/dev/SDH", "sd" * 1000])
def test_the_refusal_of_an_invalid_name_says_what_is_expected(name: str) -> None:
    assert naming_problem(name).startswith("the name that EC2 has for the device, such as /dev/sdh")


# --- the root is never taken for data

LETTERS = ("a", "b", "f", "h", "aa", "ba", "ca", "zz")
ODD = ("", "/dev/nvme0n1", "/dev/nvme1n1", "root", "D:", "/dev/sd\N{LATIN SMALL LETTER E WITH ACUTE}", "/dev/sda1 ")
NAMES = st.sampled_from(
    [
        *("/dev/sda1", "/dev/xvda", "/dev/sda", "/dev/xvda1", "xvda", "sda1", "/dev/sdf", "/dev/xvdf") * 5,
        *(
            f"{folder}{kind}{letters}{partition}"
            for folder in ("/dev/", "")
            for kind in ("sd", "xvd", "hd")
            for letters in LETTERS
            for partition in ("", "1", "2")
        ),
        *ODD,
    ]
)
CONSENT = {Tag.RESTORE_TARGET.value: "true"}
ROOT_ID = "vol-0eeeeeeeeeeeeee00"


def named(number: int) -> str:
    return f"vol-0fffffffffffff{number:03}"


# Made once, not for each of ten thousand machines.
OTHERS = st.lists(NAMES, max_size=4)
TWICE = st.lists(NAMES, max_size=1)
STATES = st.sampled_from(["running", "stopped"])
REVERSED = st.booleans()


@cache
def places(root_device: str) -> st.SearchStrategy[list[str]]:
    ordinary = st.just([root_device])
    return ordinary | ordinary | st.lists(st.just(root_device) | NAMES, max_size=2)


@st.composite
def machines(draw: st.DrawFn) -> Instance:
    """An instance whose root volume is ROOT_ID, wherever it is mapped: at the root device, elsewhere, twice, nowhere.

    EC2 boots what is at the root device, so if anything is mapped there, the root is, too, and perhaps not alone.
    """
    root_device = draw(NAMES)
    others = draw(OTHERS)
    mapped = list(draw(places(root_device)))
    if root_device in others and root_device not in mapped:
        mapped.append(root_device)
    attachments = [attachment(named(number), device) for number, device in enumerate(others)]
    attachments += [attachment(named(0), device) for device in draw(TWICE) if others]
    attachments += [attachment(ROOT_ID, device) for device in mapped]
    return instance(
        root_device=root_device or None,
        attachments=tuple(attachments if draw(REVERSED) else reversed(attachments)),
        tags=CONSENT,
        state=draw(STATES),
    )


def volumes_of(machine: Instance) -> dict[str, Volume]:
    return {
        item.volume_id: volume(id=item.volume_id, attachments=(item,), tags=CONSENT) for item in machine.attachments
    }


TRUSTED = AmiVerdict(Trust.TRUSTED, "owner", "it belongs to the vendor")
SAVED = read_catalogue([snapshot(tags=point_tags())]).points


@settings(max_examples=examples(300), deadline=None)
@given(machine=machines(), recorded=NAMES, asked=st.one_of(st.none(), NAMES))
def test_no_name_and_no_mapping_makes_the_root_a_data_volume(
    machine: Instance, recorded: str, asked: str | None
) -> None:
    volumes = volumes_of(machine)
    assert ROOT_ID not in {item.volume_id for item in data_attachments(machine)}

    backup = plan_recovery_point(
        machine,
        volumes,
        recovery_point_id="rp-1",
        set_id="set-1",
        stack="lifeboat",
        slot=SLOT,
        image=LaunchImage(),
    )
    if isinstance(backup, CreateRecoveryPoint):
        # Nothing may be missing beside the root, nor be there twice, or the set is never complete.
        assert sorted([*backup.volume_ids, ROOT_ID]) == sorted(volumes)

    [point] = SAVED
    [member] = point.members
    member = replace(member, metadata=replace(member.metadata, device=recorded))
    facts = PreflightFacts(
        instance=machine,
        volumes=volumes,
        points=(replace(point, members=(member,)),),
        account=ACCOUNT,
        region="eu-west-1",
        stack="lifeboat",
        ami=TRUSTED,
    )
    found = preflight(RestoreRequest(machine.id, RecoveryPointChoice(), request_id="q-1", device=asked), facts, NOW)
    for item in found.draft.volumes if found.draft else ():
        assert item.displaced_volume_id != ROOT_ID
        at_root = [other.device for other in machine.attachments if other.volume_id == ROOT_ID]
        assert not any(same_device(item.device, device) for device in at_root)
        assert not same_device(item.device, machine.root_device or "")

    if ROOT_ID in volumes:
        [decided] = decide_adoption(
            [snapshot(volume_id=ROOT_ID, tags={})],
            volumes=volumes,
            instances={machine.id: machine},
            facts=VolumeFacts(),
            account=ACCOUNT,
            stack="lifeboat",
        )
        assert isinstance(decided, Leave)


ORDINARY = {
    "an ordinary machine": ("/dev/xvda", ["/dev/xvda", "/dev/sdh"], [1]),
    "a Windows machine": ("/dev/sda1", ["/dev/sda1", "xvdf", "xvdcz"], [1, 2]),
    "a volume at the root's other name": ("/dev/sda1", ["/dev/sda1", "/dev/xvda"], [1]),
}
UNCLEAR = {
    "mapped without its number": ("/dev/sda1", ["/dev/sda", "/dev/sdh"], "no volume at its root device /dev/sda1"),
    "mapped under another name": ("/dev/sda1", ["/dev/xvda", "/dev/sdh"], "no volume at its root device /dev/sda1"),
    "taken off": ("/dev/xvda", ["/dev/sdh"], f"no volume at its root device /dev/xvda and {named(0)} (/dev/sdh)"),
    "back at a data device": ("/dev/xvda", ["/dev/sdf", "/dev/sdh"], "no volume"),
    "twice": ("/dev/xvda", ["/dev/xvda", "/dev/xvda"], f"{named(0)} (/dev/xvda), {named(1)} (/dev/xvda) at its root"),
    "twice under two names": ("/dev/xvda", ["/dev/xvda", "/dev/sda"], f"{named(1)} (/dev/sda), {named(0)} (/dev/xvda)"),
    "nothing at all": ("/dev/xvda", [], "no volume at its root device /dev/xvda, expected its root volume"),
}


def machine_of(root_device: str, devices: list[str], **facts: str) -> Instance:
    attachments = tuple(attachment(named(number), device) for number, device in enumerate(devices))
    return instance(root_device=root_device, attachments=attachments, **facts)


@pytest.mark.parametrize(("root_device", "devices", "data"), ORDINARY.values(), ids=ORDINARY)
def test_root_and_data_are_distinguished(root_device: str, devices: list[str], data: list[int]) -> None:
    machine = machine_of(root_device, devices)
    assert root_problem(machine) == ""
    assert [item.volume_id for item in data_attachments(machine)] == [named(number) for number in data]


@pytest.mark.parametrize(("root_device", "devices", "said"), UNCLEAR.values(), ids=UNCLEAR)
def test_a_root_that_may_be_any_volume_makes_none_of_them_data(root_device: str, devices: list[str], said: str) -> None:
    machine = machine_of(root_device, devices)
    assert said in root_problem(machine)
    assert root_problem(machine).endswith("root and data cannot be separated")
    assert data_attachments(machine) == ()
    skipped = plan_recovery_point(
        machine, volumes_of(machine), recovery_point_id="rp-1", set_id="s", stack="s", slot=SLOT, image=LaunchImage()
    )
    assert skipped == Skip(PLATFORM, root_problem(machine), failure=True)


def test_with_an_instance_store_root_every_ebs_volume_is_data() -> None:
    machine = machine_of("/dev/sda1", ["/dev/sdf", "/dev/sdg"], root_type="instance-store")
    assert [item.volume_id for item in data_attachments(machine)] == [named(0), named(1)]
    odd = machine_of("/dev/sda1", ["/dev/sda1", "/dev/sdg"], root_type="instance-store")
    assert "expected none there, because its root is an instance store volume" in root_problem(odd)
    assert data_attachments(odd) == ()
