"""The answer of show_status to the dashboard's widget: a page, or the documentation of the widget."""

from __future__ import annotations

from lifeboat.domain.widget import Call
from lifeboat.status.widget import parts
from lifeboat.status.widget.instance import render_instance
from lifeboat.status.widget.markup import Html, join
from lifeboat.status.widget.overview import render_overview, render_urgent
from lifeboat.status.widget.style import frame

DESCRIPTION = """\
## Lifeboat

Shows how the backups of a Lifeboat stack stand: what needs a person, open restores, and the protected instances with \
their recovery points. It changes nothing itself. Its buttons call the functions of the stack with the permissions of \
the viewer of the dashboard.

### Widget parameters

None.
"""
"""What the console shows of the widget, in Markdown."""


def show_status_page(answer: parts.Answer, call: Call) -> str:
    """A page of the status as HTML, at most 60 kB for the first."""
    if "describe" in answer:
        return DESCRIPTION
    if "refused" in answer:
        content = join([parts.top("Status", call, Html("")), parts.refusal(answer["refused"])])
    elif "overview" in answer:
        content = render_overview(answer["overview"], call)
    elif "urgent" in answer:
        content = render_urgent(answer["urgent"], call)
    else:
        content = render_instance(answer, call)
    return frame(content, dark=call.dark)
