"""DOOR: backup completed and the sweep: copy recovery points to other regions."""

from lifeboat import events
from lifeboat.chains import copies
from lifeboat.door import door

handler = door(events.copy_request, copies.copy)
