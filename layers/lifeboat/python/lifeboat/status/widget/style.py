"""The style of the page, light and dark, and the frame around each of its answers."""

from __future__ import annotations

from lifeboat.status.widget.markup import Html, element, join

_COLORS = {
    "light": "--ink:#16191f;--faint:#545b64;--paper:#fff;--line:#aab7b8;--bad:#b0182f;--warn:#7d4500;--good:#1d6b2f;"
    "--stroke:#0a4f9e",
    "dark": "--ink:#e9ebed;--faint:#b6bec9;--paper:#161d26;--line:#5f6b7a;--bad:#ff9c9c;--warn:#ffcf70;--good:#8be09b;"
    "--stroke:#89bdff",
}
"""Each has a contrast of more than 4.5 to 1 against its paper, as WCAG 2.2 asks of text (1.4.3)."""

_RULES = (
    ".lb{color:var(--ink);background:var(--paper);font-size:14px;line-height:1.4;padding:4px}"
    ".lb h2{font-size:18px;margin:4px 0}.lb h3{font-size:15px;margin:14px 0 4px}"
    ".lb table{border-collapse:collapse;width:100%;font-size:14px}"
    ".lb caption{text-align:left;color:var(--faint);padding:2px 0}"
    ".lb th,.lb td{text-align:left;vertical-align:top;padding:4px 8px;border-bottom:1px solid var(--line);"
    "color:var(--ink);background:var(--paper)}.lb tbody th{font-weight:400}.lb tbody th .name{display:block}"
    ".lb .name{font-weight:700;overflow-wrap:anywhere;display:inline-block;max-width:22em;max-height:2.8em;"
    "overflow:hidden;vertical-align:bottom}"
    ".lb .bad{color:var(--bad);font-weight:700}.lb .warn{color:var(--warn);font-weight:700}.lb .good{color:var(--good)}"
    ".lb .faint{color:var(--faint)}.lb code,.lb pre{overflow-wrap:anywhere;white-space:pre-wrap;color:var(--ink);"
    "background:var(--paper)}.lb svg{display:block}.lb path{fill:none;stroke:var(--stroke);stroke-width:1.5}"
    ".lb li,.lb p{margin:2px 0;overflow-wrap:anywhere}.lb .need{border-left:4px solid var(--bad);padding-left:8px;"
    "margin:8px 0}"
    ".lb .btn{margin:1px 4px 1px 0;cursor:pointer}"
    ".lb .btn:focus-visible{outline:2px solid var(--stroke);outline-offset:1px}"
    ".lb label{margin-right:6px}"
)


def frame(content: Html, *, dark: bool) -> Html:
    """The answer as CloudWatch shows it."""
    rules = f".lb{{{_COLORS['dark' if dark else 'light']}}}{_RULES}"
    return join([Html(f"<style>{rules}</style>"), element("div", content, {"class": "lb", "lang": "en"})])
