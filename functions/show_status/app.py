"""show_status: asked by a person, the page and the command line. Shows how the stack stands, and changes nothing."""

from lifeboat.handler import make_handler
from lifeboat.status import request, workflow

handler = make_handler(request.parse_status, workflow.show, logs_answer=False)
"""The answer is long and has people's names in it, so the log does not repeat it."""
