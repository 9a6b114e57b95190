"""take_snapshots: woken by the schedule, the catch-up schedule, the work queue, and a person.

Takes a recovery point of every selected instance, once per slot.
"""

from lifeboat.backup import request
from lifeboat.backup import workflow as backup
from lifeboat.handler import Page, make_handler
from lifeboat.status.widget.actions import show_backup

handler = make_handler(request.parse_take, backup.run, page=Page(show_backup), rehearses="take-snapshots")
