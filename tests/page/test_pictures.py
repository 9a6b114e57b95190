"""The pictures of the page in the docs, of a stack that has run for weeks. `make pages` makes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from local import platform
from local.session import ROOT, LocalAws
from local.stack import STACK_NAME
from local.viewer.stack import serve_stack
from tests.e2e.stage import CONSENT, SETTINGS, Machine, Stage, tag_list
from tests.page.browser import Opened, opened

PICTURES = ROOT / "docs" / "pictures"
BEGINS = "2026-11-08T20:00:00+00:00"
FIRST = datetime(2026, 11, 9, 2, tzinfo=UTC)
NIGHTS = 12
GAP = range(6, 8)
"""Nights without a backup of one instance."""
PROTECTED = {"lifeboat:backup": "true"}
WIDTH = 1160

pytestmark = pytest.mark.skipif(not os.environ.get("PAGES"), reason="takes a minute: make pages runs it")


@dataclass(frozen=True)
class Scene:
    stage: Stage
    address: str
    lost: str
    fresh: Machine


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with LocalAws(SETTINGS, begins=BEGINS) as aws:
        stage = Stage(aws, {"Schedule": "cron(0 2 * * ? *)", "Verify": "read"})
        main = platform.terraform_platform(aws, stage.image, tags=PROTECTED)
        worker, casebook = stage.launch(2, tags=PROTECTED, volume_tags={})
        tagged(stage, worker.instance_id, "CadoWorker")
        tagged(stage, casebook.instance_id, "casebook")
        for night in range(NIGHTS):
            if night in GAP:
                stage.ec2.delete_tags(Resources=[casebook.instance_id], Tags=tag_list(PROTECTED))
            else:
                stage.ec2.create_tags(Resources=[casebook.instance_id], Tags=tag_list(PROTECTED))
            stage.control.advance(to=FIRST + timedelta(days=night))
            stage.control.fire_schedule("TakeSnapshotsFunctionSlot")
            stage.control.settle()
        stage.reconcile("VerifySnapshotsFunction")
        stage.ec2.terminate_instances(InstanceIds=[main.instance_id])
        stage.control.advance(timedelta(hours=9).total_seconds())
        [fresh] = stage.launch(tags=CONSENT)
        tagged(stage, fresh.instance_id, "CadoResponse-2")
        with serve_stack(aws, STACK_NAME) as address:
            yield Scene(stage, address, main.instance_id, fresh)


def tagged(stage: Stage, instance_id: str, words: str) -> None:
    stage.ec2.create_tags(Resources=[instance_id], Tags=tag_list({"Name": words}))


def draw(seen: Opened, name: str) -> None:
    """A picture of the widget, without the viewer's frame."""
    seen.idle()
    seen.page.mouse.move(0, 0)
    seen.page.evaluate("document.activeElement.blur()")
    seen.page.locator(".widget .widget-content").screenshot(path=PICTURES / f"{name}.png")


def test_pictures_of_the_page(scene: Scene, browser: Browser) -> None:
    for theme in ("light", "dark"):
        with opened(browser, scene.address, theme=theme, width=WIDTH) as seen:
            draw(seen, f"page-{theme}")
    with opened(browser, scene.address, width=WIDTH) as seen:
        seen.page.get_by_label("Instance, by id or Name").fill(scene.lost)
        seen.page.get_by_role("button", name="Find").click()
        seen.see("Calendar")
        draw(seen, "page-instance")
        seen.page.get_by_role("button", name="Show the plan").first.click()
        seen.see("It is possible.")
        draw(seen, "page-plan")
        seen.page.get_by_role("button", name="Restore: ").click()
        seen.page.get_by_role("button", name="Confirm").click()
        seen.see(f"onto {scene.fresh.instance_id}: open")
        scene.stage.control.advance(90)
        seen.page.get_by_role("button", name="Refresh: ").click()
        draw(seen, "page-restore")
