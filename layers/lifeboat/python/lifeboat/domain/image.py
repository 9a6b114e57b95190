"""Evidence about the image that an instance was launched from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LaunchImage:
    """The image that an instance was launched from, as far as EC2 shows it. Empty means: not known.

    `name` is written by the image's owner, so it proves nothing.
    """

    owner_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """The known facts about an instance's AMI. None and empty mean: not known.

    `ancestors` are the images from this one to its root (GetImageAncestry). `source_instance_id` is set if the image
    was made from an instance (CreateImage). `problems` are the failed queries, with their reasons.
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
    """One ancestor of an image. `owner_id` is None if the ancestor could not be described."""

    image_id: str
    owner_id: str | None = None
    owner_alias: str | None = None
