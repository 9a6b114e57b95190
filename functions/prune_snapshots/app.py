"""prune_snapshots: woken by BackupCompleted, daily, and by a person. Deletes the recovery points that no rule keeps.

For a person it also shows what it would delete, holds a recovery point, and adopts existing snapshots.
"""

from lifeboat.handler import Page, make_handler
from lifeboat.retention import request
from lifeboat.retention import workflow as retention
from lifeboat.status.widget.actions import show_hold

page = Page(show_hold, request.parse_hold, retention.answer)
handler = make_handler(request.parse_prune, retention.answer, page=page, rehearses="prune-snapshots")
