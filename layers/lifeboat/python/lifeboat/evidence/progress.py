"""The checkpoint of a manifest that is being written."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.evidence.losses import BEGIN, Loss, Position
from lifeboat.evidence.manifest import Folder


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a manifest has come: what another invocation goes on from.

    `before` is the id of the manifest that it is compared with, empty if there is none. `named` are the first losses.
    `hindered` says why no manifest is written, and `not_compared` why there is no comparison.
    """

    id: str
    parts: int = 0
    lost_parts: int = 0
    folders: int = 0
    folder: Folder | None = None
    before: str = ""
    position: Position = BEGIN
    named: tuple[Loss, ...] = ()
    hindered: str = ""
    not_compared: str = ""
