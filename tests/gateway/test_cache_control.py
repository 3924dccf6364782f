"""How the headers of several subgraphs become one."""

from __future__ import annotations

import pytest

from gateway.cache_control import CachePolicy


@pytest.mark.parametrize(
    ("headers", "merged"),
    [
        ([], "no-store"),
        (["max-age=60"], "max-age=60"),
        (["max-age=60", "public, max-age=5"], "max-age=5"),
        (["public, max-age=60", "public, max-age=5"], "public, max-age=5"),
        (["max-age=60", "private, max-age=90"], "private, max-age=60"),
        (["max-age=60", None], "no-store"),
        (["max-age=60", "no-cache, max-age=9"], "no-store"),
        (["max-age=60, no-store"], "no-store"),
        (["max-age=0"], "no-store"),
        (["max-age=soon"], "no-store"),
        (["max-age=60, s-maxage=9"], "max-age=9"),
        (["s-maxage=60, max-age=9, max-age=5"], "max-age=5"),
        (["max-age=60, s-maxage="], "no-store"),
        (['max-age=60, no-cache="set-cookie"'], "no-store"),
        (['max-age=60, private="set-cookie"'], "private, max-age=60"),
    ],
)
def test_the_strictest_wins(headers: list[str | None], merged: str) -> None:
    policy = CachePolicy()
    for header in headers:
        policy.add(header)
    assert policy.merged() == merged


def test_what_was_made_for_somebody_known_is_private() -> None:
    policy = CachePolicy()
    policy.add("public, max-age=60")
    assert policy.merged(private=True) == "private, max-age=60"
