"""The environment is read in one place, and refused in one sentence that names the template's parameter."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.domain.config import PARAMETERS, ConfigError, Selector, load
from lifeboat.domain.locks import LockSettings
from lifeboat.restore.machine.deadlines import Deadlines
from tools.docs_template import FUNCTION, TEMPLATE, read_template

REQUIRED = {
    "LIFEBOAT_STACK": "lifeboat",
    "AWS_REGION": "eu-west-1",
    "LIFEBOAT_TABLE": "table",
    "LIFEBOAT_TOPIC": "arn:aws:sns:eu-west-1:111122223333:notifications",
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
            "LIFEBOAT_RESTORE_DEADLINES": "copies=90m,stop=7m,running=30s",
            "LIFEBOAT_RESTORE_FROM_REGIONS": "us-east-1, eu-west-1,us-east-1",
            "LIFEBOAT_ENCRYPT_RESTORED": "false",
            "LIFEBOAT_TRUSTED_SNAPSHOT_OWNERS": "444455556666",
        }
    )
    assert config.trusted_owners == ("055430919509", "111122223333")
    assert config.max_delete_share == 0.25
    assert config.orphan_keep == 12
    assert config.restore_from == ("us-east-1",), "each once, and not the own region"
    assert config.deadlines == {
        "copies": timedelta(minutes=90),
        "stop": timedelta(minutes=7),
        "window": timedelta(seconds=30),
    }
    assert not config.encrypt_restored
    assert config.trusted_snapshot_owners == ("444455556666",)


@pytest.mark.parametrize(
    "text",
    ["stop", "stop=15", "stop=0m", "stop=15s", "running=4s", "stop=1m,stop=2m", "stop=1m,", ",", "x=1m", "stop=1m x"],
)
def test_deadlines_that_cannot_be_read_are_refused(text):
    with pytest.raises(ConfigError) as refused:
        load({**REQUIRED, "LIFEBOAT_RESTORE_DEADLINES": text})
    assert str(refused.value).startswith(f"RestoreDeadlines is {text!r}, expected a list such as stop=15m,running=120s")
    if text != "stop=1m,stop=2m":
        parameter = read_template(TEMPLATE.read_text())["Parameters"]["RestoreDeadlines"]
        assert not re.search(parameter["AllowedPattern"], text)


def test_the_templates_deadlines_are_those_of_a_restore():
    default = read_template(TEMPLATE.read_text())["Parameters"]["RestoreDeadlines"]["Default"]
    read = load({**REQUIRED, "LIFEBOAT_RESTORE_DEADLINES": default}).deadlines
    assert len(read) == 7
    assert replace(Deadlines(), **read) == Deadlines()


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_missing_variable_is_named(name):
    with pytest.raises(ConfigError, match=f"{name} is empty, expected .*; deploy the stack again"):
        load({**REQUIRED, name: ""})


def test_every_parameter_that_can_make_no_sense_is_named_as_in_the_template():
    """The variables, by the parameters that the template passes in them, of all functions."""
    template = read_template(TEMPLATE.read_text())
    functions = [template["Globals"]["Function"]]
    functions += [item["Properties"] for item in template["Resources"].values() if item["Type"] == FUNCTION]
    passed = {
        name: re.findall(r"'Ref': '(\w+)'", str(value))
        for function in functions
        for name, value in function.get("Environment", {}).get("Variables", {}).items()
    }
    for name, parameter in PARAMETERS.items():
        assert passed[name] == [parameter]
        assert parameter in template["Parameters"]


SENSELESS = {
    name: value
    for name in PARAMETERS
    for value in ["a,b,c,d" if name.endswith("REGIONS") else "" if name == "LIFEBOAT_VAULT_KMS_KEY" else "senseless"]
}


@pytest.mark.parametrize(("name", "value"), SENSELESS.items())
def test_each_is_refused_by_its_name_with_its_value_and_what_to_do(name, value):
    with pytest.raises(ConfigError) as refused:
        load({**REQUIRED, **(VAULT if name == "LIFEBOAT_VAULT_KMS_KEY" else {}), name: value})
    said = str(refused.value)
    assert said.startswith(f"{PARAMETERS[name]} is {value!r}, expected ")
    assert said.endswith("; correct it and deploy the stack again")
    assert "LIFEBOAT_" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [("LIFEBOAT_MIN_KEEP", "0"), ("LIFEBOAT_MIN_KEEP", "many")],
)
def test_a_number_out_of_range_is_refused_with_what_was_expected(name, value):
    with pytest.raises(ConfigError, match=f"^{PARAMETERS[name]} is '{value}', expected a number from 1 to"):
        load({**REQUIRED, name: value})


AWAY = {"LIFEBOAT_COPY_TO_REGIONS": "eu-central-1,us-east-1"}


def keys(*regions: str) -> dict[str, str]:
    return {"LIFEBOAT_COPY_KMS_KEYS": ",".join(f"arn:aws:kms:{region}:111122223333:key/1" for region in regions)}


def test_each_destination_has_the_key_at_its_place_or_none_has_one():
    plain = load({**REQUIRED, **AWAY})
    assert [(item.region, item.kms_key_id) for item in plain.copy_to] == [("eu-central-1", None), ("us-east-1", None)]
    own = load({**REQUIRED, **AWAY, **keys("eu-central-1", "us-east-1"), "LIFEBOAT_COPY_EXISTING": "true"})
    assert [item.kms_key_id.split(":")[3] for item in own.copy_to if item.kms_key_id] == ["eu-central-1", "us-east-1"]
    assert (plain.copy_existing, own.copy_existing) == (False, True)
    assert load(REQUIRED).copy_to == ()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"LIFEBOAT_COPY_TO_REGIONS": "a-1,b-1,c-1,d-1"}, "expected at most 3"),
        (
            {"LIFEBOAT_RESTORE_FROM_REGIONS": "a-1,b-1,c-1,d-1"},
            "RestoreFromRegions is .* at most 3 regions beside",
        ),
        ({"LIFEBOAT_COPY_TO_REGIONS": "eu-west-1"}, "none of them this one, eu-west-1"),
        ({"LIFEBOAT_COPY_TO_REGIONS": "us-east-1,us-east-1"}, "different regions"),
        ({**AWAY, **keys("eu-central-1")}, "the ARN of one key for each"),
        ({**AWAY, **keys("us-east-1", "eu-central-1")}, "in this order: eu-central-1,us-east-1"),
        ({**AWAY, "LIFEBOAT_COPY_KMS_KEYS": "alias/a,alias/b"}, "the ARN of one key"),
    ],
)
def test_destinations_that_make_no_sense_are_refused(facts, said):
    with pytest.raises(ConfigError, match=said):
        load({**REQUIRED, **facts})


@pytest.mark.parametrize(("text", "minutes"), [("", 0), ("0", 0), ("15", 15), ("2880", 2880)])
def test_the_time_of_a_copy_is_read(text, minutes):
    assert load({**REQUIRED, "LIFEBOAT_COPY_COMPLETION_MINUTES": text}).copy_completion_minutes == minutes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20", "is '20', expected 0, or 15 to 2880 in steps of 15"),
        ("2895", "from 0 to 2880"),
        ("-15", "from 0 to 2880"),
    ],
)
def test_a_time_that_no_copy_can_have_is_refused(text, said):
    with pytest.raises(ConfigError, match=f"^CopyCompletionMinutes .*{said}"):
        load({**REQUIRED, "LIFEBOAT_COPY_COMPLETION_MINUTES": text})


def test_locks_are_read_and_off_by_themselves():
    assert load(REQUIRED).locks == LockSettings("none", 0, 0)
    asked = {"LIFEBOAT_LOCK_MODE": "compliance", "LIFEBOAT_LOCK_DAYS": "7", "LIFEBOAT_LOCK_COOL_OFF_HOURS": "24"}
    assert load({**REQUIRED, **asked}).locks == LockSettings("compliance", 7, 24)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIFEBOAT_LOCK_MODE", "Governance"),
        ("LIFEBOAT_LOCK_DAYS", "-1"),
        ("LIFEBOAT_LOCK_DAYS", "36501"),
        ("LIFEBOAT_LOCK_COOL_OFF_HOURS", "73"),
    ],
)
def test_a_lock_that_ec2_would_not_take_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"^{PARAMETERS[name]} is '{value}', expected"):
        load({**REQUIRED, name: value})


VAULT = {
    "LIFEBOAT_VAULT_SOURCE_ACCOUNTS": "222233334444,333344445555",
    "LIFEBOAT_VAULT_READER_ROLES": "arn:aws:iam::222233334444:role/r,arn:aws:iam::333344445555:role/path/r",
    "LIFEBOAT_VAULT_KMS_KEY": "arn:aws:kms:eu-west-1:111122223333:key/1",
}


def test_a_vault_has_a_reader_for_each_source():
    config = load({**REQUIRED, **VAULT, "LIFEBOAT_VAULT_ACCOUNT": "777788889999"})
    assert [(source.account, source.reader[-1]) for source in config.vault_sources] == [
        ("222233334444", "r"),
        ("333344445555", "r"),
    ]
    assert (config.vault_account, config.vault_key) == ("777788889999", VAULT["LIFEBOAT_VAULT_KMS_KEY"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"LIFEBOAT_VAULT_READER_ROLES": "arn:aws:iam::333344445555:role/r"}, "^VaultReaderRoleArns is"),
        ({"LIFEBOAT_VAULT_SOURCE_ACCOUNTS": "333344445555,222233334444"}, "^VaultReaderRoleArns is"),
        ({"LIFEBOAT_VAULT_SOURCE_ACCOUNTS": ""}, "expected nothing, because VaultSourceAccounts is empty"),
        ({"LIFEBOAT_VAULT_KMS_KEY": ""}, "^VaultKmsKeyArn is '', expected the ARN of a KMS key"),
    ],
)
def test_a_vault_that_makes_no_sense_is_refused(change, named):
    with pytest.raises(ConfigError, match=named):
        load({**REQUIRED, **VAULT, **change})
