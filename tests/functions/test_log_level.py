"""What a function logs, at each level that the template has, in the environment that Lambda gives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINES = """
from types import SimpleNamespace
from lifeboat.aws import metrics
from lifeboat.backup import large_run_workflow as large_run
from lifeboat.handler import logger
logger.debug("debug")
logger.info("info")
logger.warning("warning")
large_run.logger.info("of a child")
metrics.seconds("RecoveryPointAge", 7, config=SimpleNamespace(stack="lifeboat", metrics=True), facts={})
metrics.seconds("ChangedShare", 8, config=SimpleNamespace(stack="lifeboat", metrics=False), facts={"volume": "vol-1"})
"""
LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def logged(level: str) -> list[dict[str, Any]]:
    """What a new process logs whose LogLevel is `level`, as it reaches Lambda."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "layers" / "lifeboat" / "python"),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": level,  # ApplicationLogLevel
        "POWERTOOLS_LOG_LEVEL": level,
        "POWERTOOLS_SERVICE_NAME": "lifeboat",
    }
    ran = subprocess.run([sys.executable, "-c", LINES], env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def kept(lines: list[dict[str, Any]], level: str) -> list[dict[str, Any]]:
    """What Lambda lets through: a line without a known level, or without a time of RFC 3339, counts as INFO.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """

    def level_of(line: dict[str, Any]) -> str:
        try:
            at = datetime.fromisoformat(str(line.get("timestamp", "")))
        except ValueError:
            return "INFO"
        named = {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(line["level"], line["level"])
        return named if at.tzinfo and "T" in line["timestamp"] and "," not in line["timestamp"] else "INFO"

    return [line for line in lines if LEVELS.index(level_of(line)) >= LEVELS.index(level)]


@pytest.mark.parametrize(
    ("level", "messages"),
    [
        ("DEBUG", ["debug", "info", "warning", "of a child", "ChangedShare"]),
        ("INFO", ["info", "warning", "of a child", "ChangedShare"]),
    ],
)
def test_each_level_that_is_offered_shows_its_lines_and_the_metrics(level, messages):
    lines = kept(logged(level), level)
    assert [line["message"] for line in lines if "message" in line] == messages
    assert [line["RecoveryPointAge"] for line in lines if "_aws" in line] == [[7.0]]
    # Without Metrics the same facts are in the log, where they cost nothing more.
    assert [(line["ChangedShare"], line["volume"]) for line in lines if "ChangedShare" in line] == [(8, "vol-1")]


def test_a_line_has_a_time_that_lambda_reads():
    # Otherwise Lambda would take a warning for a line of the level INFO, and put another time beside it.
    [warning] = [line for line in logged("INFO") if line.get("message") == "warning"]
    assert kept([warning], "WARN") == [warning]


def test_at_levels_that_are_not_offered_the_metrics_would_be_lost():
    assert [line for line in kept(logged("WARN"), "WARN") if "_aws" in line] == []
