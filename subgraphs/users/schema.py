"""The GraphQL schema of the users subgraph; its mutations open the transactions."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import strawberry

from shared.access import require_user
from shared.auth import AccessTokens
from shared.db import Database
from shared.errors import NexusError, NotFound
from shared.execution import batched, batched_reference
from shared.graphql import Context, build_schema, parse_id
from subgraphs.users import models, repository, service
from subgraphs.users.passwords import Passwords
from subgraphs.users.sessions import Sessions

__all__ = ["Resources", "schema"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What the resolvers work with."""

    database: Database
    sessions: Sessions
    passwords: Passwords
    tokens: AccessTokens


Info: TypeAlias = strawberry.Info[Context[Resources], None]


@strawberry.enum(description="Which colours the interface is drawn in.")
class Theme(enum.Enum):
    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


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


@strawberry.federation.type(keys=["id"], description="A person with an account.")
class User:
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

    @batched(description="The preferences; only the person sees them, for others they are null.")
    @staticmethod
    async def settings(parents: Sequence[User], info: Info) -> list[UserSettings | None]:
        me = info.context.identity.user_id
        mine = [each.id for each in parents if each.id == me]
        async with info.context.resources.database.read() as session:
            found = await repository.settings_of(session, mine)
        return [UserSettings.of(found[each.id]) if each.id in found else None for each in parents]

    @batched_reference
    @classmethod
    async def references(
        cls, keys: Sequence[strawberry.ID], info: Info
    ) -> list[User | NexusError | None]:
        async with info.context.resources.database.read() as session:
            found = await service.visible(session, info.context.identity, set(keys))
        return [cls.of(found[key], info) if key in found else None for key in keys]

    @classmethod
    def of(cls, row: models.User, info: Info) -> User:
        mine = str(row.id) == info.context.identity.user_id
        return cls(
            id=strawberry.ID(str(row.id)),
            name=row.name,
            avatar_url=row.avatar_url,
            locale=row.locale,
            time_zone=row.time_zone,
            created_at=row.created_at,
            version=row.version,
            email=row.email if mine else None,
        )


@strawberry.type(description="What a client needs to act as a user.")
class AuthPayload:
    access_token: str = strawberry.field(description="Send it as `Authorization: Bearer …`.")
    expires_in: int = strawberry.field(description="The access token's life in seconds.")
    refresh_token: str = strawberry.field(description="Give it to `refreshSession`, once.")
    user: User = strawberry.field(description="Who is logged in.")


@strawberry.input(description="A new account.")
class SignUpInput:
    email: str = strawberry.field(description="The address to log in with.")
    password: str = strawberry.field(description="10 to 200 characters.")
    name: str = strawberry.field(description="How the person is called.")
    locale: str = strawberry.field(default="en", description="A BCP 47 tag such as pt-BR.")
    time_zone: str = strawberry.field(default="UTC", description="An IANA name.")


@strawberry.input(description="Credentials.")
class LogInInput:
    email: str = strawberry.field(description="The address of the account.")
    password: str = strawberry.field(description="Its password.")


@strawberry.type
class Query:
    @strawberry.field(description="The logged-in user; null for a stranger.")
    async def me(self, info: Info) -> User | None:
        identity = info.context.identity
        if identity.user_id is None:
            return None
        async with info.context.resources.database.read() as session:
            found = await repository.users_by_id(session, [identity.user_id])
        row = found.get(identity.user_id)
        return User.of(row, info) if row else None

    @strawberry.field(description="A user the caller shares an organization with.")
    async def user(self, info: Info, id: strawberry.ID) -> User | None:  # noqa: A002
        require_user(info.context.identity)
        key = parse_id(id)
        async with info.context.resources.database.read() as session:
            found = await service.visible(session, info.context.identity, {key})
        if key not in found:
            raise NotFound
        return User.of(found[key], info)


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Make an account and log in.")
    async def sign_up(self, info: Info, input: SignUpInput) -> AuthPayload:  # noqa: A002
        resources = info.context.resources
        new = service.NewUser(
            email=service.check_email(input.email),
            name=service.check_name(input.name),
            locale=service.check_locale(input.locale),
            time_zone=service.check_time_zone(input.time_zone),
            password_hash=await resources.passwords.hash(service.check_password(input.password)),
        )
        async with resources.database.write() as session:
            user = await service.sign_up(session, new)
        return await _logged_in(info, user)

    @strawberry.mutation(description="Log in with an e-mail address and a password.")
    async def log_in(self, info: Info, input: LogInInput) -> AuthPayload:  # noqa: A002
        resources = info.context.resources
        async with resources.database.read() as session:
            user = await service.authenticate(
                session, resources.passwords, email=input.email, password=input.password
            )
        return await _logged_in(info, user)


async def _logged_in(info: Info, user: models.User) -> AuthPayload:
    resources = info.context.resources
    session, refresh_token = await resources.sessions.open(str(user.id), user_agent=None)
    access_token, expires_in = resources.tokens.issue(session.user_id, session.id)
    shown = User.of(user, info)
    shown.email = user.email
    return AuthPayload(
        access_token=access_token,
        expires_in=expires_in,
        refresh_token=refresh_token,
        user=shown,
    )


schema = build_schema(Query, Mutation)
