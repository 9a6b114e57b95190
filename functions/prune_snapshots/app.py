"""DOOR: backup completed, daily, or dry-run by hand: let go what no rule keeps; or adopt, by hand."""

from lifeboat.handler import make_handler
from lifeboat.retention import request
from lifeboat.retention import workflow as retention

handler = make_handler(request.parse_prune, retention.answer)
