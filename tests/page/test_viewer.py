"""The viewer renders a custom widget in a real browser as CloudWatch documents it: actions, forms, answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, expect

from local.viewer.server import serve
from tests.page.browser import Opened, opened
from tests.page.samples import DASHBOARD, Samples, arn_of, button

HOSTILE = """
<h2>still here</h2><img src=x onerror="window.ran=1"><script>window.ran=2</script>
<svg onload="window.ran=3"><script>window.ran=4</script><a href="javascript:window.ran=5"><text>t</text></a></svg>
<a id="address" href="javascript:window.ran=6">address</a><p style="background:url(https://example.com/a.png)">p</p>
<style>@import "https://example.com/b.css"; p { background: url(https://example.com/c.png) }</style>
<form action="https://example.com/" name="viewer-popup"><button id="viewer-confirm">send</button></form>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.ran=7&gt;">
"""


@contextmanager
def shown(browser: Browser, samples: Samples, **more: Any) -> Iterator[Opened]:
    with serve(samples, DASHBOARD) as address, opened(browser, address, **more) as seen:
        yield seen


def test_it_calls_the_function_as_cloudwatch_does(browser: Browser) -> None:
    samples = Samples({"show": lambda event: f"<p>{event['widgetContext']['theme']}</p>"}, params={"page": 1})
    with shown(browser, samples, theme="dark") as seen:
        expect(seen.page.get_by_text("dark", exact=True)).to_be_visible()
        expect(seen.page.get_by_text("Errors (metric)")).to_be_visible()
        seen.page.get_by_role("button", name="Dark").click()
        expect(seen.page.get_by_text("light", exact=True)).to_be_visible()
        seen.assert_harmless()
    [(name, event), (_, again)] = samples.events
    context = event["widgetContext"]
    assert (name, event["page"]) == ("show", 1)
    assert context["params"] == {"page": 1}
    assert context["dashboardName"] == DASHBOARD
    assert context["title"] == "Sample"
    assert context["forms"] == {"all": {}}
    assert context["width"] > 1000
    assert again["widgetContext"]["theme"] == "light"


def test_actions_call_functions_with_their_params_and_the_forms(browser: Browser) -> None:
    call = {"action": "call", "endpoint": arn_of("act")}
    page = "".join(
        [
            '<form><input name="why" value="because"><select name="how"><option>fast</option></select>',
            '<input type="checkbox" name="not" value="1">',
            button("Go on", '{"step": "&lt;two&gt;"}', **call),
            button("Ask", "{}", display="popup", confirmation="Really?", **call),
            button("Twice", "{}", event="dblclick", display="popup", **call),
            "</form>",
        ]
    )
    answers = {"show": lambda _: page, "act": lambda event: {"given": event.get("step"), "b": [1]}}
    samples = Samples(answers)
    with shown(browser, samples) as seen:
        ask = seen.page.get_by_role("button", name="Ask")
        ask.click()
        expect(seen.page.get_by_text("Really?")).to_be_visible()
        seen.page.get_by_role("button", name="Cancel").click()
        seen.page.get_by_role("button", name="Twice").click()
        assert [name for name, _ in samples.events] == ["show"], "neither a cancelled action nor one click called"
        ask.click()
        seen.page.get_by_role("button", name="Confirm").click()
        expect(seen.page.get_by_role("dialog", name="Result")).to_contain_text('{ "given": null, "b": [ 1 ] }')
        seen.page.get_by_role("button", name="Close").click()
        seen.page.get_by_role("button", name="Go on").click()
        expect(seen.page.get_by_label("Sample")).to_contain_text('"given": "<two>"')
        seen.assert_harmless()
    assert samples.events[-1][1]["widgetContext"]["forms"]["all"] == {"why": "because", "how": "fast"}


def test_actions_show_html_and_those_inside_it_work(browser: Browser) -> None:
    inner = button("Deeper", "<p>deep</p>", display="popup")
    page = button("More", f"<h3>more</h3>{inner}", action="html", display="popup") + button(
        "Over", "<p>over it</p>", event="mouseenter", display="popup"
    )
    with shown(browser, Samples({"show": lambda _: page})) as seen:
        seen.page.get_by_role("button", name="More").click()
        seen.page.get_by_role("button", name="Deeper").click()
        expect(seen.page.get_by_role("dialog", name="Result")).to_contain_text("deep")
        seen.page.keyboard.press("Escape")
        seen.page.get_by_role("button", name="Over").dispatch_event("mouseenter")
        expect(seen.page.get_by_role("dialog", name="Result")).to_contain_text("over it")


def test_what_failed_is_shown_in_its_words(browser: Browser) -> None:
    def fail(_: object) -> str:
        raise ValueError("no such <instance>")

    page = button("Fail", "", action="call", endpoint=arn_of("fail"), display="popup") + button(
        "Not JSON", "step: 2", action="call", endpoint=arn_of("fail")
    )
    with shown(browser, Samples({"show": lambda _: page, "fail": fail})) as seen:
        seen.page.get_by_role("button", name="Fail").click()
        expect(seen.page.get_by_role("alert")).to_have_text("ValueError: no such <instance>")
        seen.page.get_by_role("button", name="Close").click()
        seen.page.get_by_role("button", name="Not JSON").click()
        expect(seen.page.get_by_role("alert")).to_contain_text("The params of the action are not JSON")
        seen.assert_harmless()


def test_nothing_of_a_hostile_widget_runs(browser: Browser) -> None:
    with shown(browser, Samples({"show": lambda _: HOSTILE})) as seen:
        expect(seen.page.get_by_role("heading", name="still here")).to_be_visible()
        seen.page.get_by_text("address").click()
        seen.page.get_by_role("button", name="send").click()
        seen.page.get_by_role("button", name="Refresh").click()
        seen.idle()
        seen.assert_harmless()
        assert seen.page.url.startswith(seen.address)
