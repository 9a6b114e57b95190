"""Each function's role may do what it is for and nothing else that anybody thought of."""

from __future__ import annotations

import pytest

from tests.security.battery import FUNCTIONS, OWNERS, asked_of, differences, expected
from tools.docs_template import TEMPLATE, read_template
from tools.policy_mutations import Mutant, mutants
from tools.policy_roles import Asked, deployed

POLICIES = deployed(read_template(TEMPLATE.read_text()))


def test_everybody_with_a_policy_is_asked():
    assert set(POLICIES) == set(OWNERS)


@pytest.mark.parametrize("owner", OWNERS)
def test_what_is_expected_is_asked_once(owner):
    asked = [str(question) for question in asked_of(owner)]
    assert len(asked) == len(set(asked))
    assert expected(owner) <= set(asked)


@pytest.mark.parametrize("owner", OWNERS)
def test_no_answer_differs(owner):
    assert differences(owner, Asked([{"Statement": POLICIES[owner]}])) == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_at_least_a_hundred_calls_are_forbidden(function, show_figure):
    allowed = len(expected(function))
    forbidden = len(asked_of(function)) - allowed
    show_figure(f"rights of {function}: {forbidden} forbidden questions denied, {allowed} allowed")
    assert forbidden >= 100


def test_a_policy_that_says_less_or_more_is_noticed(show_figure):
    made = list(mutants(POLICIES))
    survivors = [f"{mutant.owner}: {mutant.change}" for mutant in made if mutant.survives()]
    show_figure(f"policy mutations: {len(made) - len(survivors)} of {len(made)} noticed")
    assert len(made) > 200
    assert survivors == []


def test_a_mutant_that_changes_nothing_survives():
    [owner, *_] = POLICIES
    assert Mutant(owner, "nothing", POLICIES[owner]).survives()
