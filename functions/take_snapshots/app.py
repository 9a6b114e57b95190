"""DOOR: a schedule's slot, the catch-up, or a person: a recovery point for every selected instance, once per slot."""

from lifeboat.backup import request
from lifeboat.backup import workflow as backup
from lifeboat.handler import make_handler

handler = make_handler(request.parse_take, backup.run)
