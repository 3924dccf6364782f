"""Accounts and sessions through the gateway."""

from __future__ import annotations

from tests.e2e.people import PASSWORD, sign_up
from tests.support.nexus import Nexus

LOG_IN = "mutation($input: LogInInput!) { logIn(input: $input) { accessToken refreshToken } }"
REFRESH = (
    "mutation($input: RefreshSessionInput!) {"
    " refreshSession(input: $input) { accessToken refreshToken } }"
)


def code(answer: dict[str, object]) -> object:
    """The code of the only error."""
    errors = answer["errors"]
    assert isinstance(errors, list), answer
    (error,) = errors
    return error["extensions"]["code"]


async def test_a_session_lives_from_logging_in_to_logging_out(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    logged_in = await nexus.data(LOG_IN, {"input": {"email": ada.email, "password": PASSWORD}})
    refresh_token = logged_in["logIn"]["refreshToken"]
    refreshed = await nexus.data(REFRESH, {"input": {"refreshToken": refresh_token}})
    token = refreshed["refreshSession"]["accessToken"]

    sessions = await nexus.data("{ me { sessions { id current } } }", token=token)
    assert sorted(each["current"] for each in sessions["me"]["sessions"]) == [False, True]

    out = await nexus.data("mutation { logOut { endedSessions } }", token=token)
    assert out["logOut"]["endedSessions"] == 1
    assert code(await nexus.graphql("{ me { id } }", token=token)) == "UNAUTHENTICATED"
    again = await nexus.graphql(REFRESH, {"input": {"refreshToken": refresh_token}})
    assert code(again) == "UNAUTHENTICATED"
    assert (await ada.data("{ me { id } }"))["me"]["id"] == ada.id


async def test_a_changed_password_ends_the_other_sessions(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    other = await nexus.data(LOG_IN, {"input": {"email": ada.email, "password": PASSWORD}})
    changed = await ada.data(
        "mutation($input: ChangePasswordInput!) {"
        " changePassword(input: $input) { endedSessions } }",
        {"input": {"currentPassword": PASSWORD, "newPassword": "another long password"}},
    )
    assert changed["changePassword"]["endedSessions"] == 1
    token = other["logIn"]["accessToken"]
    assert code(await nexus.graphql("{ me { id } }", token=token)) == "UNAUTHENTICATED"
    old = await nexus.graphql(LOG_IN, {"input": {"email": ada.email, "password": PASSWORD}})
    assert code(old) == "UNAUTHENTICATED"
    new = {"email": ada.email, "password": "another long password"}
    assert (await nexus.data(LOG_IN, {"input": new}))["logIn"]["accessToken"]


async def test_a_session_is_ended_from_another_place(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    lost = await nexus.data(LOG_IN, {"input": {"email": ada.email, "password": PASSWORD}})
    sessions = (await ada.data("{ me { sessions { id current } } }"))["me"]["sessions"]
    (other,) = [each["id"] for each in sessions if not each["current"]]
    await ada.data(
        "mutation($input: EndSessionInput!) { endSession(input: $input) { sessionId } }",
        {"input": {"sessionId": other}},
    )
    token = lost["logIn"]["accessToken"]
    assert code(await nexus.graphql("{ me { id } }", token=token)) == "UNAUTHENTICATED"


async def test_profile_and_settings_change_only_from_the_version_that_was_read(
    nexus: Nexus,
) -> None:
    ada = await sign_up(nexus, "Ada")
    profile = (
        "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) { name version } }"
    )
    changed = await ada.data(profile, {"input": {"version": 1, "name": "Ada L."}})
    assert changed["updateProfile"] == {"name": "Ada L.", "version": 2}
    stale = await ada.graphql(profile, {"input": {"version": 1, "name": "Nobody"}})
    assert code(stale) == "CONFLICT"

    settings = (
        "mutation($input: UpdateSettingsInput!) { updateSettings(input: $input) { theme version } }"
    )
    changed = await ada.data(settings, {"input": {"version": 1, "theme": "DARK"}})
    assert changed["updateSettings"] == {"theme": "DARK", "version": 2}
    stale = await ada.graphql(settings, {"input": {"version": 1, "theme": "LIGHT"}})
    assert code(stale) == "CONFLICT"
    me = (await ada.data("{ me { name settings { theme } } }"))["me"]
    assert me == {"name": "Ada L.", "settings": {"theme": "DARK"}}


async def test_a_stranger_reaches_signing_up_plans_and_health_only(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    assert (await nexus.data("{ plans { code } }"))["plans"]
    assert (await nexus.client.get("/health/live")).status_code == 200
    for query in (
        f'{{ user(id: "{ada.id}") {{ name }} }}',
        f'{{ organization(id: "{ada.id}") {{ name }} }}',
        f'{{ invoice(id: "{ada.id}") {{ number }} }}',
        f'{{ file(id: "{ada.id}") {{ name }} }}',
        'mutation { createOrganization(input: {name: "X", slug: "x-y-z"}) { id } }',
        "mutation { logOut { endedSessions } }",
    ):
        assert code(await nexus.graphql(query)) == "UNAUTHENTICATED", query
    for query in (
        f'{{ accessOf(userId: "{ada.id}") {{ role }} }}',
        f'{{ privacyExport(userId: "{ada.id}") {{ endCursor }} }}',
        "{ _entities(representations: []) { __typename } }",
    ):
        assert code(await nexus.graphql(query)) == "GRAPHQL_VALIDATION_FAILED", query


async def test_a_forged_token_is_refused_and_a_known_user_of_nobody_is_not_found(
    nexus: Nexus,
) -> None:
    ada, eve = await sign_up(nexus, "Ada"), await sign_up(nexus, "Eve")
    assert code(await nexus.graphql("{ me { id } }", token=ada.token + "x")) == "UNAUTHENTICATED"
    query = "query($id: ID!) { user(id: $id) { name } }"
    theirs = await eve.graphql(query, {"id": ada.id})
    unknown = await eve.graphql(query, {"id": "00000000-0000-7000-8000-000000000000"})
    assert theirs == unknown
    assert code(theirs) == "NOT_FOUND"
