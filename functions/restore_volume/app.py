"""DOOR: a person: pre-flight, record the restore, create the volumes."""

from lifeboat import events
from lifeboat.chains import restore
from lifeboat.door import door

handler = door(events.restore_request, restore.answer)
