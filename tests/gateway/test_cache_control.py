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
        policy.add({"cache-control": header} if header is not None else {})
    assert policy.merged() == merged


@pytest.mark.parametrize(
    ("max_age", "age", "left"),
    [
        (60, "20", "max-age=40"),
        (60, "60", "no-store"),
        (60, "99999999999", "no-store"),
        (60, "20, 50", "max-age=40"),
        (60, "soon", "max-age=60"),
        (60, "-5", "max-age=60"),
        (60, "", "max-age=60"),
    ],
)
def test_time_that_an_answer_was_kept_elsewhere_is_gone(max_age: int, age: str, left: str) -> None:
    policy = CachePolicy()
    policy.add({"cache-control": "max-age=50"})
    policy.add({"cache-control": f"max-age={max_age}", "age": age})
    assert policy.merged() == left.replace("max-age=60", "max-age=50")


@pytest.mark.parametrize(
    ("vary", "merged"),
    [
        ("*", "no-store"),
        ("Accept, *", "no-store"),
        ("X-Request-Id", "no-store"),
        ("Traceparent", "no-store"),
        ("Origin, Accept-Encoding", "max-age=60"),
        ("", "max-age=60"),
    ],
)
def test_what_differs_from_request_to_request_is_not_kept(vary: str, merged: str) -> None:
    policy = CachePolicy()
    policy.add({"cache-control": "max-age=60", "vary": vary})
    policy.add({"cache-control": "max-age=60"})
    assert policy.merged() == merged


def test_what_was_made_for_somebody_known_is_private() -> None:
    policy = CachePolicy()
    policy.add({"cache-control": "public, max-age=60"})
    assert policy.merged(private=True) == "private, max-age=60"
