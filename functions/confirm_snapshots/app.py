"""DOOR: EBS snapshot events and the sweep: is the recovery point good? Tell it."""

from lifeboat import events
from lifeboat.chains import backup
from lifeboat.door import door

handler = door(events.confirm_request, backup.confirm_open)
