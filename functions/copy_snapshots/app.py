"""DOOR: backup completed and the sweep: copy recovery points to other regions, share them with a vault, or be one."""

from lifeboat.copies import request
from lifeboat.copies import workflow as vault
from lifeboat.handler import make_handler

handler = make_handler(request.parse_copy, vault.run)
