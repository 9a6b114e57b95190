"""DOOR: a person: pre-flight, record the restore, create the volumes."""

from lifeboat.handler import make_handler
from lifeboat.restore import request
from lifeboat.restore import workflow as restore

handler = make_handler(request.parse_restore, restore.answer)
