"""What the viewer leaves of a widget's HTML: what CloudWatch removes is removed, the rest is as it was."""

from __future__ import annotations

import pytest

from local.viewer.cleaning import clean

KEPT = {
    "text and a table": '<h2 class="x">A</h2><table><tbody><tr><th scope="col">b</th></tr></tbody></table>',
    "a style": '<style>.late { color: #b00 } td > a::after { content: "<" }</style><p style="color:red">p</p>',
    "a button with its action": (
        '<button type="button" class="btn">Plan</button>'
        '<cwdb-action action="call" endpoint="arn:aws:lambda:r:1:function:f" display="widget" event="click" '
        'confirmation="Really &quot;now&quot;?">{"a": "&lt;b&gt; &amp; c"}</cwdb-action>'
    ),
    "a form": (
        '<form><label for="w">Why</label><input id="w" name="why" value="x" required="">'
        '<select name="s"><option value="1" selected="">one</option></select><textarea name="t"></textarea></form>'
    ),
    "a drawing": (
        '<svg viewBox="0 0 10 10" role="img" aria-label="ages"><title>ages</title><g transform="scale(2)">'
        '<polyline points="0,1 2,3" fill="none" stroke="#06c" stroke-width="1.5"></polyline></g>'
        '<text x="1" y="2" text-anchor="middle">3 h</text></svg>'
    ),
    "what is for a screen reader": '<p role="status" aria-live="polite" data-step="2" tabindex="0">p</p>',
    "a fold": '<details open=""><summary>more</summary>less</details>',
}

CHANGED = {
    "a script": ("<p>a</p><script>window.ran = 1</script>", "<p>a</p>"),
    "an iframe": ('<p>a</p><iframe src="https://example.com/">b</iframe>', "<p>a</p>"),
    "use": ('<svg><use href="#x"></use></svg>', "<svg></svg>"),
    "event handlers": ('<p onclick="x()" onmouseenter="x()">a</p>', "<p>a</p>"),
    "an image that fails": ("<img src=x onerror=x()>", '<img src="x">'),
    "a script as an address": ('<a href=" java\nscript:x()">a</a>', '<a rel="noopener noreferrer">a</a>'),
    "data as an address": ('<a href="data:text/html,x">a</a>', '<a rel="noopener noreferrer">a</a>'),
    "a form that goes elsewhere": ('<form action="https://example.com/"></form>', "<form></form>"),
    "a button that goes elsewhere": ('<button formaction="javascript:x()">a</button>', "<button>a</button>"),
    "markup hidden in a style of a drawing": (
        "<svg><style><img src=x onerror=x()></style></svg>",
        '<svg><style></style></svg><img src="x">',
    ),
    "an object": ('<object data="x.swf"></object><embed src="x.swf">', ""),
    "a base": ('<base href="https://example.com/"><meta http-equiv="refresh" content="0">a', "a"),
    "a style from elsewhere": ('<link rel="stylesheet" href="https://example.com/x.css">a', "a"),
    "HTML in a drawing": ("<svg><foreignObject><p onclick=x()>a</p></foreignObject></svg>", "<svg></svg>"),
    "a comment": ("a<!-- <script> -->", "a"),
    "an animation of an address": ("<svg><a><animate attributeName=href to=javascript:x()></a></svg>", None),
}


@pytest.mark.parametrize("html", KEPT.values(), ids=KEPT)
def test_what_cloudwatch_shows_is_kept(html: str) -> None:
    assert clean(html).replace(' rel="noopener noreferrer"', "") == html


@pytest.mark.parametrize(("html", "left"), CHANGED.values(), ids=CHANGED)
def test_what_cloudwatch_forbids_is_removed(html: str, left: str | None) -> None:
    cleaned = clean(html)
    if left is not None:
        assert cleaned == left
    assert not [word for word in ("script:", "x()", "<iframe", "animate", "example.com") if word in cleaned]
    assert clean(cleaned) == cleaned, "what was cleaned is clean"
