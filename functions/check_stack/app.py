"""check_stack: woken daily and weekly, and by a person or the command line. It changes nothing.

Checks the deployed stack, and publishes what it found on the day after a deployment. Reports what the protection does
not cover, and publishes that weekly.
"""

from lifeboat.doctor import request, workflow
from lifeboat.handler import make_handler

handler = make_handler(request.parse_check, workflow.check, logs_answer=False)
"""The answer is long and has ids and addresses in it, so the log does not repeat it."""
