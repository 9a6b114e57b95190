"""show_status: asked by a person, the page and the command line. Shows how the stack stands, and changes nothing."""

from lifeboat.handler import Page, make_handler
from lifeboat.status import request, widget_workflow, workflow
from lifeboat.status.widget.page import show_status_page
from lifeboat.status.widget.request import parse_page

page = Page(show_status_page, parse_page, widget_workflow.show_page, only_reads=True)
handler = make_handler(request.parse_status, workflow.show, logs_answer=False, page=page)
"""The answer is long and has people's names in it, so the log does not repeat it."""
