"""The tags that Lifeboat writes and reads."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

Tags = Mapping[str, str]


TAG_PREFIX = "lifeboat:"
"""Every tag that Lifeboat writes or reads begins with this."""


class Tag(StrEnum):
    """The tags of Lifeboat, part of its public face (docs/reference/tags.md says which tag is where)."""

    # on instances, written by people
    BACKUP = "lifeboat:backup"  # the default selection tag, value "true"
    RETENTION = "lifeboat:retention"  # overrides the stack's retention policy for this instance
    RESTORE_TARGET = "lifeboat:restore-target"  # value "true": this instance, this volume, may be part of a restore

    # on volumes
    LINEAGE = "lifeboat:chain"  # the volume's lineage; also on snapshots of one-volume recovery points
    RESTORE = "lifeboat:restore"  # the id of the restore that made the volume; also on copies that a restore made
    DISPLACED_BY = "lifeboat:displaced-by"  # the id of the restore that detached the volume
    DISPLACED_FROM = "lifeboat:displaced-from"  # "<instance> <device>" it was detached from
    DRILL = "lifeboat:drill"  # the id of the restore drill that made the volume, which is never attached

    # on snapshots, all written with their creation
    RECOVERY_POINT = "lifeboat:recovery-point"
    SET = "lifeboat:set"  # the CreateSnapshots call: a doubled call makes two sets, never a mixed one
    STACK = "lifeboat:stack"
    SLOT = "lifeboat:slot"  # the due time, ISO 8601 UTC
    INSTANCE = "lifeboat:instance"
    INSTANCE_NAME = "lifeboat:instance-name"
    ZONE = "lifeboat:zone"
    AMI = "lifeboat:ami"  # "<id> <name>": the image, and its name if EC2 showed it
    AMI_OWNER = "lifeboat:ami-owner"
    VOLUMES = "lifeboat:volumes"  # how many snapshots the whole recovery point has
    LATE = "lifeboat:late"  # "true": taken by the catch-up after its slot

    # on copies in another region, all written with the copy
    COPY_OF = "lifeboat:copy-of"  # the id of the snapshot that was copied
    COPIED_FROM = "lifeboat:copied-from"  # its region
    TAKEN_AT = "lifeboat:taken-at"  # when EC2 began that snapshot; the start time of the copy is later
    COPIED_AT = "lifeboat:copied-at"  # when Lifeboat requested the copy; a copy that others make of it begins later

    # on copies in a vault
    SOURCE_ACCOUNT = "lifeboat:source-account"  # the account whose snapshot was copied

    # on snapshots, written when their recovery point was read back
    VERIFIED = "lifeboat:verified"  # what the newest verification has shown; see `lifeboat.domain.proof`

    # on snapshots, written when their data has become far more random within one backup
    SUSPECT = "lifeboat:suspect"  # "state=open ..." or "state=closed ...": see `lifeboat.domain.suspicion`

    # on snapshots, written by people
    HOLD = "lifeboat:hold"  # any value: never deleted while it has this tag
    SHARED = "lifeboat:shared"  # any value: others rely on it, so it is neither deleted nor counted as a backup
