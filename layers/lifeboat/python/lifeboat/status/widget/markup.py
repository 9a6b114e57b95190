"""HTML for CloudWatch's custom widget: text that is data, elements, and buttons that call a function.

CloudWatch removes scripts, `iframe` and `use`. A `cwdb-action` defines what the element before it does
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_interactivity.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from lifeboat.domain.text import clip, is_blank, one_line

NAME_LENGTH = 32
"""Characters that a Name gets at most."""

SENTENCE_LENGTH = 400
"""Characters that a sentence gets at most. AWS's words may be long."""

LABEL_LENGTH = 128
"""Characters of the label of a button."""

MINUTE, HOUR, DAY = 60, 3_600, 86_400


class Html(str):
    """Markup that is safe to be shown. Only this module makes it of text."""

    __slots__ = ()


def text(value: object, most: int = SENTENCE_LENGTH) -> Html:
    """The text as data: one line, without marks that change the reading direction, escaped."""
    return Html(escape(clip(one_line(str(value)), most), quote=False))


def name(value: object) -> Html:
    """A Name from a tag, set apart from the sentence around it in whatever direction it reads; empty for an empty."""
    called = str(value)
    shown = text("(a Name that shows nothing)") if is_blank(one_line(called)) else text(called, NAME_LENGTH)
    return element("bdi", shown, {"class": "name"}) if called else Html("")


def join(parts: Iterable[Html], between: str = "") -> Html:
    """The parts, one after the other."""
    return Html(escape(between).join(parts))


def element(tag: str, content: Html | str, attributes: Mapping[str, str] | None = None) -> Html:
    """An element. Content that is not Html is shown as text."""
    inner = content if isinstance(content, Html) else text(content)
    return Html(f"<{tag}{_attributes(attributes or {})}>{inner}</{tag}>")


def _attributes(attributes: Mapping[str, str]) -> str:
    return "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())


def marked(style: str, word: str, rest: Html) -> Html:
    """A paragraph that begins with a word of this style."""
    return element("p", join([element("span", word, {"class": style}), rest], " "))


def items(sentences: Iterable[object], tag: str = "ol") -> Html:
    """A list of sentences; nothing for none."""
    lines = join(element("li", text(sentence)) for sentence in sentences)
    return element(tag, lines) if lines else Html("")


def table(caption: Html | str, head: Sequence[str], rows: Iterable[Sequence[Html | str]]) -> Html:
    """A table with a caption. The first cell of a row is its header."""
    top = join(element("th", title, {"scope": "col"}) for title in head)
    body = join(
        element(
            "tr",
            join([element("th", row[0], {"scope": "row"}), *(element("td", cell) for cell in row[1:])]),
        )
        for row in rows
    )
    inner = join([element("caption", caption), element("thead", element("tr", top)), element("tbody", body)])
    return element("table", inner)


def button(
    label: str,
    endpoint: str,
    request: Mapping[str, Any],
    *,
    confirmation: str = "",
    about: str = "",
    primary: bool = False,
) -> Html:
    """A button that calls a function with a request, and shows its answer in place of the widget.

    `about` is added to the label for a person who does not see in which row the button is. CloudWatch's own example is
    an `a` without an address, which a keyboard does not reach; an action may be of any element.
    """
    attributes = {"type": "button", "class": "btn btn-primary" if primary else "btn"}
    if about:
        attributes["aria-label"] = f"{label}: {clip(one_line(about), LABEL_LENGTH)}"
    action = {"action": "call", "endpoint": endpoint}
    if confirmation:
        action["confirmation"] = one_line(confirmation)
    return join(
        [
            element("button", label, attributes),
            Html(f"<cwdb-action{_attributes(action)}>{_json(request)}</cwdb-action>"),
        ]
    )


def _json(request: Mapping[str, Any]) -> str:
    """JSON without a character that HTML gives a meaning to, so that it is the same read as HTML or as text."""
    written = json.dumps(request, separators=(",", ":"))
    return written.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def duration(seconds: float | None) -> str:
    """Seconds as a person says them, such as `20 min`; `-` where they are not known."""
    if seconds is None:
        return "-"
    for unit, word, most in ((1, "s", 2 * MINUTE), (MINUTE, "min", 2 * HOUR), (HOUR, "h", 2 * DAY)):
        if seconds < most:
            return f"{int(seconds // unit)} {word}"
    return f"{int(seconds // DAY)} days"


def yes_no(value: bool | None) -> str:
    """`yes`, `no`, or `not known`."""
    return "not known" if value is None else "yes" if value else "no"
