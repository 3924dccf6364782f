"""Every plan of the corpora is what it was, and its documents are valid where they are sent."""

from __future__ import annotations

import pytest
from graphql import parse, validate

from gateway.federation.operation.prepare import InvalidRequest
from gateway.federation.planner import PlanningError
from tests.federation.planner.corpus import (
    corpora,
    planned,
    plans_file,
    questions,
    schema_of,
    supergraph,
    written,
)

NAMES = [name for name in corpora() if plans_file(name).exists()]


@pytest.mark.parametrize("name", NAMES)
def test_the_plans_are_those_written_down(name: str) -> None:
    assert written(name) == plans_file(name).read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_documents_are_valid_where_they_are_sent(name: str) -> None:
    for question in questions(name):
        try:
            fetches = planned(supergraph(name), question).fetches
        except (InvalidRequest, PlanningError):
            continue
        for fetch in fetches:
            errors = validate(schema_of(name, fetch.subgraph), parse(fetch.document))
            assert not errors, f"{question.source}: {errors[0].message}: {fetch.document}"
