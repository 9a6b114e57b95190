"""DOOR: an instance runs, daily, or a person: is its image from an owner we trust?"""

from lifeboat import events
from lifeboat.chains import trust
from lifeboat.door import door

handler = door(events.image_request, trust.check)
