"""Trust: is the image that an instance was launched from one of an owner we trust?

The protected platform looks at the *owner* of its AMI when it starts and refuses to run on any other. An image that a
customer copied or cloned has the customer as its owner, wherever it came from ("if you copy an AMI that is shared with
your account, you are the owner of the copy", https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ami-copy-works.html).
So the owner decides, and the descent only names what an image of another owner is: a clone, a copy, or a stranger's.

Product codes and watermarks survive CopyImage and CreateImage, so neither of them is proof on an image that may be a
clone. What is not known is never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from lifeboat.domain.error_codes import NOT_ALLOWED, THROTTLED
from lifeboat.domain.image import ImageAncestor, ImageEvidence

MAX_ANCESTRY = 50
"""GetImageAncestry ends at the 50th image, root or not
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-ancestry.html)."""

AMAZON = "amazon"
"""The owner alias under which EC2 shows Amazon's own images; nobody else can have it."""

MARKETPLACE = "aws-marketplace"
"""The owner alias of AWS Marketplace. It tells nothing of the seller: the product code does."""

_ACCOUNT = re.compile(r"[0-9]{12}")
_IMAGE = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_PRODUCT_CODE = re.compile(r"[0-9A-Za-z-]{1,64}")
_WATERMARK = re.compile(r"[0-9]{12}:\S.*")

_THROTTLED = re.compile(rf"\b(?:{'|'.join(sorted(THROTTLED))})\b")
_NO_RIGHTS = re.compile(rf"\b(?:{'|'.join(sorted(NOT_ALLOWED))})\b")


class TrustError(ValueError):
    """A list of what to trust has an entry that can never match what EC2 shows, so it would silently trust nothing."""


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
) -> AmiVerdict:
    """Say whether the image is trusted, untrusted or unknown, and why.

    `trusted_owners` are 12-digit account ids, or `amazon`. `allowed_images` are image ids that someone decided to trust
    whatever they are. `trusted_product_codes` count on AWS Marketplace's own images only. `trusted_watermarks` are
    `<account id>:<name>` and count on a plain copy of an image of that account only.

    An account in `trusted_owners` is trusted with all its images, clones of the platform's VM among them: name your own
    account there only if that is meant.

    Raises TrustError when an entry of a list is not of the form that EC2 shows.
    """
    trusted = _Trusted(
        owners=_checked("trusted_owners", trusted_owners, _ACCOUNT, "a 12-digit account id or amazon", also=AMAZON),
        images=_checked("allowed_images", allowed_images, _IMAGE, "an image id such as ami-0123456789abcdef0"),
        product_codes=_checked(
            "trusted_product_codes", trusted_product_codes, _PRODUCT_CODE, "a product code of AWS Marketplace"
        ),
        watermarks=_checked(
            "trusted_watermarks", trusted_watermarks, _WATERMARK, "a watermark such as 123456789012:name"
        ),
    )
    trust, code, reason = _judge(evidence, trusted)
    return AmiVerdict(trust, code, reason, _facts(evidence))


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
    """Nobody is named as the owner. Say what to do about it: give rights, wait, or look."""
    image = evidence.image_id or "the image"
    told = "; ".join(problem.rstrip(".") for problem in evidence.problems)
    if _NO_RIGHTS.search(told):
        return Trust.UNKNOWN, "no-rights", f"Lifeboat has no right to look up who owns {image}: {told}."
    if _THROTTLED.search(told):
        return Trust.UNKNOWN, "throttled", f"EC2 throttled the question who owns {image}, ask again: {told}."
    if told:
        return Trust.UNKNOWN, "lookup-failed", f"Who owns {image} could not be looked up: {told}."
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
    """The owner is known and not trusted, so the platform would refuse to start: say what the image is."""
    image = evidence.image_id
    origin = _origin(evidence, trusted)
    if evidence.source_instance_id:
        # An image made of the platform's VM "leaves the platform in an unreliable state", so no product code and no
        # watermark, which such an image inherits, can speak for it.
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
            f"{image} is owned by {owner}, but trusted_owners is empty, so nothing says whom to trust.",
        )
    marks = [mark for mark in evidence.watermarks if mark in trusted.watermarks]
    if marks:
        return _watermarked(evidence, owner, marks[0])
    if origin:
        return (
            Trust.UNTRUSTED,
            "copy-of-trusted",
            f"{image} is a copy, owned by {owner}, of {origin}: "
            "the platform looks at the owner of its image and refuses to start on a copy, launch the original instead.",
        )
    if _is_cut(evidence):
        return (
            Trust.UNTRUSTED,
            "ancestry-cut",
            f"{image} is owned by {owner}, which is no trusted owner, and its recorded ancestry is cut at "
            f"{MAX_ANCESTRY} images, so that it comes from a trusted one cannot be proven.",
        )
    return (
        Trust.UNTRUSTED,
        "untrusted-owner",
        f"{image} is owned by {owner}, which is no trusted owner; if it is the vendor's account in this partition or "
        "region, add it to trusted_owners.",
    )


def _watermarked(evidence: ImageEvidence, owner: str, mark: str) -> _Judgement:
    image = evidence.image_id
    maker = mark.partition(":")[0]
    # A watermark is inherited by clones and by copies of clones, and GetImageAncestry does not tell a copy from a
    # clone. Only an image that EC2 still describes as copied, in one step, from an image of the maker is surely none.
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
        f"{image} of account {owner} carries the trusted watermark {mark}, but clones inherit it too, and that it is a "
        f"plain copy of an image of {maker} cannot be proven.",
    )


def _before(evidence: ImageEvidence) -> tuple[ImageAncestor, ...]:
    """The ancestors without the image itself, which GetImageAncestry lists first."""
    return tuple(ancestor for ancestor in evidence.ancestors if ancestor.image_id != evidence.image_id)


def _is_cut(evidence: ImageEvidence) -> bool:
    """Whether the ancestry stops for its length. An alias marks a verified provider's image, which is a root."""
    return len(evidence.ancestors) >= MAX_ANCESTRY and not evidence.ancestors[-1].owner_alias


def _origin(evidence: ImageEvidence, trusted: _Trusted) -> str:
    """What trusted thing the image comes from, as a phrase; empty when that is not known."""
    for ancestor in _before(evidence):
        if ancestor.owner_id in trusted.owners:
            return f"{ancestor.image_id} of the trusted owner {ancestor.owner_id}"
        if trusted.owns(ancestor.owner_id, ancestor.owner_alias):
            return f"{ancestor.image_id} of the trusted owner {AMAZON}"
        # The ids outlive their images: an ancestor that nobody can describe any more is still known by its id.
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
    """What was seen, one phrase each, for the message and the record of an override."""
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
        *(f"not looked up: {problem}" for problem in evidence.problems),
    ]
    return tuple(fact for fact in facts if fact)


def _step(ancestor: ImageAncestor) -> str:
    owner = ancestor.owner_id or ancestor.owner_alias
    return f"{ancestor.image_id} ({owner})" if owner else ancestor.image_id


def _checked(
    field: str, entries: Collection[str], form: re.Pattern[str], expected: str, also: str | None = None
) -> frozenset[str]:
    # A text is a collection of its characters: naming one account without the list around it is the likely slip.
    if isinstance(entries, str):
        raise TrustError(f"{field} is the text {entries!r}, expected a list of entries, each {expected}.")
    for entry in entries:
        if entry != also and not form.fullmatch(entry):
            raise TrustError(f"{field} has the entry {entry!r}, expected {expected}.")
    return frozenset(entries)


class Trust(StrEnum):
    """Whether an instance's image comes from somewhere we trust. UNKNOWN is never treated as TRUSTED (principle 4)."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AmiVerdict:
    """What the rule makes of an `ImageEvidence`: `code` is a short kebab-case cause, `reason` one sentence for people.

    `evidence` holds the facts that the verdict rests on, one phrase each, in the order they were weighed.
    """

    verdict: Trust
    code: str
    reason: str
    evidence: tuple[str, ...] = ()
