"""Signing up, logging in, passwords, profiles, settings."""

from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client import REGISTRY

from shared.auth import Identity
from tests.subgraphs.users.conftest import PASSWORD, Users

_LOG_IN = "mutation($input: LogInInput!) { logIn(input: $input) { accessToken } }"
_SIGN_UP = "mutation($input: SignUpInput!) { signUp(input: $input) { user { id } } }"
_UPDATE_PROFILE = """
mutation($input: UpdateProfileInput!) {
  updateProfile(input: $input) { name avatarUrl locale timeZone version email }
}
"""
_UPDATE_SETTINGS = """
mutation($input: UpdateSettingsInput!) {
  updateSettings(input: $input) { theme productNews securityAlerts version }
}
"""
_CHANGE_PASSWORD = """
mutation($input: ChangePasswordInput!) { changePassword(input: $input) { endedSessions } }
"""
_BAD_ACCOUNTS: list[tuple[dict[str, Any], str]] = [
    ({"email": "no address"}, "email"),
    ({"email": "a@b"}, "email"),
    ({"email": f"{'a' * 65}@example.org"}, "email"),
    ({"email": f"a@{'b' * 250}.org"}, "email"),
    ({"email": "a\u0000b@example.org"}, "email"),
    ({"email": "a\u202eb@example.org"}, "email"),
    ({"email": "a" * 500_000}, "email"),
    ({"name": "   "}, "name"),
    ({"name": "a" * 101}, "name"),
    ({"name": "a\u0000b"}, "name"),
    ({"name": "\u202eevil"}, "name"),
    ({"name": "\ud800"}, "name"),
    ({"password": "too short"}, "password"),
    ({"password": "a" * 201}, "password"),
    ({"password": "\ud800" * 10}, "password"),
    ({"locale": "english"}, "locale"),
    ({"locale": "en_US"}, "locale"),
    ({"timeZone": "Mars/Olympus"}, "timeZone"),
    ({"timeZone": "../../etc/passwd"}, "timeZone"),
]
_BAD_PROFILES: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"),
    ({"locale": None}, "locale"),
    ({"timeZone": None}, "timeZone"),
    ({"name": ""}, "name"),
    ({"avatarUrl": ""}, "avatarUrl"),
    ({"avatarUrl": "javascript:alert(1)"}, "avatarUrl"),
    ({"avatarUrl": "http://example.org/a.png"}, "avatarUrl"),
    ({"avatarUrl": "https://user:secret@example.org/"}, "avatarUrl"),
    ({"avatarUrl": "https://[example"}, "avatarUrl"),
    ({"avatarUrl": "https://example.org/" + "a" * 2000}, "avatarUrl"),
    ({"avatarUrl": "https://example.org/\u0000"}, "avatarUrl"),
]
_MUTATIONS = [
    'updateProfile(input: {version: 1, name: "x"}) { id }',
    "updateSettings(input: {version: 1}) { version }",
    "logOut { endedSessions }",
    'endSession(input: {sessionId: "x"}) { sessionId }',
    "requestDeletion { id }",
    'cancelDeletion(id: "%s") { id }' % ("0" * 32),
]
_NEW = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}


async def test_signing_up_logs_in_and_shows_the_own_account(users: Users) -> None:
    data = await users.data(
        """
        mutation {
          signUp(input: {email: " Ada@Example.org ", password: "correct horse battery",
                         name: "Ada", locale: "pt-BR", timeZone: "Europe/Lisbon"}) {
            expiresIn
            user {
              name email locale timeZone version avatarUrl
              settings { theme productNews securityAlerts version }
              sessions { current }
            }
          }
        }
        """
    )
    assert data["signUp"] == {
        "expiresIn": 3600,
        "user": {
            "name": "Ada",
            "email": "ada@example.org",
            "locale": "pt-BR",
            "timeZone": "Europe/Lisbon",
            "version": 1,
            "avatarUrl": None,
            "settings": {
                "theme": "SYSTEM",
                "productNews": False,
                "securityAlerts": True,
                "version": 1,
            },
            "sessions": [{"current": True}],
        },
    }


async def test_a_stranger_is_nobody(users: Users) -> None:
    assert await users.data("{ me { id } }") == {"me": None}
    ada = await users.sign_up()
    error = await users.error("query($id: ID!) { user(id: $id) { id } }", {"id": ada.id})
    assert error["code"] == "UNAUTHENTICATED"


async def test_signing_up_with_bad_input_names_the_field(users: Users) -> None:
    for change, field in _BAD_ACCOUNTS:
        error = await users.error(_SIGN_UP, {"input": {**_NEW, **change}})
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", field), change


async def test_an_input_field_that_does_not_exist_is_refused(users: Users) -> None:
    given = {**_NEW, "id": "0" * 32, "version": 9}
    answer = await users.ask(_SIGN_UP, {"input": given})
    assert answer.get("data") is None
    assert {each["extensions"]["code"] for each in answer["errors"]} == {"BAD_USER_INPUT"}


async def test_an_address_belongs_to_one_account_however_it_is_spelt(users: Users) -> None:
    await users.sign_up("jos\u00e9@example.org")
    for other in ("JOS\u00c9@Example.ORG", " jos\u00e9@example.org", "jose\u0301@example.org"):
        error = await users.error(_SIGN_UP, {"input": {**_NEW, "email": other}})
        assert error["code"] == "CONFLICT", other


async def test_of_many_who_race_for_an_address_one_gets_it(users: Users) -> None:
    answers = await asyncio.gather(*(users.ask(_SIGN_UP, {"input": _NEW}) for _ in range(8)))
    codes = [each["errors"][0]["extensions"]["code"] for each in answers if "errors" in each]
    assert codes == ["CONFLICT"] * 7
    assert len(await users.sql("select id from users")) == 1
    assert len(await users.facts()) == 1


async def test_the_address_is_not_readable_on_disk(users: Users) -> None:
    await users.sign_up("ada@example.org")
    tables = await users.sql(
        "select table_name from information_schema.tables where table_schema = 'users'"
    )
    for [table] in tables:
        rows = await users.sql(f'select t::text from "{table}" t')  # noqa: S608
        assert not any("ada@example" in row[0].lower() for row in rows), table


async def test_logging_in_tells_nothing_about_which_part_was_wrong(users: Users) -> None:
    await users.sign_up("ada@example.org")
    answers = [
        await users.ask(_LOG_IN, {"input": {"email": email, "password": password}})
        for email, password in [
            ("ada@example.org", "wrong password"),
            ("eve@example.org", PASSWORD),
            ("no address", PASSWORD),
            ("", ""),
            ("a\u0000b@example.org", PASSWORD),
            ("ada@example.org", "a" * 900_000),
            ("ada@example.org", "\ud800"),
        ]
    ]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_an_unknown_address_costs_as_much_work_as_a_wrong_password(users: Users) -> None:
    await users.sign_up("ada@example.org")

    async def hashes(email: str) -> float:
        before = REGISTRY.get_sample_value("password_hash_seconds_count") or 0
        await users.error(_LOG_IN, {"input": {"email": email, "password": "wrong password"}})
        return (REGISTRY.get_sample_value("password_hash_seconds_count") or 0) - before

    assert [await hashes("ada@example.org"), await hashes("eve@example.org")] == [1, 1]
    assert await hashes("no address") == 1


async def test_a_password_typed_on_another_keyboard_is_the_same(users: Users) -> None:
    ada = await users.sign_up("ada@example.org", password="passw\u00f6rter sind gut")
    assert (await users.log_in("ada@example.org", "passwo\u0308rter sind gut")).id == ada.id


async def test_changing_the_password_ends_the_other_sessions(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    other = await users.log_in("ada@example.org")
    data = await users.data(
        _CHANGE_PASSWORD,
        {"input": {"currentPassword": PASSWORD, "newPassword": "another password"}},
        by=ada.identity,
    )
    assert data == {"changePassword": {"endedSessions": 1}}
    kept = await users.data("{ me { sessions { id current } } }", by=ada.identity)
    assert kept["me"]["sessions"] == [{"id": ada.session_id, "current": True}]
    assert not await users.redis.exists(f"session:{other.session_id}")
    old = {"input": {"email": "ada@example.org", "password": PASSWORD}}
    assert (await users.error(_LOG_IN, old))["code"] == "UNAUTHENTICATED"
    again = await users.log_in("ada@example.org", "another password")
    assert again.id == ada.id


async def test_changing_the_password_takes_the_current_one(users: Users) -> None:
    ada = await users.sign_up()
    given = {"currentPassword": "a wrong password", "newPassword": "another password"}
    error = await users.error(_CHANGE_PASSWORD, {"input": given}, by=ada.identity)
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "currentPassword")
    given = {"currentPassword": PASSWORD, "newPassword": "short"}
    error = await users.error(_CHANGE_PASSWORD, {"input": given}, by=ada.identity)
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "newPassword")
    assert (await users.error(_CHANGE_PASSWORD, {"input": given}))["code"] == "UNAUTHENTICATED"


async def test_of_two_password_changes_at_once_one_is_told_of_the_other(users: Users) -> None:
    ada = await users.sign_up()
    answers = await asyncio.gather(
        *(
            users.ask(
                _CHANGE_PASSWORD,
                {"input": {"currentPassword": PASSWORD, "newPassword": f"new password {n}"}},
                by=ada.identity,
            )
            for n in range(2)
        )
    )
    codes = [each["errors"][0]["extensions"]["code"] for each in answers if "errors" in each]
    # The later one either lost the race for the row, or saw the new password already.
    assert codes in (["CONFLICT"], ["BAD_USER_INPUT"])


async def test_a_login_does_not_outlive_the_password_it_was_checked_against(
    users: Users, statements: list[str]
) -> None:
    ada = await users.sign_up("ada@example.org")
    statements.clear()
    login = {"input": {"email": "ada@example.org", "password": PASSWORD}}
    logins = [asyncio.create_task(users.ask(_LOG_IN, login)) for _ in range(10)]
    await _sent(statements, len(logins))
    await users.sql("update users set password_hash = 'another'")
    await users.sessions(at=0).end_all(ada.id)
    answers = await asyncio.gather(*logins)
    assert any("errors" in answer for answer in answers)
    assert await users.sessions(at=0).of(ada.id) == []


async def test_a_login_does_not_outlive_the_account(users: Users, statements: list[str]) -> None:
    ada = await users.sign_up("ada@example.org")
    statements.clear()
    login = {"input": {"email": "ada@example.org", "password": PASSWORD}}
    logins = [asyncio.create_task(users.ask(_LOG_IN, login)) for _ in range(10)]
    await _sent(statements, len(logins))
    await users.sql("delete from users")
    await users.sessions(at=0).end_all(ada.id)
    await asyncio.gather(*logins)
    assert await users.sessions(at=0).of(ada.id) == []


async def _sent(statements: list[str], number: int) -> None:
    """Returns when all have read the account, and wait for a thread that checks the password."""
    while len(statements) < number:  # noqa: ASYNC110 - nothing tells of a statement
        await asyncio.sleep(0)


async def test_a_profile_changes_where_a_field_is_given(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    given: dict[str, Any] = {
        "version": 1,
        "name": " Ada King ",
        "avatarUrl": "https://example.org/ada.png",
    }
    data = await users.data(_UPDATE_PROFILE, {"input": given}, by=ada.identity)
    assert data["updateProfile"] == {
        "name": "Ada King",
        "avatarUrl": "https://example.org/ada.png",
        "locale": "en",
        "timeZone": "UTC",
        "version": 2,
        "email": "ada@example.org",
    }
    given = {"version": 2, "avatarUrl": None, "locale": "sr-Latn-RS"}
    data = await users.data(_UPDATE_PROFILE, {"input": given}, by=ada.identity)
    changed = data["updateProfile"]
    assert (changed["avatarUrl"], changed["locale"]) == (None, "sr-Latn-RS")
    assert (changed["name"], changed["version"]) == ("Ada King", 3)


async def test_a_change_that_changes_nothing_keeps_the_version(users: Users) -> None:
    ada = await users.sign_up()
    data = await users.data(
        _UPDATE_PROFILE, {"input": {"version": 1, "name": "Ada Lovelace"}}, by=ada.identity
    )
    assert data["updateProfile"]["version"] == 1


async def test_a_bad_profile_changes_nothing(users: Users) -> None:
    ada = await users.sign_up()
    for change, field in _BAD_PROFILES:
        given = {"version": 1, **change}
        error = await users.error(_UPDATE_PROFILE, {"input": given}, by=ada.identity)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", field), change
    assert (await users.data("{ me { version } }", by=ada.identity))["me"]["version"] == 1


async def test_a_stale_version_is_a_conflict(users: Users) -> None:
    ada = await users.sign_up()
    given = {"version": 1, "name": "First"}
    await users.data(_UPDATE_PROFILE, {"input": given}, by=ada.identity)
    given = {"version": 1, "name": "Second"}
    error = await users.error(_UPDATE_PROFILE, {"input": given}, by=ada.identity)
    assert error["code"] == "CONFLICT"
    stale = {"input": {"version": 7, "theme": "DARK"}}
    assert (await users.error(_UPDATE_SETTINGS, stale, by=ada.identity))["code"] == "CONFLICT"


async def test_of_two_changes_at_once_one_is_a_conflict(users: Users) -> None:
    ada = await users.sign_up()
    answers = await asyncio.gather(
        *(
            users.ask(_UPDATE_PROFILE, {"input": {"version": 1, "name": name}}, by=ada.identity)
            for name in ("First", "Second")
        )
    )
    assert sorted("errors" in answer for answer in answers) == [False, True]


async def test_settings_change_where_a_field_is_given(users: Users) -> None:
    ada = await users.sign_up()
    given = {"input": {"version": 1, "theme": "DARK", "productNews": True}}
    data = await users.data(_UPDATE_SETTINGS, given, by=ada.identity)
    expected = {"theme": "DARK", "productNews": True, "securityAlerts": True, "version": 2}
    assert data == {"updateSettings": expected}
    nothing = {"input": {"version": 2, "securityAlerts": None}}
    error = await users.error(_UPDATE_SETTINGS, nothing, by=ada.identity)
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "securityAlerts")


async def test_a_stranger_changes_nothing(users: Users) -> None:
    for mutation in _MUTATIONS:
        error = await users.error(f"mutation {{ {mutation} }}")
        assert error["code"] == "UNAUTHENTICATED", mutation


async def test_someone_whose_account_is_gone_changes_nothing(users: Users) -> None:
    gone = Identity("0192f0c1-2d3e-7a4b-8c5d-6e7f80910111", "s")
    assert await users.data("{ me { id } }", by=gone) == {"me": None}
    given = {"input": {"version": 1, "name": "x"}}
    assert (await users.error(_UPDATE_PROFILE, given, by=gone))["code"] == "NOT_FOUND"
    assert (await users.error("mutation { requestDeletion { id } }", by=gone))[
        "code"
    ] == "NOT_FOUND"


async def test_every_change_is_a_fact(users: Users) -> None:
    ada = await users.sign_up()
    await users.data(_UPDATE_PROFILE, {"input": {"version": 1, "name": "x"}}, by=ada.identity)
    await users.data(_UPDATE_SETTINGS, {"input": {"version": 1, "theme": "DARK"}}, by=ada.identity)
    change = {"input": {"currentPassword": PASSWORD, "newPassword": "another password"}}
    await users.data(_CHANGE_PASSWORD, change, by=ada.identity)
    assert [fact.topic for fact in await users.facts()] == [
        "users.user.signed_up",
        "users.user.changed",
        "users.user.changed",
        "users.password.changed",
    ]
