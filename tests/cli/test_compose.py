"""Composition: errors that say where and how, and generated files that must not be stale."""

from __future__ import annotations

from pathlib import Path

import pytest
from click import ClickException

from cli import compose

LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",'
    ' import: ["@key", "@shareable", "@external", "@requires"])\n'
)


def written(folder: Path, **schemas: str) -> Path:
    """A file in Rover's format for these subgraphs, which are not ours."""
    lines = ["federation_version: =2.9.0", "subgraphs:"]
    for name, sdl in schemas.items():
        (folder / f"{name}.graphql").write_text(LINK + sdl)
        lines += [f"  {name}:", f"    routing_url: http://{name}.example/graphql"]
        lines += ["    schema:", f"      file: ./{name}.graphql"]
    configuration = folder / "supergraph.yaml"
    configuration.write_text("\n".join(lines))
    return configuration


def refusal(folder: Path, **schemas: str) -> str:
    with pytest.raises(ClickException) as refused:
        compose.compose(written(folder, **schemas), folder / "out.graphql")
    return refused.value.message


def test_our_generated_files_are_up_to_date() -> None:
    root = Path(__file__).resolve().parents[2]
    stale = compose.compose(root / "supergraph.yaml", root / "supergraph.graphql")
    assert [file.path for file in stale] == []


def test_a_changed_subgraph_makes_the_supergraph_stale(tmp_path: Path) -> None:
    before = 'type Query { a: A } type A @key(fields: "id") { id: ID! }'
    configuration = written(tmp_path, left=before)
    output = tmp_path / "out.graphql"
    (first,) = compose.compose(configuration, output)
    assert first.path == output
    output.write_text(first.text)
    assert compose.compose(configuration, output) == []
    written(tmp_path, left=before.replace("ID!", "ID! b: Int"))
    assert [file.path for file in compose.compose(configuration, output)] == [output]


def test_a_composition_error_names_subgraph_file_and_line_and_the_remedy(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        left='type Query { a: A }\ntype A @key(fields: "id") {\n  id: ID!\n  size: Int\n}',
        right='type A @key(fields: "id") {\n  id: ID!\n  size: Int\n}',
    )
    assert "INVALID_FIELD_SHARING" in message
    assert f"subgraph left: {tmp_path}/left.graphql:5" in message
    assert f"subgraph right: {tmp_path}/right.graphql:4" in message
    assert "to mend it: give the field @shareable" in message


def test_a_query_that_no_path_answers_points_at_the_type_without_a_key(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        left="type Query { a: A }\ntype A { id: ID! @shareable, left: Int }",
        right="type Query { b: A }\ntype A { id: ID! @shareable, right: Int }",
    )
    assert "SATISFIABILITY_ERROR" in message
    assert f"subgraph right: {tmp_path}/right.graphql:3" in message
    assert "@key" in message


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, left="type Query {\n  a: }")
    assert (
        message
        == f"subgraph left: {tmp_path}/left.graphql:3: Syntax Error: Expected Name, found '}}'."
    )


@pytest.mark.parametrize(
    "text",
    ["subgraphs: []", "subgraphs: {left: 1}", "subgraphs: {left: {schema: 1}}", "a: [", "[]"],
)
def test_a_file_in_another_format_is_refused_in_one_error(tmp_path: Path, text: str) -> None:
    configuration = tmp_path / "supergraph.yaml"
    configuration.write_text(text)
    with pytest.raises(ClickException) as refused:
        compose.compose(configuration, tmp_path / "out.graphql")
    assert refused.value.message.startswith(str(configuration))
