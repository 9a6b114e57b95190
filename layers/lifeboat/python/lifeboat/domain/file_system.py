"""A file system of EFS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system. `backups` is how EFS's own automatic backups stand, in its word, such as ENABLED or DISABLED."""

    id: str
    backups: str
