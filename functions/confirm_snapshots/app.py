"""confirm_snapshots: woken by EBS snapshot events and reconcile runs. Publishes if a recovery point is good."""

from lifeboat.backup import confirm_workflow as confirmation
from lifeboat.backup import request
from lifeboat.handler import make_handler

handler = make_handler(request.parse_confirm, confirmation.confirm_open, rehearses="confirm-snapshots")
