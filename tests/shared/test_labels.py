"""Which names become labels: those that are used, not those that were first."""

from __future__ import annotations

from shared.labels import OTHER, Labels


def test_names_get_a_label_while_there_is_room() -> None:
    labels = Labels(2, lambda _: None)
    assert [labels.of(name) for name in ("a", "b", "c", "a")] == ["a", "b", OTHER, "a"]


def test_names_that_strangers_invent_do_not_keep_out_those_that_are_used() -> None:
    forgotten: list[str] = []
    labels = Labels(3, forgotten.append)
    for number in range(5_000):
        labels.of(f"invented{number}")
    used = [labels.of("Dashboard") for _ in range(20)]
    assert used[-1] == "Dashboard"
    assert len(forgotten) == 1
    # More inventions do not take it away again.
    for number in range(5_000):
        labels.of(f"more{number}")
    assert labels.of("Dashboard") == "Dashboard"


def test_a_name_in_use_is_not_displaced_by_one_that_is_used_as_often() -> None:
    labels = Labels(1, lambda _: None)
    for _ in range(50):
        assert (labels.of("a"), labels.of("b")) == ("a", OTHER)


def test_a_name_that_is_used_no_more_makes_room() -> None:
    forgotten: list[str] = []
    labels = Labels(1, forgotten.append)
    for _ in range(100):
        labels.of("old")
    for number in range(9_000):
        labels.of(f"invented{number}")
    for _ in range(10):
        labels.of("new")
    assert forgotten == ["old"]


def test_what_is_remembered_is_bounded() -> None:
    labels = Labels(5, lambda _: None)
    for number in range(100_000):
        labels.of(str(number % 3_000))
    assert len(labels._counts) <= 1_000
