"""DOOR: EBS snapshot events and the sweep: is the recovery point good? Tell it."""

from lifeboat.backup import confirm_workflow as confirmation
from lifeboat.backup import request
from lifeboat.handler import make_handler

handler = make_handler(request.parse_confirm, confirmation.confirm_open)
