"""Judge whether a trusted owner owns the image that an instance was launched from.

The protected platform checks the *owner* of its AMI when it starts and refuses to run on any other. A customer owns
each image that the customer copied or cloned, whatever its origin ("if you copy an AMI that is shared with your
account, you are the owner of the copy", https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ami-copy-works.html).
So the owner decides. The ancestry only shows what an image of another owner is: a clone, a copy, or an unrelated image.

Product codes and watermarks survive CopyImage and CreateImage, so neither proves anything about an image that may be a
clone. Unknown is never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from lifeboat.ami.remedy import AMAZON, trust_image, trust_owner, trust_product
from lifeboat.domain.error_codes import NOT_ALLOWED, THROTTLED
from lifeboat.domain.image import ImageAncestor, ImageEvidence

MAX_ANCESTRY = 50
"""GetImageAncestry ends at the 50th image, root or not
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-ancestry.html)."""

MARKETPLACE = "aws-marketplace"
"""The owner alias of AWS Marketplace. It does not identify the seller; the product code does."""

_ACCOUNT = re.compile(r"[0-9]{12}")
_IMAGE = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_PRODUCT_CODE = re.compile(r"[0-9A-Za-z-]{1,64}")
_WATERMARK = re.compile(r"[0-9]{12}:\S.*")

_THROTTLED = re.compile(rf"\b(?:{'|'.join(sorted(THROTTLED))})\b")
_NO_RIGHTS = re.compile(rf"\b(?:{'|'.join(sorted(NOT_ALLOWED))})\b")


class TrustError(ValueError):
    """A trust list has a malformed entry. EC2 never shows such a value, so the entry would trust nothing."""


@dataclass(frozen=True, slots=True)
class _Trusted:
    owners: frozenset[str]
    images: frozenset[str]
    product_codes: frozenset[str]
    watermarks: frozenset[str]

    def owns(self, owner_id: str | None, owner_alias: str | None) -> bool:
        return owner_id in self.owners or (owner_alias == AMAZON and AMAZON in self.owners)


def verdict(
    evidence: ImageEvidence,
    *,
    trusted_owners: Collection[str],
    allowed_images: Collection[str] = (),
    trusted_product_codes: Collection[str] = (),
    trusted_watermarks: Collection[str] = (),
    account: str = "",
) -> AmiVerdict:
    """Judge whether the image is trusted, untrusted or unknown, and why.

    `trusted_owners` are 12-digit account ids, or `amazon`. `allowed_images` are ids of images that are trusted whatever
    their owner. `trusted_product_codes` apply to AWS Marketplace's own images only. `trusted_watermarks` are
    `<account id>:<name>` and apply only to a plain copy of an image of that account. `account` is the stack's own.

    All images of an account in `trusted_owners` are trusted, also clones of the platform's VM. So add your own account
    only if you mean that.

    Raises TrustError when an entry does not have the form that EC2 shows.
    """
    trusted = _Trusted(
        owners=_checked("TrustedAmiOwners", trusted_owners, _ACCOUNT, "a 12-digit account id or amazon", also=AMAZON),
        images=_checked("AllowedImages", allowed_images, _IMAGE, "an image id such as ami-0123456789abcdef0"),
        product_codes=_checked(
            "TrustedProductCodes", trusted_product_codes, _PRODUCT_CODE, "a product code of AWS Marketplace"
        ),
        watermarks=_checked(
            "TrustedWatermarks", trusted_watermarks, _WATERMARK, "a watermark such as 123456789012:name"
        ),
    )
    trust, code, reason = _judge(evidence, trusted)
    remedy = _remedy(code, evidence, trusted_owners, allowed_images, trusted_product_codes, account)
    return AmiVerdict(trust, code, reason, _facts(evidence), evidence.name or "", remedy)


def _remedy(  # noqa: PLR0917 - the image, the lists in their order, the account
    code: str,
    evidence: ImageEvidence,
    owners: Collection[str],
    images: Collection[str],
    product_codes: Collection[str],
    account: str,
) -> str:
    """The sentence that trusts the image, with the whole command. Empty where trusting it is no remedy: for a clone or
    a copy of the platform's image, and where the owner is not known."""
    if code == "marketplace-untrusted":
        return trust_product(evidence.product_codes[0], product_codes)
    if code not in {"untrusted-owner", "nothing-trusted", "ancestry-cut"} or not evidence.owner_id:
        return ""
    # To trust the own account would trust every clone that a person makes in it.
    if evidence.owner_id == account and evidence.image_id:
        return trust_image(evidence.image_id, images)
    return trust_owner(evidence.owner_id, owners)


type _Judgement = tuple[Trust, str, str]


def _judge(evidence: ImageEvidence, trusted: _Trusted) -> _Judgement:
    image, owner = evidence.image_id, evidence.owner_id
    if image in trusted.images:
        clone = f", though it was made of the instance {evidence.source_instance_id}"
        though = clone if evidence.source_instance_id and not trusted.owns(owner, evidence.owner_alias) else ""
        return Trust.TRUSTED, "allowed-image", f"{image} is one of the images that are allowed by their id{though}."
    if not owner:
        return _without_owner(evidence)
    if not _ACCOUNT.fullmatch(owner):
        return (
            Trust.UNKNOWN,
            "owner-unreadable",
            f"The owner of {image} reads {owner!r}, which is not a 12-digit account id, so it proves nothing.",
        )
    if trusted.owns(owner, evidence.owner_alias):
        code, who = ("vendor-owned", owner) if owner in trusted.owners else ("amazon-owned", f"Amazon ({owner})")
        return Trust.TRUSTED, code, f"{image} is owned by {who}, a trusted owner."
    if evidence.owner_alias == MARKETPLACE:
        return _marketplace(evidence, trusted)
    return _of_another_owner(evidence, owner, trusted)


def _without_owner(evidence: ImageEvidence) -> _Judgement:
    """EC2 named no owner. The reason says what to do: give permissions, retry, or investigate."""
    image = evidence.image_id or "the image"
    problems = "; ".join(problem.rstrip(".") for problem in evidence.problems)
    if _NO_RIGHTS.search(problems):
        return Trust.UNKNOWN, "no-rights", f"Lifeboat has no permission to read who owns {image}: {problems}."
    if _THROTTLED.search(problems):
        return Trust.UNKNOWN, "throttled", f"EC2 throttled the request for the owner of {image}, retry: {problems}."
    if problems:
        return Trust.UNKNOWN, "lookup-failed", f"EC2 did not show who owns {image}: {problems}."
    return Trust.UNKNOWN, "no-record", f"EC2 has no record of who owns {image}."


def _marketplace(evidence: ImageEvidence, trusted: _Trusted) -> _Judgement:
    image = evidence.image_id
    ours = [code for code in evidence.product_codes if code in trusted.product_codes]
    if ours:
        return (
            Trust.TRUSTED,
            "marketplace-product",
            f"{image} is AWS Marketplace's own image of the trusted product {ours[0]}.",
        )
    if not evidence.product_codes:
        return (
            Trust.UNKNOWN,
            "marketplace-unproven",
            f"{image} is an image of AWS Marketplace, but its product code is not known, so the seller is not either.",
        )
    return (
        Trust.UNTRUSTED,
        "marketplace-untrusted",
        f"{image} is AWS Marketplace's image of {', '.join(evidence.product_codes)}, which is no trusted product.",
    )


def _of_another_owner(evidence: ImageEvidence, owner: str, trusted: _Trusted) -> _Judgement:
    """The owner is known and not trusted, so the platform would refuse to start. The reason says what the image is."""
    image = evidence.image_id
    origin = _origin(evidence, trusted)
    if evidence.source_instance_id:
        # An image made of the platform's VM "leaves the platform in an unreliable state". It inherits product codes and
        # watermarks, so these prove nothing.
        what = "the platform's VM" if origin else "a VM"
        return (
            Trust.UNTRUSTED,
            "clone-of-instance",
            f"{image} of account {owner} was made of the instance {evidence.source_instance_id}"
            f"{f' and comes from {origin}' if origin else ''}: "
            f"a clone of {what} must not be used, make a fresh deployment instead.",
        )
    if not (trusted.owners or trusted.images or trusted.product_codes or trusted.watermarks):
        return (
            Trust.UNKNOWN,
            "nothing-trusted",
            f"{image} is owned by {owner}, but TrustedAmiOwners is empty, so no owner is trusted.",
        )
    marks = [mark for mark in evidence.watermarks if mark in trusted.watermarks]
    if marks:
        return _watermarked(evidence, owner, marks[0])
    if origin:
        return (
            Trust.UNTRUSTED,
            "copy-of-trusted",
            f"{image} is a copy, owned by {owner}, of {origin}: "
            "the platform checks the owner of its image and refuses to start on a copy, launch the original instead.",
        )
    if _is_cut(evidence):
        return (
            Trust.UNTRUSTED,
            "ancestry-cut",
            f"{image} is owned by {owner}, which is no trusted owner. EC2 records only {MAX_ANCESTRY} ancestors, so a "
            "trusted origin cannot be proven.",
        )
    return (
        Trust.UNTRUSTED,
        "untrusted-owner",
        f"{image} is owned by {owner}, which is no trusted owner: TrustedAmiOwners does not have it.",
    )


def _watermarked(evidence: ImageEvidence, owner: str, mark: str) -> _Judgement:
    image = evidence.image_id
    maker = mark.partition(":")[0]
    # Clones and copies of clones inherit a watermark, and GetImageAncestry does not distinguish a copy from a clone.
    # Only an image that EC2 describes as a direct copy of an image of the maker is certainly no clone.
    if evidence.source_image_id and any(
        ancestor.image_id == evidence.source_image_id and ancestor.owner_id == maker for ancestor in _before(evidence)
    ):
        return (
            Trust.TRUSTED,
            "trusted-watermark",
            f"{image} is a copy, owned by {owner}, of {evidence.source_image_id} of {maker} and carries the trusted "
            f"watermark {mark}.",
        )
    return (
        Trust.UNKNOWN,
        "watermark-unproven",
        f"{image} of account {owner} carries the trusted watermark {mark}. Clones inherit it too, and EC2 does not "
        f"show that this is a plain copy of an image of {maker}.",
    )


def _before(evidence: ImageEvidence) -> tuple[ImageAncestor, ...]:
    """The ancestors without the image itself, which GetImageAncestry lists first."""
    return tuple(ancestor for ancestor in evidence.ancestors if ancestor.image_id != evidence.image_id)


def _is_cut(evidence: ImageEvidence) -> bool:
    """Whether GetImageAncestry stopped at its limit. An alias marks a verified provider's image, which is a root."""
    return len(evidence.ancestors) >= MAX_ANCESTRY and not evidence.ancestors[-1].owner_alias


def _origin(evidence: ImageEvidence, trusted: _Trusted) -> str:
    """The trusted origin of the image, as a phrase; empty if none is known."""
    for ancestor in _before(evidence):
        if ancestor.owner_id in trusted.owners:
            return f"{ancestor.image_id} of the trusted owner {ancestor.owner_id}"
        if trusted.owns(ancestor.owner_id, ancestor.owner_alias):
            return f"{ancestor.image_id} of the trusted owner {AMAZON}"
        # An id outlives its image: a deregistered ancestor is still known by its id.
        if ancestor.image_id in trusted.images:
            return f"the allowed image {ancestor.image_id}"
    phrases = [
        *(f"the allowed image {image}" for image in trusted.images if image == evidence.source_image_id),
        *(
            f"an image of the trusted product {code}"
            for code in evidence.product_codes
            if code in trusted.product_codes
        ),
        *(f"an image with the trusted watermark {mark}" for mark in evidence.watermarks if mark in trusted.watermarks),
    ]
    return phrases[0] if phrases else ""


def _facts(evidence: ImageEvidence) -> tuple[str, ...]:
    """The observed facts, one phrase each, for the message and the record of an override."""
    ancestors = evidence.ancestors
    facts = [
        f"image {evidence.image_id}",
        f"owner {evidence.owner_id}" if evidence.owner_id else "owner not known",
        f"owner alias {evidence.owner_alias}" if evidence.owner_alias else "",
        f"name {evidence.name}" if evidence.name else "",
        f"state {evidence.state}" if evidence.state else "",
        "" if evidence.public is None else "public" if evidence.public else "private",
        f"made of the instance {evidence.source_instance_id}" if evidence.source_instance_id else "",
        f"copied from {evidence.source_image_id}" if evidence.source_image_id else "",
        f"ancestry {' <- '.join(map(_step, ancestors))}" if ancestors else "",
        f"ancestry cut at {MAX_ANCESTRY} images" if _is_cut(evidence) else "",
        "" if evidence.ancestry_known or ancestors else "no record of its ancestry",
        f"product codes {', '.join(evidence.product_codes)}" if evidence.product_codes else "",
        f"watermarks {', '.join(evidence.watermarks)}" if evidence.watermarks else "",
        *(f"not shown by EC2: {problem}" for problem in evidence.problems),
    ]
    return tuple(fact for fact in facts if fact)


def _step(ancestor: ImageAncestor) -> str:
    owner = ancestor.owner_id or ancestor.owner_alias
    return f"{ancestor.image_id} ({owner})" if owner else ancestor.image_id


def _checked(
    field: str, entries: Collection[str], form: re.Pattern[str], expected: str, also: str | None = None
) -> frozenset[str]:
    # A text is a collection of its characters. A likely mistake is one account without a list around it.
    if isinstance(entries, str):
        raise TrustError(f"{field} is the text {entries!r}, expected a list of entries, each {expected}.")
    for entry in entries:
        if entry != also and not form.fullmatch(entry):
            raise TrustError(f"{field} has the entry {entry!r}, expected {expected}.")
    return frozenset(entries)


class Trust(StrEnum):
    """Whether an instance's image is trusted. UNKNOWN is never treated as TRUSTED."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AmiVerdict:
    """The verdict on an `ImageEvidence`: `code` is a short kebab-case cause, `reason` explains it to people.

    `evidence` has the facts of the verdict, one phrase each. `image_name` is the image's name, as its owner wrote it:
    no part of the verdict, and empty if EC2 shows none. `remedy` is the sentence with the command that trusts the
    image; empty if there is none.
    """

    verdict: Trust
    code: str
    reason: str
    evidence: tuple[str, ...] = ()
    image_name: str = ""
    remedy: str = ""
