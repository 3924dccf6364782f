"""The GraphQL schema of the users subgraph; its mutations open the transactions."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Sequence
from typing import Annotated, TypeAlias, TypeVar

import strawberry
from strawberry.federation.schema_directives import Cost

from shared.access import require_user
from shared.errors import BadUserInput, NexusError, NotFound, Unauthenticated
from shared.execution import batched, batched_reference
from shared.graphql import Context, Node, build_schema, id_or_none, parse_id
from shared.privacy import PrivacyExportPage, export_field
from subgraphs.users import deletion, export, models, repository, service, sessions
from subgraphs.users.passwords import check_password
from subgraphs.users.resources import Resources

__all__ = ["schema"]

T = TypeVar("T")

HASHING = Cost(weight=100)
"""Passwords are slow to hash on purpose, so one document cannot try many."""


Info: TypeAlias = strawberry.Info[Context[Resources], None]


@strawberry.enum(description="Which colours the interface is drawn in.")
class Theme(enum.Enum):
    SYSTEM = strawberry.enum_value("system", description="Those of the device.")
    LIGHT = strawberry.enum_value("light", description="Dark text on a light ground.")
    DARK = strawberry.enum_value("dark", description="Light text on a dark ground.")


@strawberry.type(description="A person's preferences.")
class UserSettings:
    theme: Theme = strawberry.field(description="Which colours the interface is drawn in.")
    product_news: bool = strawberry.field(description="Whether to send news by e-mail.")
    security_alerts: bool = strawberry.field(
        description="Whether to send security alerts by e-mail."
    )
    version: int = strawberry.field(
        description="Goes up with each change; give it back to change them."
    )

    @classmethod
    def of(cls, row: models.UserSettings) -> UserSettings:
        return cls(
            theme=Theme(row.theme),
            product_news=row.product_news,
            security_alerts=row.security_alerts,
            version=row.version,
        )


@strawberry.type(description="A place where a person is logged in.")
class Session:
    id: strawberry.ID = strawberry.field(description="Give it to `endSession`.")
    user_agent: str | None = strawberry.field(
        description="What the browser or app called itself when it logged in."
    )
    created_at: dt.datetime = strawberry.field(description="When it logged in.")
    last_used_at: dt.datetime = strawberry.field(
        description="When it logged in or last refreshed its tokens."
    )
    current: bool = strawberry.field(description="Whether this request belongs to it.")

    @classmethod
    def of(cls, session: sessions.Session, *, current: str | None) -> Session:
        return cls(
            id=strawberry.ID(session.id),
            user_agent=session.user_agent,
            created_at=dt.datetime.fromtimestamp(session.created_at, dt.UTC),
            last_used_at=dt.datetime.fromtimestamp(session.used_at, dt.UTC),
            current=session.id == current,
        )


@strawberry.federation.type(keys=["id"], description="A person with an account.")
class User(Node):
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    name: str = strawberry.field(description="How the person is called.")
    avatar_url: str | None = strawberry.field(description="A picture of the person.")
    locale: str = strawberry.field(description="The language to speak, as a BCP 47 tag.")
    time_zone: str = strawberry.field(description="The IANA time zone to show times in.")
    created_at: dt.datetime = strawberry.field(description="When the account was made.")
    version: int = strawberry.field(
        description="Goes up with each change; give it back to change it."
    )
    email: str | None = strawberry.field(
        description="The e-mail address; only the person sees it, for others it is null."
    )
    session_id: strawberry.Private[str | None]
    """The session in which the person sees this; None for everyone else."""

    @batched(description="The preferences; only the person sees them, for others they are null.")
    @staticmethod
    async def settings(parents: Sequence[User], info: Info) -> list[UserSettings | None]:
        mine = [each.id for each in parents if each.session_id]
        if not mine:
            return [None] * len(parents)
        async with info.context.resources.database.read() as session:
            found = await repository.settings_of(session, mine)
        return [UserSettings.of(found[each.id]) if each.id in found else None for each in parents]

    @batched(
        description=(
            "Where the person is logged in, the most recently used first, at most 100;"
            " only the person sees them, for others it is null."
        )
    )
    @staticmethod
    async def sessions(parents: Sequence[User], info: Info) -> list[list[Session] | None]:
        mine = {each.id: each.session_id for each in parents if each.session_id}
        found = {}
        for user_id, current in mine.items():
            known = await info.context.resources.sessions.of(user_id)
            found[user_id] = [Session.of(each, current=current) for each in known]
        return [found.get(each.id) for each in parents]

    @batched_reference
    @classmethod
    async def references(
        cls, keys: Sequence[strawberry.ID], info: Info
    ) -> list[User | NexusError | None]:
        ids = [id_or_none(key) for key in keys]
        asked = {each for each in ids if each is not None}
        async with info.context.resources.database.read() as session:
            found = await service.visible(session, info.context.identity, asked)
        return [cls.of(found[each], info) if each in found else None for each in ids]

    @classmethod
    def of(cls, row: models.User, info: Info, *, session_id: str | None = None) -> User:
        """The user as the caller, who may be logging in just now, sees them."""
        identity = info.context.identity
        if str(row.id) == identity.user_id:
            session_id = session_id or identity.session_id
        return cls(
            id=strawberry.ID(str(row.id)),
            name=row.name,
            avatar_url=row.avatar_url,
            locale=row.locale,
            time_zone=row.time_zone,
            created_at=row.created_at,
            version=row.version,
            email=info.context.resources.emails.open(row.email_sealed) if session_id else None,
            session_id=session_id,
        )


@strawberry.type(description="What a client needs to act as a user.")
class AuthPayload:
    access_token: str = strawberry.field(description="Send it as `Authorization: Bearer …`.")
    expires_in: int = strawberry.field(description="The access token's life in seconds.")
    refresh_token: str = strawberry.field(
        description="Give it to `refreshSession` before or after the access token ends; it lives"
        " for seven days, and each refresh replaces it."
    )
    user: User = strawberry.field(description="Who is logged in.")


@strawberry.type(description="What logging out did.")
class LogOutPayload:
    ended_sessions: int = strawberry.field(description="How many sessions it ended.")


@strawberry.type(description="The session that was ended.")
class EndSessionPayload:
    session_id: strawberry.ID = strawberry.field(description="Its id.")


@strawberry.type(description="What changing the password did.")
class ChangePasswordPayload:
    ended_sessions: int = strawberry.field(description="How many other sessions it ended.")


@strawberry.input(description="A new account.")
class SignUpInput:
    email: str = strawberry.field(description="The address to log in with.")
    password: str = strawberry.field(description="10 to 200 characters.")
    name: str = strawberry.field(description="How the person is called: 1 to 100 characters.")
    locale: str = strawberry.field(default="en", description="A BCP 47 tag such as pt-BR.")
    time_zone: str = strawberry.field(default="UTC", description="An IANA name.")


@strawberry.input(description="Credentials.")
class LogInInput:
    email: str = strawberry.field(description="The address of the account.")
    password: str = strawberry.field(description="Its password.")


@strawberry.input(description="A session to go on with.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(description="The newest one that was given out.")


@strawberry.enum(description="Which of a person's sessions.")
class LogOutScope(enum.Enum):
    CURRENT = strawberry.enum_value("current", description="The one this request belongs to.")
    OTHERS = strawberry.enum_value("others", description="All but the one of this request.")
    ALL = strawberry.enum_value("all", description="Every one.")


@strawberry.input(description="Where to log out.")
class LogOutInput:
    scope: LogOutScope = strawberry.field(
        default=LogOutScope.CURRENT, description="Which sessions to end."
    )


@strawberry.input(description="A session to end.")
class EndSessionInput:
    session_id: strawberry.ID = strawberry.field(description="One of `User.sessions`.")


@strawberry.input(description="Another password.")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="The one to replace.")
    new_password: str = strawberry.field(description="10 to 200 characters.")


@strawberry.input(description="Changes to a profile; what is left out stays as it is.")
class UpdateProfileInput:
    version: int = strawberry.field(description="The `version` of the profile that was changed.")
    name: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="How the person is called: 1 to 100 characters."
    )
    avatar_url: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="An https address of a picture; null takes the picture away."
    )
    locale: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="A BCP 47 tag such as pt-BR."
    )
    time_zone: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="An IANA name."
    )


@strawberry.input(description="Changes to preferences; what is left out stays as it is.")
class UpdateSettingsInput:
    version: int = strawberry.field(description="The `version` of the settings that were changed.")
    theme: strawberry.Maybe[Theme | None] = strawberry.field(
        default=None, description="Which colours the interface is drawn in."
    )
    product_news: strawberry.Maybe[bool | None] = strawberry.field(
        default=None, description="Whether to send news by e-mail."
    )
    security_alerts: strawberry.Maybe[bool | None] = strawberry.field(
        default=None, description="Whether to send security alerts by e-mail."
    )


@strawberry.federation.enum(inaccessible=True, description="How far a deletion has come.")
class DeletionStatus(enum.Enum):
    PENDING = strawberry.enum_value("pending", description="It waits, and can be cancelled.")
    STARTED = strawberry.enum_value("started", description="It is being carried out.")
    COMPLETED = strawberry.enum_value("completed", description="Every domain has confirmed.")
    CANCELLED = strawberry.enum_value("cancelled", description="It was cancelled in time.")


@strawberry.federation.type(inaccessible=True, description="A person's wish to be forgotten.")
class DeletionRequest:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    status: DeletionStatus = strawberry.field(description="How far it has come.")
    requested_at: dt.datetime = strawberry.field(description="When it was made.")
    starts_at: dt.datetime = strawberry.field(description="Until when it can be cancelled.")
    ended_at: dt.datetime | None = strawberry.field(
        description="When it was completed or cancelled."
    )
    receipt: str = strawberry.field(
        description="With it the status can be read when the account is gone."
    )

    @classmethod
    def of(cls, row: models.DeletionRequest, info: Info) -> DeletionRequest:
        return cls(
            id=strawberry.ID(str(row.id)),
            status=DeletionStatus(row.status),
            requested_at=row.requested_at,
            starts_at=row.starts_at,
            ended_at=row.ended_at,
            receipt=info.context.resources.receipts.make(str(row.id)),
        )


UserId: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="A user's id.")]
RequestId: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="Its id.")]


@strawberry.type
class Query:
    privacy_export: PrivacyExportPage = export_field("users", export.SECTIONS)

    @strawberry.field(description="The logged-in user; null for a stranger.")
    async def me(self, info: Info) -> User | None:
        identity = info.context.identity
        if identity.user_id is None:
            return None
        async with info.context.resources.database.read() as session:
            row = await repository.user_by_id(session, identity.user_id)
        return User.of(row, info) if row else None

    @strawberry.field(description="The caller, or someone in one of the caller's organizations.")
    async def user(self, info: Info, id: UserId) -> User | None:  # noqa: A002
        require_user(info.context.identity)
        key = parse_id(id)
        async with info.context.resources.database.read() as session:
            found = await service.visible(session, info.context.identity, {key})
        if key not in found:
            raise NotFound
        return User.of(found[key], info)

    @strawberry.federation.field(
        inaccessible=True,
        description="A deletion of the caller, or one whose receipt the caller has.",
    )
    async def deletion_request(
        self,
        info: Info,
        id: RequestId,  # noqa: A002
        receipt: Annotated[
            str | None, strawberry.argument(description="What came with the request.")
        ] = None,
    ) -> DeletionRequest:
        resources, identity = info.context.resources, info.context.identity
        async with resources.database.read() as session:
            found = await deletion.find(
                session, identity, resources.receipts, parse_id(id), receipt
            )
        return DeletionRequest.of(found, info)


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Make an account and log in.", directives=[HASHING])
    async def sign_up(self, info: Info, input: SignUpInput) -> AuthPayload:  # noqa: A002
        resources = info.context.resources
        new = service.NewUser(
            email=service.check_email(input.email),
            name=service.check_name(input.name),
            locale=service.check_locale(input.locale),
            time_zone=service.check_time_zone(input.time_zone),
            password_hash=await resources.passwords.hash(check_password(input.password)),
        )
        # An account whose owner could not be logged in would look like a taken address.
        await resources.sessions.ping()
        async with resources.database.write() as session:
            user = await service.sign_up(session, resources.emails, new)
        return await _logged_in(info, user)

    @strawberry.mutation(
        description="Log in with an e-mail address and a password.", directives=[HASHING]
    )
    async def log_in(self, info: Info, input: LogInInput) -> AuthPayload:  # noqa: A002
        resources = info.context.resources
        async with resources.database.read() as session:
            found = await service.by_email(session, resources.emails, input.email)
        user = await service.authenticate(found, resources.passwords, password=input.password)
        return await _logged_in(info, user)

    @strawberry.mutation(description="Get the next tokens of a session.")
    async def refresh_session(
        self,
        info: Info,
        input: RefreshSessionInput,  # noqa: A002
    ) -> AuthPayload:
        resources = info.context.resources
        user_id, session_id, refresh_token = await resources.sessions.refresh(input.refresh_token)
        async with resources.database.read() as session:
            user = await repository.user_by_id(session, user_id)
        if user is None:
            await resources.sessions.end(user_id, session_id)
            raise sessions.SessionEnded
        return _tokens(info, user, session_id, refresh_token)

    @strawberry.mutation(description="End the session of this request, the others, or all.")
    async def log_out(self, info: Info, input: LogOutInput | None = None) -> LogOutPayload:  # noqa: A002
        identity, kept = info.context.identity, info.context.resources.sessions
        user_id = require_user(identity)
        scope = input.scope if input else LogOutScope.CURRENT
        if scope is LogOutScope.CURRENT:
            await kept.end(user_id, *filter(None, [identity.session_id]))
            return LogOutPayload(ended_sessions=1)
        spared = identity.session_id if scope is LogOutScope.OTHERS else None
        return LogOutPayload(ended_sessions=await kept.end_all(user_id, but=spared))

    @strawberry.mutation(description="Log out of one place.")
    async def end_session(self, info: Info, input: EndSessionInput) -> EndSessionPayload:  # noqa: A002
        user_id = require_user(info.context.identity)
        kept = info.context.resources.sessions
        if input.session_id not in {each.id for each in await kept.of(user_id)}:
            raise NotFound
        await kept.end(user_id, input.session_id)
        return EndSessionPayload(session_id=input.session_id)

    @strawberry.mutation(
        description="Change the password and end all other sessions.", directives=[HASHING]
    )
    async def change_password(
        self,
        info: Info,
        input: ChangePasswordInput,  # noqa: A002
    ) -> ChangePasswordPayload:
        resources, identity = info.context.resources, info.context.identity
        user_id = require_user(identity)
        new = check_password(input.new_password, field="newPassword")
        async with resources.database.read() as session:
            user = await repository.user_by_id(session, user_id)
        if user is None:
            raise Unauthenticated
        if not await resources.passwords.matches(input.current_password, user.password_hash):
            raise service.WrongPassword
        new_hash = await resources.passwords.hash(new)
        async with resources.database.write() as session:
            await service.change_password(
                session,
                identity,
                verified_hash=user.password_hash,
                new_hash=new_hash,
                now=resources.clock(),
            )
        ended = await resources.sessions.end_all(user_id, but=identity.session_id)
        return ChangePasswordPayload(ended_sessions=ended)

    @strawberry.mutation(description="Change the caller's profile.")
    async def update_profile(self, info: Info, input: UpdateProfileInput) -> User:  # noqa: A002
        change = service.ProfileChange(
            name=_given(input.name, service.check_name, "name"),
            avatar_url=_avatar_url(input.avatar_url),
            locale=_given(input.locale, service.check_locale, "locale"),
            time_zone=_given(input.time_zone, service.check_time_zone, "timeZone"),
        )
        async with info.context.resources.database.write() as session:
            user = await service.update_profile(
                session, info.context.identity, change, version=input.version
            )
        return User.of(user, info)

    @strawberry.mutation(description="Change the caller's preferences.")
    async def update_settings(
        self,
        info: Info,
        input: UpdateSettingsInput,  # noqa: A002
    ) -> UserSettings:
        theme = _given(input.theme, Theme, "theme")
        change = service.SettingsChange(
            theme=str(theme.value) if theme else None,
            product_news=_given(input.product_news, bool, "productNews"),
            security_alerts=_given(input.security_alerts, bool, "securityAlerts"),
        )
        async with info.context.resources.database.write() as session:
            settings = await service.update_settings(
                session, info.context.identity, change, version=input.version
            )
        return UserSettings.of(settings)

    @strawberry.federation.mutation(
        inaccessible=True, description="Ask to be forgotten, or find the request that is open."
    )
    async def request_deletion(self, info: Info) -> DeletionRequest:
        resources = info.context.resources
        async with resources.database.write() as session:
            made = await deletion.request(
                session, info.context.identity, grace=resources.deletion_grace
            )
        return DeletionRequest.of(made, info)

    @strawberry.federation.mutation(
        inaccessible=True, description="Cancel a deletion of the caller that has not started."
    )
    async def cancel_deletion(self, info: Info, id: RequestId) -> DeletionRequest:  # noqa: A002
        async with info.context.resources.database.write() as session:
            found = await deletion.cancel(session, info.context.identity, parse_id(id))
        return DeletionRequest.of(found, info)


def _given(
    asked: strawberry.Some[T | None] | None, check: Callable[[T], T], field: str
) -> T | None:
    """The checked value of an input field; None where it was left out."""
    if asked is None:
        return None
    if asked.value is None:
        raise BadUserInput("This cannot be null; leave it out to keep it.", field=field)
    return check(asked.value)


def _avatar_url(asked: strawberry.Some[str | None] | None) -> str | None:
    if asked is None:
        return None
    return "" if asked.value is None else service.check_avatar_url(asked.value)


async def _logged_in(info: Info, user: models.User) -> AuthPayload:
    """A new session; raises `WrongCredentials` when the password it rests on was just replaced."""
    resources = info.context.resources
    opened, refresh_token = await resources.sessions.open(
        str(user.id), user_agent=info.context.identity.user_agent
    )
    # Whoever changes the password or erases the account ends the sessions it finds after its
    # commit: this one was either there to be found, or sees here what happened.
    async with resources.database.read() as session:
        current = await repository.user_by_id(session, opened.user_id)
    if current is None or current.password_hash != user.password_hash:
        await resources.sessions.end(opened.user_id, opened.id)
        raise service.WrongCredentials
    return _tokens(info, user, opened.id, refresh_token)


def _tokens(info: Info, user: models.User, session_id: str, refresh_token: str) -> AuthPayload:
    access_token, expires_in = info.context.resources.tokens.issue(str(user.id), session_id)
    return AuthPayload(
        access_token=access_token,
        expires_in=expires_in,
        refresh_token=refresh_token,
        user=User.of(user, info, session_id=session_id),
    )


schema = build_schema(Query, Mutation)
