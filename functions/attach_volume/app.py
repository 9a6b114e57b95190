"""DOOR: volume, instance and sweep events: swap, start, verify; or roll back."""

from lifeboat import events
from lifeboat.chains import restore
from lifeboat.door import door

handler = door(events.advance_request, restore.advance_open)
