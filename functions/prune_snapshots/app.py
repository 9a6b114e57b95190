"""DOOR: backup completed, daily, or dry-run by hand: let go what no rule keeps; or adopt, by hand."""

from lifeboat import events
from lifeboat.chains import retention
from lifeboat.door import door

handler = door(events.prune_request, retention.answer)
