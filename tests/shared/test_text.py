"""What people type is taken as it is meant, or refused."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadUserInput
from shared.text import email_address, one_line


@settings(deadline=None)
@given(st.text())
def test_a_line_that_is_taken_can_be_stored_and_shown(value: str) -> None:
    try:
        text = one_line(value, field="name", most=50)
    except BadUserInput:
        return
    assert 1 <= len(text) <= 50
    assert text == text.strip()
    assert text == unicodedata.normalize("NFC", text)
    assert not {"\x00", "\n", "\u202e", "\u2028"} & set(text)
    text.encode()


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_letters_and_digits_of_all_scripts_are_taken(value: str) -> None:
    assert one_line(value, field="name", most=100) == unicodedata.normalize("NFC", value)


def test_marks_beyond_number_are_refused_unread() -> None:
    # To put them in order would take longer than anyone waits.
    for refused in ("a" + "\u0300\u0316" * 500_000, "a\u0300" * 500_000):
        with pytest.raises(BadUserInput):
            one_line(refused, field="name", most=100)


def test_an_address_is_in_lower_case() -> None:
    assert email_address(" Ada@Example.ORG ") == "ada@example.org"


@pytest.mark.parametrize(
    "value", ["", "ada", "ada@", "@x.org", "a b@x.org", "a@x", "a@@x.org", "a@x..org", "a\n@x.org"]
)
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(BadUserInput):
        email_address(value)
