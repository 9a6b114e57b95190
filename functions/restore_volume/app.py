"""DOOR: a person: pre-flight, record the restore, create the volumes."""

from lifeboat.handler import door
from lifeboat.restore import request
from lifeboat.restore import workflow as restore

handler = door(request.parse_restore, restore.answer)
