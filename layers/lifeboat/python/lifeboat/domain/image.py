"""What can be learnt of the image that an instance was launched from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """What could be learnt of the AMI that an instance was launched from. None and empty mean: not known.

    `ancestors` are image ids from the image itself to its root (GetImageAncestry); `source_instance_id` is set when
    the image was made of an instance (CreateImage). `problems` says what could not be looked up, and why.
    """

    image_id: str
    owner_id: str | None = None
    owner_alias: str | None = None
    name: str | None = None
    state: str | None = None
    public: bool | None = None
    source_instance_id: str | None = None
    source_image_id: str | None = None
    ancestors: tuple[ImageAncestor, ...] = ()
    ancestry_known: bool = False
    product_codes: tuple[str, ...] = ()
    watermarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageAncestor:
    """One step of an image's descent. `owner_id` is None unless the ancestor itself could still be described."""

    image_id: str
    owner_id: str | None = None
    owner_alias: str | None = None
