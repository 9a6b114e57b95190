"""The environment is read in one place, and refused in one sentence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.config import ConfigError, load
from lifeboat.model import Selector

REQUIRED = {
    "LIFEBOAT_STACK": "lifeboat",
    "AWS_REGION": "eu-west-1",
    "LIFEBOAT_TABLE": "table",
    "LIFEBOAT_TOPIC": "arn:aws:sns:eu-west-1:111122223333:news",
}


def test_defaults():
    config = load(REQUIRED)
    assert config.selector == Selector("lifeboat:backup", "true")
    assert (config.min_keep, config.max_delete_share, config.grace) == (3, 0.5, timedelta(days=1))
    assert config.account == "111122223333"
    assert config.trusted_owners == ()
    assert config.deadlines == {}
    assert config.encrypt_restored
    assert config.orphan_keep == 0


def test_everything_set():
    config = load(
        {
            **REQUIRED,
            "LIFEBOAT_TRUSTED_OWNERS": "055430919509, 111122223333,",
            "LIFEBOAT_MAX_DELETE_PERCENT": "25",
            "LIFEBOAT_ORPHAN_KEEP": "12",
            "LIFEBOAT_STOP_DEADLINE_MINUTES": "7",
            "LIFEBOAT_RUNNING_WINDOW_SECONDS": "30",
            "LIFEBOAT_ENCRYPT_RESTORED": "false",
            "LIFEBOAT_TRUSTED_SNAPSHOT_OWNERS": "444455556666",
        }
    )
    assert config.trusted_owners == ("055430919509", "111122223333")
    assert config.max_delete_share == 0.25
    assert config.orphan_keep == 12
    assert config.deadlines == {"stop": timedelta(minutes=7), "window": timedelta(seconds=30)}
    assert not config.encrypt_restored
    assert config.trusted_snapshot_owners == ("444455556666",)


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_missing_variable_is_named(name):
    with pytest.raises(ConfigError, match=f"{name} is empty, expected"):
        load({**REQUIRED, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [("LIFEBOAT_MIN_KEEP", "0"), ("LIFEBOAT_MIN_KEEP", "many"), ("LIFEBOAT_STOP_DEADLINE_MINUTES", "-1")],
)
def test_a_number_out_of_range_is_refused_with_what_was_expected(name, value):
    with pytest.raises(ConfigError, match=f"{name} is '{value}', expected a number from 1 to"):
        load({**REQUIRED, name: value})
