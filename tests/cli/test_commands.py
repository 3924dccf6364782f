"""The commands as they are typed: their help, their output, their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.environment import ROOT
from cli.main import main

DASHBOARD = str(ROOT / "gateway" / "ide" / "examples" / "dashboard.graphql")


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, prog_name="nexus")


@pytest.mark.parametrize("command", sorted(set(main.commands) - {"bench"}))
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: nexus {command}")


def test_the_version_is_the_projects() -> None:
    assert f'version = "{run("--version").output.strip()}"' in (ROOT / "pyproject.toml").read_text()


def test_an_unknown_command_or_option_is_a_usage_error() -> None:
    assert run("deploy").exit_code == 2
    assert run("serve", "accounts").exit_code == 2
    assert run("plan", "{ me { id } }", "--variables", "{").exit_code == 2
    assert run("plan", "{ me { id } }", "--variables", "[1]").exit_code == 2


def test_plan_prints_one_fetch_for_each_subgraph_and_position() -> None:
    result = run("plan", DASHBOARD)
    assert result.exit_code == 0
    assert result.output.startswith("QueryPlan {")
    assert result.output.count("Fetch(service:") == 4


def test_plan_says_what_the_operation_may_cost() -> None:
    query = """query($n: Int! = 20) {
      me { id memberships(first: $n) { edges { node { organization { plan { name } } } } } }
    }"""
    assert run("plan", "{ me { id } }").output.endswith("# Costs at most 1.\n")
    costs = run("plan", query, "--variables", '{"n": 3}').output.splitlines()[-1]
    assert costs == "# Costs at most 18: billing 6, orgs 11, users 1."


def test_plan_reads_standard_input_and_writes_json() -> None:
    result = run("plan", "--json", "-", stdin="{ plans { name } }")
    assert json.loads(result.output)["node"]["serviceName"] == "billing"


def test_plan_needs_the_values_of_conditions() -> None:
    query = "query($brief: Boolean!) { plans { name monthlyPrice @skip(if: $brief) { amount } } }"
    refused = run("plan", query)
    assert refused.exit_code == 1
    assert "$brief decides" in refused.output
    brief = run("plan", query, "--variables", '{"brief": true}')
    assert brief.exit_code == 0
    assert "monthlyPrice" not in brief.output
    by_default = run("plan", query.replace("Boolean!", "Boolean! = true"))
    assert by_default.output == brief.output


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("{ nothing }", "Cannot query field 'nothing'"),
        ("{ me {", "Syntax Error"),
        ("missing.graphql", "missing.graphql: No such file or directory"),
        ("", "Syntax Error"),
        (".", "Is a directory"),
        ("{ me { id }\n nothing }", "2:2"),
    ],
)
def test_plan_refuses_what_it_cannot_plan_in_one_error(query: str, reason: str) -> None:
    result = run("plan", query)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert reason in result.output


def test_plan_says_which_labels_are_off(tmp_path: Path) -> None:
    moving = (
        '@join__field(graph: AUTHORS, override: "books", overrideLabel: "moving")'
        ' @join__field(graph: BOOKS, usedOverridden: true, overrideLabel: "moving")'
    )
    bookshop = (ROOT / "tests" / "gateway" / "bookshop.graphql").read_text()
    path = tmp_path / "labelled.graphql"
    path.write_text(
        bookshop.replace("whoami: String @join__field(graph: AUTHORS)", f"whoami: String {moving}")
    )
    command = ("plan", "{ whoami }", "--supergraph", str(path))
    off = run(*command).output
    assert 'service: "books"' in off
    assert off.endswith("# Labels of @override that are off: moving.\n")
    on = run(*command, "--label", "moving").output
    assert 'service: "authors"' in on
    assert "Labels" not in on
    refused = run(*command, "--label", "moved")
    assert refused.exit_code == 1
    assert "no label moved; the supergraph has moving" in refused.output


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.graphql"
    path.write_bytes(b"type Query {\n  caf\xe9: Int\n}")
    for arguments in (("{ me { id } }", "--supergraph", str(path)), (str(path),)):
        refused = run("plan", *arguments)
        assert refused.exit_code == 1
        assert refused.output.startswith("Error: ")
        assert str(path) in refused.output
        assert "not UTF-8 text" in refused.output


def gateway(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: what serves changes the logs, traces and signals of its process."""
    command = [sys.executable, "-m", "cli", "gateway", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_gateway_needs_a_supergraph_that_can_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "broken.graphql"
    broken.write_text("type Query { a: Int }")
    for path in (tmp_path / "none.graphql", broken):
        done = gateway("--supergraph", str(path), "--port=0")
        assert done.returncode == 1
        assert f"Error: {path}: " in done.stderr


def test_gateway_tells_its_settings_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.yaml"
    settings.write_text("server: {batch_limit: 3}\nexplain: {secret: 'file:signs'}\n")
    (tmp_path / "signs").write_text("it signs")
    shown = run("gateway", "--config", str(settings), "--check")
    assert shown.exit_code == 0
    assert "batch_limit: 3" in shown.output
    assert "it signs" not in shown.output
    assert json.loads(run("gateway", "--schema").output)["title"] == "Configuration"
    settings.write_text("server: {batch_limit: -1}\nlimit: {}\n")
    for arguments in (["--check"], ["--supergraph", "supergraph.graphql", "--port", "0"]):
        wrong = run("gateway", "--config", str(settings), *arguments)
        assert wrong.exit_code == 1
        assert "server.batch_limit: Input should be greater" in wrong.output
        assert "limit: unknown" in wrong.output
    assert run("gateway").exit_code == 2


WRONG = """
subgraphs: {bokks: {url: "http://books"}}
cost: {subgraphs: {autors: 5}}
documents: {trusted: {mode: log, manifests: [none.json]}}
authorization: {policies: {function: "nowhere:decide"}}
authentication: {issuers: [{keys: {file: keys.json}}]}
"""


def test_all_that_is_wrong_with_settings_and_a_supergraph_is_told_at_once(tmp_path: Path) -> None:
    supergraph, settings = tmp_path / "supergraph.graphql", tmp_path / "gateway.yaml"
    text = (ROOT / "supergraph.graphql").read_text()
    supergraph.write_text(text.replace("http://127.0.0.1:4003/graphql", "4003"))
    settings.write_text(WRONG)
    (tmp_path / "keys.json").write_text("{}")
    arguments = ("--supergraph", str(supergraph), "--config", str(settings))
    for more in ("--port=0", "--check"):
        done = gateway(*arguments, more)
        assert done.returncode == 1
        for mistake in (
            "the address of billing: not an http(s) address",
            "subgraphs.bokks: the supergraph has no such subgraph",
            "cost.subgraphs.autors: the supergraph has no such subgraph",
            "cannot read the trusted documents",
            "authorization.policies.function: nowhere:decide",
            "authentication.issuers: ",
        ):
            assert mistake in done.stderr
    settings.write_text("subgraphs: {billing: {url: 'http://billing'}}")
    done = gateway(*arguments, "--check")
    assert (done.returncode, done.stdout[:7]) == (0, "server:")


def test_wrong_settings_are_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_HTTP__PORT", "many")
    monkeypatch.setenv("NEXUS_TYPO", "1")
    result = run("serve")
    assert result.exit_code == 1
    assert "NEXUS_HTTP__PORT" in result.output
    assert "NEXUS_TYPO: no such setting" in result.output
