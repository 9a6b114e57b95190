"""What a person does after a restore about protection and consent, and what a cancelled restore did meanwhile."""

from __future__ import annotations

import json
import re
import shlex

from lifeboat.domain.message import counted
from lifeboat.domain.tags import Tag
from lifeboat.domain.title import quote
from lifeboat.restore.record import Restore, RestoreStep

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+-]+")
"""A tag that the shorthand of the AWS command line takes as it is."""

MOST_REASON = 300
"""Characters of a person's reason in a sentence."""


def protect_instance(restore: Restore, region: str, tag: tuple[str, str]) -> tuple[str, ...]:
    """The tag that puts a fresh instance under backup. `tag` is the selecting one, key and value."""
    if restore.instance_id == restore.source_instance_id:
        return ()
    key, value = tag
    named = f"Key={key},Value={value}"
    if not (_PLAIN.fullmatch(key) and _PLAIN.fullmatch(value)):
        named = shlex.quote(json.dumps([{"Key": key, "Value": value}]))
    return (
        f"Put {restore.instance_id} under backup, which it is not without this tag: "
        f"aws ec2 create-tags --region {region} --resources {restore.instance_id} --tags {named}",
    )


def end_consent(restore: Restore, region: str) -> tuple[str, ...]:
    """The command that takes the consent tag off: with it, the next request would be carried out."""
    displaced = [volume.displaced_volume_id for volume in restore.volumes if volume.displaced_volume_id]
    ids = " ".join([restore.instance_id, *displaced])
    return (
        f"Take your consent back: aws ec2 delete-tags --region {region} --resources {ids} "
        f"--tags Key={Tag.RESTORE_TARGET}",
    )


def describe_cancelled(restore: Restore) -> str:
    """Who called the restore off, why, and what it did until then."""
    by = quote(restore.cancelled_by or "", "a person")
    why = f", who said {_quoted(restore.cancel_reason)}" if restore.cancel_reason else ""
    return f"called off by {by}{why}. {_describe_meanwhile(restore)}"


def _quoted(words: str) -> str:
    shown = quote(words, "", MOST_REASON)
    return shown if shown.startswith('"') else f'"{shown}"'


def _describe_meanwhile(restore: Restore) -> str:
    """What a restore that was rolled back did, and that it is undone."""
    steps = {entry.step for entry in restore.timeline}
    made = [volume.restored_volume_id for volume in restore.volumes if volume.restored_volume_id]
    kept = {item.volume_id for item in restore.kept}
    copies = [volume.fetch for volume in restore.volumes if volume.fetch and volume.fetch.copy_id]
    done = []
    if copies:
        done.append(f"began {len(copies)} {'copy' if len(copies) == 1 else 'copies'}, which stay")
    if made:
        left = f", of which {', '.join(sorted(kept))} stays" if kept else ", which are deleted"
        done.append(f"made {counted(len(made), 'volume')}{left}")
    if restore.touched and restore.was_running:
        done.append(f"stopped {restore.instance_id} and started it again")
    if restore.touched and steps & {RestoreStep.DETACH, RestoreStep.ATTACH}:
        done.append("put the displaced volumes back")
    if not done:
        return f"Until then it had changed nothing: {restore.instance_id} was not touched."
    untouched = "" if restore.touched else f" {restore.instance_id} was not touched."
    return f"Meanwhile it {'; it '.join(done)}.{untouched}"
