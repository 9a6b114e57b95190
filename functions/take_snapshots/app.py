"""DOOR: a schedule's slot, the catch-up, or a person: a recovery point for every selected instance, once per slot."""

from lifeboat import events
from lifeboat.chains import backup
from lifeboat.door import door

handler = door(events.snapshot_request, backup.run)
