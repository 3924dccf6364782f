"""What can be done with accounts; each function runs inside its caller's transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from shared.access import require_user
from shared.errors import BadUserInput, Conflict, NotFound, Unauthenticated
from shared.events import publish
from shared.text import email_address, one_line
from shared.worker import enqueue
from subgraphs.users import repository
from subgraphs.users.events import PasswordChanged, UserChanged, UserSignedUp

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.db import ReadSession, WriteSession
    from shared.sealing import Sealer
    from subgraphs.users.models import User, UserSettings
    from subgraphs.users.passwords import Passwords

__all__ = [
    "END_SESSIONS_JOB",
    "EmailTaken",
    "NewUser",
    "ProfileChange",
    "SettingsChange",
    "StaleVersion",
    "WrongCredentials",
    "WrongPassword",
    "authenticate",
    "by_email",
    "change_password",
    "check_avatar_url",
    "check_email",
    "check_locale",
    "check_name",
    "check_time_zone",
    "sign_up",
    "update_profile",
    "update_settings",
    "visible",
]

T = TypeVar("T")

END_SESSIONS_JOB = "end_sessions"

_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2}|-[0-9]{3})?")
_URL = re.compile(r"[!-~]{1,2000}")


class EmailTaken(Conflict):
    """Another account has this address."""

    message = "An account with this e-mail address exists already."


class StaleVersion(Conflict):
    """The profile or the settings were changed since they were read."""


class WrongCredentials(Unauthenticated):
    """The address or the password is wrong; which of them is not said."""

    message = "The e-mail address or the password is wrong."


class WrongPassword(BadUserInput):
    """The caller, who is logged in, does not know the account's password."""

    def __init__(self) -> None:
        super().__init__("The current password is wrong.", field="currentPassword")


@dataclass(frozen=True, slots=True)
class NewUser:
    """What signing up takes, checked; the password is hashed already."""

    email: str
    name: str
    password_hash: str
    locale: str = "en"
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """New values, checked; None leaves what is, an empty ``avatar_url`` takes it away."""

    name: str | None = None
    avatar_url: str | None = None
    locale: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """New values; None leaves what is."""

    theme: str | None = None
    product_news: bool | None = None
    security_alerts: bool | None = None


def check_email(value: str) -> str:
    """The address in its normal form; raises `BadUserInput`."""
    return email_address(value)


def check_name(value: str) -> str:
    """The name without surrounding space; raises `BadUserInput`."""
    return one_line(value, field="name", most=100)


def check_locale(value: str) -> str:
    """A BCP 47 tag of language, script and region; raises `BadUserInput`."""
    if not _LOCALE.fullmatch(value):
        raise BadUserInput("This is not a locale such as en or pt-BR.", field="locale")
    return value


def check_time_zone(value: str) -> str:
    """An IANA time zone; raises `BadUserInput`."""
    if value not in _time_zones():
        raise BadUserInput("This is not a time zone such as Europe/Lisbon.", field="timeZone")
    return value


def check_avatar_url(value: str) -> str:
    """An address that a browser can show a picture from; raises `BadUserInput`."""
    refused = BadUserInput("This is not an https address.", field="avatarUrl")
    if not _URL.fullmatch(value):
        raise refused
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise refused from error
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        raise refused
    return value


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


async def sign_up(session: WriteSession, sealer: Sealer, new: NewUser) -> User:
    """The new account; raises `EmailTaken`."""
    user = await repository.add_user(
        session,
        email_sealed=sealer.seal(new.email),
        email_index=sealer.index(new.email),
        password_hash=new.password_hash,
        name=new.name,
        locale=new.locale,
        time_zone=new.time_zone,
    )
    if user is None:
        raise EmailTaken
    await publish(session, UserSignedUp(user_id=str(user.id)))
    return user


async def authenticate(user: User | None, passwords: Passwords, *, password: str) -> User:
    """The account, if this is its password; raises `WrongCredentials`.

    It takes as long where there is no such account.
    """
    if not await passwords.matches(password, user.password_hash if user else None) or user is None:
        raise WrongCredentials
    return user


async def by_email(session: ReadSession, sealer: Sealer, email: str) -> User | None:
    """The account with this address, if it is one."""
    try:
        index = sealer.index(check_email(email))
    except BadUserInput:
        return None
    return await repository.user_by_email(session, index)


async def change_password(
    session: WriteSession, identity: Identity, *, verified_hash: str, new_hash: str, now: float
) -> User:
    """Replace the hash that the caller's password was just verified against.

    Raises `Conflict` when another change came first.  The other sessions of
    until ``now`` will be ended, also where Redis does not answer at this moment.
    """
    user = await _locked(session, identity)
    if user.password_hash != verified_hash:
        raise Conflict
    user.password_hash = new_hash
    await session.flush()
    await publish(session, PasswordChanged(user_id=str(user.id)))
    ending = {"user_id": str(user.id), "but": identity.session_id, "opened_until": now}
    # A moment later, so that it finds none: the caller ends them, and tells how many there were.
    await enqueue(session, END_SESSIONS_JOB, ending, delay=timedelta(seconds=5))
    return user


async def update_profile(
    session: WriteSession, identity: Identity, change: ProfileChange, *, version: int
) -> User:
    """The caller's account with these changes; raises `StaleVersion`."""
    user = await _locked(session, identity)
    if user.version != version:
        raise StaleVersion
    user.name = _or(change.name, user.name)
    user.locale = _or(change.locale, user.locale)
    user.time_zone = _or(change.time_zone, user.time_zone)
    if change.avatar_url is not None:
        user.avatar_url = change.avatar_url or None
    if session.is_modified(user):
        user.version += 1
        await session.flush()
        await publish(session, UserChanged(user_id=str(user.id)))
    return user


async def update_settings(
    session: WriteSession, identity: Identity, change: SettingsChange, *, version: int
) -> UserSettings:
    """The caller's settings with these changes; raises `StaleVersion`."""
    user_id = require_user(identity)
    settings = await repository.lock_settings(session, user_id)
    if settings is None:
        raise NotFound
    if settings.version != version:
        raise StaleVersion
    settings.theme = _or(change.theme, settings.theme)
    settings.product_news = _or(change.product_news, settings.product_news)
    settings.security_alerts = _or(change.security_alerts, settings.security_alerts)
    if session.is_modified(settings):
        settings.version += 1
        await session.flush()
        await publish(session, UserChanged(user_id=user_id))
    return settings


async def visible(session: ReadSession, identity: Identity, ids: set[str]) -> dict[str, User]:
    """Of these users, the ones the caller may know: themselves and their colleagues."""
    me = require_user(identity)
    return await repository.visible_users(session, ids, me=me, organizations=identity.memberships)


async def _locked(session: WriteSession, identity: Identity) -> User:
    user = await repository.lock_user(session, require_user(identity))
    if user is None:
        raise NotFound
    return user


def _or(new: T | None, old: T) -> T:
    return old if new is None else new
