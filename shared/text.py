"""Text that people type: names, titles, file names."""

from __future__ import annotations

import re
import unicodedata

from shared.errors import BadUserInput

__all__ = ["email_address", "one_line"]

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")

# Control, format (such as the marks that reverse a line), surrogate, private, line, paragraph.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Marks that words of some scripts and emoji are spelt with.
_JOINERS = frozenset("\u200c\u200d")

_WIDEST = 4
"""As many characters become one in NFC, at the most that people type."""


def one_line(value: str, *, field: str, most: int, least: int = 1) -> str:
    """The text in NFC without surrounding space; raises `BadUserInput`.

    Characters that are not seen or that change how others are seen are refused,
    and so is what PostgreSQL cannot store.
    """
    text = value.strip()
    # Putting marks in order takes the square of their number: a request's worth would take hours.
    if len(text) <= _WIDEST * most:
        text = unicodedata.normalize("NFC", text).strip()
    if not least <= len(text) <= most:
        raise BadUserInput(f"This takes {least} to {most} characters.", field=field)
    if any(unicodedata.category(each) in _REFUSED and each not in _JOINERS for each in text):
        raise BadUserInput("This contains characters that cannot be shown.", field=field)
    return text


def email_address(value: str, *, field: str = "email") -> str:
    """The address in lower case; raises `BadUserInput`."""
    email = one_line(value, field=field, most=254).lower()
    if not _EMAIL.fullmatch(email):
        raise BadUserInput("This is not an e-mail address.", field=field)
    return email
