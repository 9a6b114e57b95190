"""DOOR: volume, instance and sweep events: swap, start, verify; or roll back."""

from lifeboat.handler import door
from lifeboat.restore import request
from lifeboat.restore import workflow as restore

handler = door(request.parse_advance, restore.advance_open)
