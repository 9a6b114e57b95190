"""DOOR: backup completed and the sweep: copy recovery points to other regions, share them with a vault, or be one."""

from lifeboat import events
from lifeboat.chains import vault
from lifeboat.door import door

handler = door(events.copy_request, vault.carry_away)
