"""DOOR: volume, instance and sweep events: swap, start, verify; or roll back."""

from lifeboat.handler import make_handler
from lifeboat.restore import request
from lifeboat.restore import workflow as restore

handler = make_handler(request.parse_advance, restore.advance_open)
