"""How a person trusts an image that is not trusted: the parameter, its value for this image, and the whole command."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from lifeboat.domain.deploy_command import deploy_command
from lifeboat.domain.title import quote

AMAZON = "amazon"
"""The owner alias of Amazon's own images in EC2; no other owner can have it."""

_ACCOUNT = re.compile(r"[0-9]{12}")
_IMAGE = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")

MOST_ENTRIES = 10
"""Entries that `TrustedAmiOwners` and `AllowedImages` take."""


def trust_owner(owner: str, owners: Collection[str]) -> str:
    """The sentence that trusts an account and all of its images."""
    return _say(f"If you trust all images of the account {owner}", "TrustedAmiOwners", owners, owner)


def trust_image(image_id: str, images: Collection[str]) -> str:
    """The sentence that trusts one image whoever owns it."""
    return _say(f"If you trust {image_id}", "AllowedImages", images, image_id)


def trust_product(code: str, codes: Collection[str]) -> str:
    """The sentence that trusts the images of a product of AWS Marketplace."""
    return _say(f"If you trust the product {code}", "TrustedProductCodes", codes, code)


def remedy_of_backup(
    *, owner: str, image_id: str, account: str, owners: Sequence[str], images: Sequence[str]
) -> tuple[str, ...]:
    """What the message of a good backup says about an image whose owner is not trusted; empty if it may be trusted.

    A tag of the snapshot records the owner, without its alias: with `amazon` in the list, nothing is said.
    """
    if not owner or owner in owners or image_id in images or AMAZON in owners:
        return ()
    if not (_ACCOUNT.fullmatch(owner) and _IMAGE.fullmatch(image_id)):
        # No value of a tag that anyone may have changed gets into a command.
        return (
            f"The tags of the recovery point say that its image {quote(image_id, 'without an id')} belongs to "
            f"{quote(owner, 'nobody')}, which is no account. A restore asks EC2 who owns the image of its instance.",
        )
    trust = trust_image(image_id, images) if owner == account else trust_owner(owner, owners)
    return (
        f"The image {image_id} of the instance belongs to the account {owner}, which TrustedAmiOwners does not have. A "
        "restore onto an instance of this image is refused, unless its product code or watermark is trusted.",
        trust,
    )


def _say(condition: str, parameter: str, known: Collection[str], entry: str) -> str:
    value = ",".join((*known, entry))
    if len(known) >= MOST_ENTRIES:
        return (
            f"{condition}: {parameter} has {len(known)} entries, the most that it takes. Put {entry} in place of one."
        )
    return f"{condition}: {deploy_command({parameter: value})}"
