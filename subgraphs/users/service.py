"""What can be done with accounts; each function runs inside its caller's transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from sqlalchemy.exc import IntegrityError

from shared.access import require_user
from shared.errors import BadUserInput, Conflict, NotFound, Unauthenticated
from shared.events import publish
from subgraphs.users import repository
from subgraphs.users.events import UserChanged, UserSignedUp
from subgraphs.users.models import User

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.db import ReadSession, WriteSession
    from subgraphs.users.passwords import Passwords

__all__ = [
    "EmailTaken",
    "NewUser",
    "StaleVersion",
    "WrongCredentials",
    "authenticate",
    "check_email",
    "check_password",
    "sign_up",
    "update_profile",
    "visible",
]

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")


class EmailTaken(Conflict):
    """Another account has this address."""

    message = "An account with this e-mail address exists already."


class StaleVersion(Conflict):
    """The profile or the settings were changed since they were read."""


class WrongCredentials(Unauthenticated):
    """The address or the password is wrong; which of them is not said."""

    message = "The e-mail address or the password is wrong."


@dataclass(frozen=True, slots=True)
class NewUser:
    """What signing up takes, checked; the password is hashed already."""

    email: str
    name: str
    password_hash: str
    locale: str = "en"
    time_zone: str = "UTC"


def check_email(value: str) -> str:
    """The address in lower case; raises `BadUserInput`."""
    email = value.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise BadUserInput("This is not an e-mail address.", field="email")
    return email


def check_password(value: str, *, field: str = "password") -> str:
    """The password, if it is acceptable; raises `BadUserInput`."""
    if not 10 <= len(value) <= 200:
        raise BadUserInput("A password has 10 to 200 characters.", field=field)
    return value


def check_name(value: str) -> str:
    """The name without surrounding space; raises `BadUserInput`."""
    name = value.strip()
    if not 1 <= len(name) <= 100:
        raise BadUserInput("A name has 1 to 100 characters.", field="name")
    return name


def check_locale(value: str) -> str:
    """A BCP 47 tag of language, script and region; raises `BadUserInput`."""
    if not _LOCALE.fullmatch(value):
        raise BadUserInput("This is not a locale such as en or pt-BR.", field="locale")
    return value


def check_time_zone(value: str) -> str:
    """An IANA time zone; raises `BadUserInput`."""
    if value not in available_timezones():
        raise BadUserInput("This is not a time zone such as Europe/Lisbon.", field="timeZone")
    return value


async def sign_up(session: WriteSession, new: NewUser) -> User:
    """The new account; raises `EmailTaken`."""
    user = User(
        email=new.email,
        name=new.name,
        password_hash=new.password_hash,
        locale=new.locale,
        time_zone=new.time_zone,
    )
    try:
        async with session.begin_nested():
            await repository.add_user(session, user)
    except IntegrityError as error:
        raise EmailTaken from error
    await publish(session, UserSignedUp(user_id=str(user.id)))
    return user


async def authenticate(
    session: ReadSession, passwords: Passwords, *, email: str, password: str
) -> User:
    """The account with these credentials; raises `WrongCredentials`."""
    user = await repository.user_by_email(session, email.strip().lower())
    if not await passwords.matches(password, user.password_hash if user else None) or user is None:
        raise WrongCredentials
    return user


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """New values, checked; None leaves what is."""

    name: str | None = None
    avatar_url: str | None = None
    locale: str | None = None
    time_zone: str | None = None


async def update_profile(
    session: WriteSession, identity: Identity, change: ProfileChange, *, version: int
) -> User:
    """The caller's changed account; raises `StaleVersion`."""
    user = await repository.lock_user(session, require_user(identity))
    if user is None:
        raise NotFound
    if user.version != version:
        raise StaleVersion
    user.name = change.name or user.name
    user.avatar_url = change.avatar_url or user.avatar_url
    user.locale = change.locale or user.locale
    user.time_zone = change.time_zone or user.time_zone
    user.version += 1
    await session.flush()
    await publish(session, UserChanged(user_id=str(user.id)))
    return user


async def visible(session: ReadSession, identity: Identity, ids: set[str]) -> dict[str, User]:
    """Of these users, the ones the caller may know: themselves and their colleagues."""
    me = require_user(identity)
    others = ids - {me}
    known = ids & {me}
    if others and identity.memberships:
        mine = set(identity.memberships)
        orgs = await repository.organizations_of(session, others)
        known |= {each for each in others if orgs.get(each, set()) & mine}
    return await repository.users_by_id(session, known) if known else {}
