"""Compare the platform's version in the names of two images: the recorded one, and that of the target instance.

The protected platform's images are named `CadoResponse_v<version>`, and its vendor says that required updates must not
be skipped. Any other `<product>_v<version>` is read the same way.

An image's name is written by its owner: it proves nothing. `verdict` judges whose an image is, and no comparison here
makes an image trusted. A name that cannot be read gives UNKNOWN, which forbids nothing and is always said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from lifeboat.domain.text import clip, one_line

MAX_NAME = 128
"""Characters of an image's name (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html)."""

MAX_NUMBERS = 6
MAX_DIGITS = 9
"""A version with more numbers than MAX_NUMBERS, or a number with more digits than this, is not read as one."""

_VERSION = re.compile(r"[-_ /][vV](\d+(?:\.\d+)*)", re.ASCII)


class Comparison(StrEnum):
    """How the target's image stands to the recorded one, the gravest first."""

    OLDER = "older"
    OTHER_PRODUCT = "other-product"
    UNKNOWN = "unknown"
    NEWER = "newer"
    SAME = "same"


_SENTENCES = {
    Comparison.OLDER: "the target's image {target} is an older platform than {recorded}, which was backed up",
    Comparison.OTHER_PRODUCT: "the target's image {target} is another product than {recorded}, which was backed up",
    Comparison.UNKNOWN: "platform versions are not compared: the names of the recorded image {recorded} and of the "
    "target's, {target}, do not show which is newer",
    Comparison.NEWER: "the target's image {target} is a newer platform than {recorded}, which was backed up. Required "
    "updates must not be skipped: see in the vendor's release notes which lie between the two",
    Comparison.SAME: "the target's image {target} is the same platform version as the recorded {recorded}",
}


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image by its id and its name, as EC2 or a tag shows them. Empty means: not known."""

    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class PlatformComparison:
    """`result`, and a sentence without a full stop that explains it to people. Names of images in it are escaped."""

    result: Comparison
    sentence: str


@dataclass(frozen=True, slots=True)
class _Version:
    """`numbers` without zeros at the end; `single`: it was one number. `suffix` is what follows them in the name."""

    product: str
    numbers: tuple[int, ...]
    single: bool
    suffix: str


def compare_platforms(recorded: NamedImage, target: NamedImage) -> PlatformComparison:
    """Compare the target's image with the one that the recovery point records.

    Numbers are compared from the left, and a missing one counts as 0: 2.324 is 2.324.0. What follows the numbers has
    no known order, so two names that differ only there give UNKNOWN. So do one number and several: v20260630 and
    v2.324.0 are no versions of one kind.
    """
    if recorded.id and recorded.id == target.id:
        return PlatformComparison(Comparison.SAME, f"the target has the recorded image {_shown(recorded)}")
    unread = _why_unread(recorded, target)
    if unread:
        return PlatformComparison(Comparison.UNKNOWN, f"platform versions are not compared: {unread}")
    result = _compare(_read(recorded.name), _read(target.name), same_name=recorded.name == target.name)
    sentence = _SENTENCES[result]
    return PlatformComparison(result, sentence.format(target=_shown(target), recorded=_shown(recorded)))


def compare_all(recorded: Iterable[NamedImage], target: NamedImage) -> PlatformComparison:
    """The gravest comparison of several recorded images with the target's. Without any, nothing is known."""
    found = [compare_platforms(image, target) for image in recorded] or [compare_platforms(NamedImage(), target)]
    return min(found, key=lambda item: list(Comparison).index(item.result))


def _why_unread(recorded: NamedImage, target: NamedImage) -> str:
    """Why one of the names says nothing about a version; empty if both do, or if they are equal."""
    if not recorded.name:
        return "the recovery point does not record the name of the image"
    if not target.name:
        return f"EC2 shows no name of the target's image {_shown(target)}"
    if recorded.name == target.name:
        return ""
    for of, image in (("recorded", recorded), ("target's", target)):
        if _read(image.name) is None:
            return f"the {of} image {_shown(image)} has no version in its name, such as CadoResponse_v2.324.0"
    return ""


def _read(name: str) -> _Version | None:
    """The product and version in an image's name; None if there is not exactly one version."""
    found = list(_VERSION.finditer(name))
    if len(found) != 1 or len(name) > MAX_NAME:
        return None
    product, digits, suffix = name[: found[0].start()], found[0][1].split("."), name[found[0].end() :]
    single = len(digits) == 1
    # "v2.x" is no 2, and "v2-324-0" is none either.
    if not product.strip("-_ /") or suffix.startswith(".") or (single and suffix):
        return None
    if len(digits) > MAX_NUMBERS or max(map(len, digits)) > MAX_DIGITS:
        return None
    numbers = [int(number) for number in digits]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return _Version(product.casefold(), tuple(numbers), single, suffix)


def _compare(recorded: _Version | None, target: _Version | None, *, same_name: bool) -> Comparison:
    if same_name:
        return Comparison.SAME
    if recorded is None or target is None:
        return Comparison.UNKNOWN
    if recorded.product != target.product:
        return Comparison.OTHER_PRODUCT
    if recorded.single != target.single:
        return Comparison.UNKNOWN
    for before, now in zip_longest(recorded.numbers, target.numbers, fillvalue=0):
        if before != now:
            return Comparison.OLDER if now < before else Comparison.NEWER
    return Comparison.SAME if recorded.suffix == target.suffix else Comparison.UNKNOWN


def _shown(image: NamedImage) -> str:
    """The name with its id. In quotes and escaped, so that a name cannot pass for a sentence or a line of ours."""
    known_id = one_line(clip(image.id, MAX_NAME)) or "unknown id"
    return f"{clip(image.name, MAX_NAME)!r} ({known_id})" if image.name else known_id
