"""restore_volume: woken by a person. Checks the request, records the restore and creates the volumes."""

from lifeboat.handler import Page, make_handler
from lifeboat.restore import request
from lifeboat.restore import workflow as restore
from lifeboat.status.widget.actions import show_restore

handler = make_handler(request.parse_restore, restore.answer, page=Page(show_restore), rehearses="restore-volume")
