"""DOOR: an instance runs, daily, or a person: is its image from an owner we trust?"""

from lifeboat.ami import request
from lifeboat.ami import workflow as trust
from lifeboat.handler import make_handler

handler = make_handler(request.parse_check, trust.check)
