"""check_ami_owner: woken when an instance runs, daily, and by a person. Checks that a trusted owner made its image."""

from lifeboat.ami import request
from lifeboat.ami import workflow as trust
from lifeboat.handler import make_handler

handler = make_handler(request.parse_check, trust.check)
