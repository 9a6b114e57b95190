"""DOOR: EBS snapshot events and the sweep: is the recovery point good? Tell it."""

from lifeboat import events
from lifeboat.chains import confirmation
from lifeboat.door import door

handler = door(events.confirm_request, confirmation.confirm_open)
