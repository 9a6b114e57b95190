"""The generated parts of the docs: written anew they are what they are, and a stale one is found."""

from __future__ import annotations

import copy
import inspect
import json
import re
import subprocess
import sys
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lifeboat.ami import request as ami_request
from lifeboat.backup import request as backup_request
from lifeboat.by_hand import request as by_hand_request
from lifeboat.copies import request as copies_request
from lifeboat.domain import packed_tags, recovery_point_tags
from lifeboat.domain.bad_request import Fields, fields_of
from lifeboat.domain.tags import Tag
from lifeboat.evidence import request as evidence_request
from lifeboat.restore import request as restore_request
from lifeboat.retention import request as retention_request
from lifeboat.status import request as status_request
from lifeboat.verify import drill_request
from lifeboat.verify import request as verify_request
from tests.template.pages import PROSE
from tools import docs_events, docs_template, generate_docs
from tools.docs_template import TEMPLATE, function_statements, parameters, read_template, resource_statements, rights
from tools.generate_docs import PAGES, main, stale_pages
from tools.marked_page import ROOT, MarkedPage, table


def template() -> dict[str, Any]:
    return read_template(TEMPLATE.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_a_page_is_up_to_date(page):
    assert page.path not in stale_pages([page]), "make docs writes it anew"


def test_every_page_with_markers_is_generated():
    marked = {path for path in (ROOT / "docs").rglob("*.md") if "written by `make docs`" in path.read_text()}
    assert marked == {page.path for page in PAGES}


LIBRARY = ROOT / "layers" / "lifeboat" / "python" / "lifeboat"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page, repeated headings left out."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_to_a_heading_in_it(path):
    text = path.read_text()
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text) + re.findall(r'<img[^>]* src="([^"]+)"()', text)
    for target, anchor in links:
        if not target.startswith("http"):
            page = path.parent / target if target else path
            assert page.exists(), target
            assert not anchor or anchor in anchors(page), f"{target}#{anchor}"
    for event in re.findall(r"events/[\w/-]+\.json", text):
        assert (ROOT / event).is_file(), event


def first_cells(page: str) -> set[str]:
    """The names in code in the first column of a page's tables."""
    cells = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_guides_tables_name_messages_and_parameters_that_exist():
    guides = ROOT / "docs" / "guide"
    assert first_cells((guides / "operate.md").read_text()) - {"warning"} <= set(docs_events.SEVERITIES)
    assert first_cells((guides / "deploy.md").read_text()) <= set(template()["Parameters"])
    functions = re.findall(r"^\| `[a-z_]+` \|.* \| (.*) \|$", (ROOT / "docs/design/architecture.md").read_text(), re.M)
    published = {name for cell in functions for name in re.findall(r"`(\w+)`", cell)}
    assert published == set(docs_events.SEVERITIES)


def test_every_tag_has_a_row():
    written = (recovery_point_tags.VOLUME_TAG, recovery_point_tags.LINEAGE_TAG, recovery_point_tags.KMS_KEY_TAG)
    known = {tag.value for tag in Tag} | {"Name", *written, packed_tags.READABLE, packed_tags.PACKED}
    named = first_cells((ROOT / "docs" / "reference" / "tags.md").read_text())
    assert {re.sub(r"/<.*", "/", name) for name in named} == known


def fields_in(module: ModuleType) -> set[str]:
    """The fields of every form that a request of the module takes."""
    forms = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Fields)]
    return {name for form in forms if is_dataclass(form) for name in fields_of(form)}


@pytest.mark.parametrize(
    ("heading", "modules"),
    [
        ("Back up", [backup_request]),
        ("Retention", [retention_request]),
        ("Copies", [copies_request]),
        ("Restore", [restore_request]),
        ("AMI owner", [ami_request]),
        ("Verification", [verify_request]),
        ("Restore drills", [drill_request]),
        ("Evidence", [evidence_request]),
        ("Status", [status_request]),
    ],
)
def test_every_field_of_a_request_has_a_row(heading, modules):
    page = (ROOT / "docs" / "reference" / "requests.md").read_text()
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    shared = ("Ask for the outcome", "Reconcile", "What Lifeboat sends to itself")
    elsewhere = first_cells("".join(sections[name] for name in shared))
    known = set().union(*map(fields_in, modules))
    named = first_cells(sections[heading])
    assert known <= named | elsewhere
    assert named <= known, "a row for a field that no request has"
    assert elsewhere <= set().union(*map(fields_in, (backup_request, copies_request, by_hand_request)))


def test_the_guide_names_no_finding_that_does_not_exist():
    """That it names every one is checked with the restore machine."""
    code = "".join(path.read_text() for path in (LIBRARY / "restore" / "preflight").glob("*.py"))
    text = (ROOT / "docs" / "guide" / "restore.md").read_text()
    [rows] = re.findall(r"^\| about \| findings \|\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    named = {name for cell in rows.split("|")[2::3] for name in re.findall(r"`([a-z-]+)`", cell)}
    assert named
    assert {name for name in named if f'"{name}"' not in code and not name.startswith("ami-")} == set()


def test_a_page_that_the_code_names_exists():
    sources = [TEMPLATE, *LIBRARY.rglob("*.py"), *(ROOT / "tools").glob("*.py"), *(ROOT / "local").rglob("*.py")]
    named = {page for path in sources for page in re.findall(r"docs/[\w/-]+\.md", path.read_text())}
    assert {page for page in named if not (ROOT / page).is_file()} == set()


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_command_names_exists(path):
    text = path.read_text()
    for name in re.findall(r"\$\(output (\w+)\)", text):
        assert name in template()["Outputs"], name
    for function in re.findall(r"sam remote invoke (\w+Function)", text):
        assert template()["Resources"][function]["Type"] == docs_template.FUNCTION
    for name in re.findall(r"python -m bench (\w+)", text):
        assert (ROOT / "bench" / f"{name}.py").is_file(), name


def test_the_readme_names_what_there_is():
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)\b", text.replace("make and", "")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


class TestStalePage:
    @pytest.fixture
    def page(self, tmp_path):
        page = MarkedPage(tmp_path / "page.md", "<!-- begin -->", "<!-- end -->", lambda: "new\n")
        page.path.write_text("before\n<!-- begin -->\nold\n<!-- end -->\nafter\n")
        return page

    def test_is_named_and_fails_the_check(self, page, capsys):
        assert main(["--check"], [page]) == 1
        assert "page.md is stale" in capsys.readouterr().err
        assert "old" in page.path.read_text(), "a check changes nothing"

    def test_is_written_anew_between_its_markers_only(self, page, capsys):
        assert main([], [page]) == 0
        assert page.path.read_text() == "before\n<!-- begin -->\nnew\n<!-- end -->\nafter\n"
        assert "page.md written" in capsys.readouterr().out
        assert main(["--check"], [page]) == 0

    @pytest.mark.parametrize("text", ["", "<!-- begin -->", "<!-- begin --><!-- begin --><!-- end -->"])
    def test_without_its_markers_it_is_refused(self, page, text):
        page.path.write_text(text)
        with pytest.raises(ValueError, match="once each"):
            main([], [page])
        assert page.path.read_text() == text


def test_the_command_works_from_anywhere(tmp_path):
    command = [sys.executable, generate_docs.__file__, "--check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_table_escapes_what_would_split_a_cell():
    assert table("a|b", [["1|2", "3"]]) == "| a | b |\n|---|---|\n| 1\\|2 | 3 |"


class TestParameters:
    def test_every_parameter_and_output_has_a_row(self):
        page = parameters(template())
        for name in (*template()["Parameters"], *template()["Outputs"]):
            assert page.count(f"\n| `{name}` |") == 1, name

    @pytest.mark.parametrize(
        ("facts", "said"),
        [
            ({"Type": "String", "Default": "a", "AllowedValues": ["a", "b"]}, "| `a` | `a`, `b` |"),
            ({"Type": "Number", "Default": 1, "MinValue": 0}, "| `1` | 0 to any |"),
            ({"Type": "Number", "Default": 1, "MinValue": 0, "MaxValue": 9}, "| `1` | 0 to 9 |"),
            ({"Type": "String", "Default": "", "ConstraintDescription": "a word"}, "| nothing | a word |"),
            ({"Type": "String", "Default": "x"}, "| `x` | a text |"),
            ({"Type": "CommaDelimitedList", "Default": ""}, "| nothing | a list, with commas |"),
        ],
    )
    def test_what_is_allowed(self, facts, said):
        interface = {"ParameterGroups": [{"Label": {"default": "All"}, "Parameters": ["P"]}]}
        page = parameters(
            {
                "Metadata": {"AWS::CloudFormation::Interface": interface},
                "Parameters": {"P": {**facts, "Description": "d"}},
                "Outputs": {},
            }
        )
        assert f"| `P` {said} d |" in page


class TestRights:
    def test_every_statement_of_the_template_is_there(self):
        found = [*function_statements(template()), *resource_statements(template())]
        in_text = re.findall(r'"?Sid"?: "?(\w+)', TEMPLATE.read_text())
        assert {statement["Sid"] for _, statement in found} == set(in_text)
        assert len(found) >= len(in_text), "a managed policy is listed for each function it is attached to"
        assert rights(template()).count("\n| `") == len(found)

    def test_a_managed_policy_is_a_right_of_each_function_it_is_attached_to(self):
        creating = {
            function
            for function, statement in function_statements(template())
            if "ec2:CreateVolume" in statement["Action"]
        }
        assert creating == {"RestoreVolume", "AttachVolume", "DrillRestores"}

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            (
                {"Resource": {"Fn::GetAtt": "StateTable.Arn"}, "Condition": {"Null": {"aws:TagKeys": "true"}}},
                "| `a:B` | `StateTable` | `aws:TagKeys` is absent |",
            ),
            (
                {
                    "Resource": {"Ref": "NotificationTopic"},
                    "Condition": {"Null": {"k": "false"}, "Bool": {"b": "true"}},
                },
                "| `NotificationTopic` | `k` is present; `b` is `true` |",
            ),
            (
                {"Resource": {"Fn::Sub": "arn:${AWS::Partition}:kms:${AWS::Region}:*:key/*"}, "Effect": "Deny"},
                "| **never** `a:B` | `kms key/* of any account` | - |",
            ),
            (
                {"Resource": "*", "Condition": {"StringEquals": {"k": ["x", {"Ref": "AWS::StackName"}]}}},
                "| `*` | `k` is `x` or `<StackName>` |",
            ),
            ({"Resource": ["*"], "Condition": {"NumericLessThan": {"k": 5}}}, "| `*` | `k` NumericLessThan `5` |"),
        ],
    )
    def test_a_row_says_it_in_words(self, statement, said):
        known = {"Effect": "Allow", "Action": "a:B", **statement}
        function = {"Type": docs_template.FUNCTION, "Properties": {"Policies": [{"Statement": [known]}]}}
        assert said in rights({"Resources": {"AFunction": function}})

    def test_a_resource_is_named_after_the_stack(self):
        row = "| `TakeSnapshots` | `lambda:InvokeFunction` | `lambda function:<StackName>-take-snapshots` | - |"
        assert row in rights(template())

    def test_what_depends_on_a_condition_of_the_stack_says_so(self):
        def allowed(action):
            return {"Sid": action, "Effect": "Allow", "Action": action, "Resource": "*"}

        nothing = {"Ref": "AWS::NoValue"}
        statements = [allowed("a:A"), {"Fn::If": ["HasB", allowed("b:B"), nothing]}]
        otherwise = {"Statement": [{**allowed("c:C"), "Resource": {"Fn::If": ["HasD", "here", "there"]}}]}
        policies = [{"Statement": statements}, {"Fn::If": ["HasC", nothing, otherwise]}]
        found = rights(
            {"Resources": {"AFunction": {"Type": docs_template.FUNCTION, "Properties": {"Policies": policies}}}}
        )
        assert "| `A` | `a:A` | `*` | - |" in found
        assert "| `A` | `b:B` | `*` | the stack's condition `HasB` |" in found
        assert "| `A` | `c:C` | `here`, `there` | the stack's condition `not HasC` |" in found
        assert "NoValue" not in found

    @pytest.mark.parametrize(
        ("name", "resource"),
        [
            ("Extra", {"Type": "AWS::IAM::Role", "Properties": {}}),
            ("Extra", {"Type": "AWS::IAM::Policy", "Properties": {}}),
            ("Extra", {"Type": "AWS::IAM::RolePolicy", "Properties": {}}),
            ("Extra", {"Type": docs_template.MANAGED_POLICY, "Properties": {"Roles": ["r"], "PolicyDocument": {}}}),
            ("Extra", {"Type": "AWS::Lambda::Permission", "Properties": {}}),
            ("Extra", {"Type": "AWS::EC2::VPCEndpointPolicy", "Properties": {}}),
            ("Extra", {"Type": docs_template.FUNCTION, "Properties": {"Policies": [], "Role": "arn"}}),
            ("Extra", {"Type": docs_template.FUNCTION, "Properties": {"Policies": ["AmazonEC2FullAccess"]}}),
        ],
    )
    def test_a_right_that_comes_another_way_is_not_passed_over(self, name, resource):
        changed = copy.deepcopy(template())
        changed["Resources"][name] = resource
        with pytest.raises(ValueError, match=r"Extra|AmazonEC2FullAccess"):
            rights(changed)


class TestEvents:
    def test_an_event_without_a_builder_is_found(self, monkeypatch):
        monkeypatch.setitem(docs_events.SEVERITIES, "SomethingNew", "info")
        with pytest.raises(ValueError, match="SomethingNew"):
            docs_events.occasions()

    def test_an_event_with_two_builders_is_found(self, monkeypatch):
        twice = dict(docs_events.builders())
        twice["again"] = twice["backup_started"]
        monkeypatch.setattr(docs_events, "builders", lambda: twice)
        with pytest.raises(ValueError, match="two builders"):
            docs_events.occasions()

    def test_every_fact_of_a_message_is_explained(self):
        page = docs_events.PAGE.path.read_text().split(docs_events.PAGE.begin)[0]
        for path in docs_events.GOLDEN.glob("*.json"):
            for name in json.loads(path.read_text())["details"]:
                assert f"`{name}`" in page, name

    def test_the_page_is_more_than_its_markers(self):
        page = docs_events.PAGE
        assert page.written(page.path.read_text()) == page.path.read_text()
        assert replace(page, render=lambda: "").written(page.path.read_text()) != page.path.read_text()
