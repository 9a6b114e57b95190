"""The page of the dashboard in a real browser: the deployed stack, IAM enforced, the viewer's role."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, expect

from local.stack import STACK_NAME
from local.viewer.stack import serve_stack
from tests.e2e.stage import CONSENT, Machine, Stage, staged, tag_list
from tests.messages.hostile_names import HOSTILE
from tests.page.accessibility import serious_findings
from tests.page.browser import Opened, opened

ROLE = f"{STACK_NAME}-viewer"
PROTECTED = {"lifeboat:backup": "true"}
LOST, FRESH = "CadoResponse", "CadoFresh"
NAMES = [re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "\u2066", words) for words in HOSTILE]
"""EC2's answers are XML, which has no such characters."""
FITS = """[document.documentElement, ...document.querySelectorAll('.widget-content')].every(
    box => box.scrollWidth <= box.clientWidth)"""
TABS = 200
"""So many keys at most from one end of a page to a button on it."""


@dataclass(frozen=True)
class Scene:
    """A stack with an instance that is lost, a fresh one that consents to a restore, and the address of the page."""

    stage: Stage
    address: str
    lost: Machine
    fresh: Machine
    point: str


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with staged() as stage, serve_stack(stage.aws, STACK_NAME) as address:
        [lost] = stage.launch(tags=PROTECTED, volume_tags={})
        name(stage, lost, LOST)
        point = stage.point_of(lost)
        stage.ec2.terminate_instances(InstanceIds=[lost.instance_id])
        stage.control.settle()
        [fresh] = stage.launch(tags=CONSENT)
        name(stage, fresh, FRESH)
        yield Scene(stage, address, lost, fresh, point)


def name(stage: Stage, machine: Machine, words: str) -> None:
    stage.ec2.create_tags(Resources=[machine.instance_id], Tags=tag_list({"Name": words}))


def row(seen: Opened, text: str) -> Locator:
    return seen.page.get_by_role("row").filter(has_text=text)


def test_four_clicks_restore_a_lost_instance_onto_a_fresh_one(scene: Scene, browser: Browser) -> None:
    since = scene.stage.control.mark()
    clicks = 0

    def click(what: Locator) -> None:
        nonlocal clicks
        what.click()
        clicks += 1
        seen.idle()

    with opened(browser, scene.address) as seen:
        click(row(seen, scene.lost.instance_id).get_by_role("button", name="Open"))
        click(row(seen, scene.point).get_by_role("button", name="Show the plan"))
        expect(seen.page.get_by_text("It is possible.")).to_be_visible()
        assert not scene.stage.open_restores(), "a plan begins nothing"
        click(seen.page.get_by_role("button", name="Restore: "))
        click(seen.page.get_by_role("button", name="Confirm"))
        expect(seen.page.get_by_role("heading", name="Restore", exact=True)).to_be_visible()
        assert clicks == 4
        [restore] = set(re.findall("restore-[0-9a-f]{16}", seen.page.inner_text("main")))
        ended = scene.stage.until_closed(restore)
        assert ended.get("status") == "completed", ended
        seen.page.get_by_role("button", name="Refresh: ").click()
        seen.see(f"{restore} onto {scene.fresh.instance_id}: completed")
        seen.assert_harmless()
        assert not seen.elsewhere
    [(volume, _)] = scene.stage.disks(scene.fresh.instance_id).values()
    assert scene.stage.made_by(restore) == [volume]
    assert not scene.stage.denied(since)
    by_viewer = scene.stage.control.counts(since, caller=ROLE)
    assert set(by_viewer) == {"lambda:InvokeFunction", "cloudwatch:GetDashboard"}, by_viewer


def press_on(seen: Opened, what: Locator) -> None:
    """Tab until the focus is there, then press Enter. Nothing else of the page is touched."""
    for _key in range(TABS):
        seen.page.keyboard.press("Tab")
        if what.evaluate("element => element === document.activeElement"):
            seen.page.keyboard.press("Enter")
            seen.idle()
            return
    raise AssertionError(f"the focus never came to {what}")


def test_the_keyboard_alone_finds_an_instance_and_backs_it_up(scene: Scene, browser: Browser) -> None:
    [machine] = scene.stage.launch(tags=PROTECTED, volume_tags={})
    with opened(browser, scene.address) as seen:
        field = seen.page.get_by_label("Instance, by id or Name")
        while not field.evaluate("element => element === document.activeElement"):
            seen.page.keyboard.press("Tab")
        seen.page.keyboard.type(machine.instance_id)
        press_on(seen, seen.page.get_by_role("button", name="Find"))
        seen.see("Calendar")
        press_on(seen, seen.page.get_by_role("button", name="Back up now"))
        press_on(seen, seen.page.get_by_role("button", name="Confirm"))
        seen.see("has begun")
        press_on(seen, seen.page.get_by_role("button", name="All instances"))
        seen.see("Protected instances")
        seen.assert_harmless()


def test_a_recovery_point_is_held_by_a_viewer(scene: Scene, browser: Browser) -> None:
    with opened(browser, scene.address) as seen:
        row(seen, scene.lost.instance_id).get_by_role("button", name="Open").click()
        row(seen, scene.point).get_by_role("button", name="Hold").click()
        seen.page.get_by_role("button", name="Confirm").click()
        seen.see(f"{scene.point} is held now")
    assert scene.stage.recovery_point_snapshots(("tag-key", "lifeboat:hold"))


def test_hostile_names_run_nothing_and_keep_the_layout(scene: Scene, browser: Browser) -> None:
    with scene.stage.silence():
        hostile = scene.stage.launch(len(NAMES), tags=PROTECTED, volume_tags={})
    for machine, words in zip(hostile, NAMES, strict=True):
        name(scene.stage, machine, words)
    with opened(browser, scene.address) as seen:
        shown = 0
        following = seen.page.get_by_role("button", name="Next page")
        while True:
            rows = seen.page.get_by_role("table", name="Protected instances").locator("tbody tr")
            heights = rows.evaluate_all("rows => rows.map(row => row.offsetHeight)")
            shown += len(heights)
            assert max(heights) < 100, "no name makes a row tall"
            assert seen.page.evaluate(FITS), "nothing is off the page"
            if not following.count():
                break
            following.click()
            seen.idle()
        assert shown >= len(NAMES)
        seen.assert_harmless()
        assert not seen.elsewhere


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(scene: Scene, browser: Browser, theme: str) -> None:
    with opened(browser, scene.address, theme=theme) as seen:
        found = {"overview": serious_findings(seen.page)}
        row(seen, scene.lost.instance_id).get_by_role("button", name="Open").click()
        seen.see("Calendar")
        found["instance"] = serious_findings(seen.page)
        row(seen, scene.point).get_by_role("button", name="Show the plan").click()
        seen.see("Plan of a restore")
        found["plan"] = serious_findings(seen.page)
    assert not {place: findings for place, findings in found.items() if findings}


def test_the_viewer_may_invoke_nothing_but_the_functions_of_the_page(scene: Scene) -> None:
    endpoint = scene.stage.aws.client("lambda").get_function_configuration(
        FunctionName=scene.stage.outputs["AttachVolumeFunction"]
    )["FunctionArn"]
    asked = json.dumps({"endpoint": endpoint, "params": {}, "widgetContext": {}}).encode()
    with urllib.request.urlopen(f"{scene.address}call", asked) as answer:
        assert "is not authorized to perform: lambda:InvokeFunction" in json.load(answer)["error"]
