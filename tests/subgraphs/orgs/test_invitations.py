"""Inviting, accepting, revoking."""

from __future__ import annotations

import asyncio
import hashlib
import secrets

from shared.access import Role
from shared.auth import Identity
from subgraphs.orgs.service import MOST_OPEN_INVITATIONS
from subgraphs.orgs.tasks import schedules
from tests.subgraphs.orgs.conftest import ACCEPT, CHANGE_ROLE, INVITE, Orgs, new_id

REVOKE = """
mutation($input: RevokeInvitationInput!) { revokeInvitation(input: $input) { id status } }
"""
REMOVE = "mutation($input: RemoveMemberInput!) { removeMember(input: $input) { membershipId } }"
BY_TOKEN = """
query($token: String!) {
  invitation(token: $token) { organizationName email role status invitedBy { id } }
}
"""
LIST = """
query($id: ID!) { organization(id: $id) {
  invitations { edges { node { id email status organizationName } } } } }
"""


def accepting(token: str) -> dict[str, object]:
    """The variables of `ACCEPT`."""
    return {"input": {"token": token}}


async def test_an_invitation_is_accepted_by_who_has_its_token(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    token = await orgs.invite(ours, by=people["ada"], email="Bob@Example.org", role="BILLING")
    bob = Identity(new_id(), "session")
    shown = (await orgs.data(BY_TOKEN, {"token": token}, by=bob))["invitation"]
    assert shown == {
        "organizationName": "Acme",
        "email": "bob@example.org",
        "role": "BILLING",
        "status": "PENDING",
        "invitedBy": {"id": people["ada"].user_id},
    }
    joined = (await orgs.data(ACCEPT, accepting(token), by=bob))["acceptInvitation"]
    assert (joined["role"], joined["user"]["id"]) == ("BILLING", bob.user_id)
    assert joined["organization"]["viewerRole"] == "BILLING"
    assert (await orgs.roles(ours))[str(bob.user_id)] == Role.BILLING
    shown = (await orgs.data(BY_TOKEN, {"token": token}, by=bob))["invitation"]
    assert shown["status"] == "ACCEPTED"


async def test_only_a_hash_of_the_token_is_kept(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    token = await orgs.invite(ours, by=people["ada"])
    [row] = await orgs.sql("select token_hash, invitations::text as everything from invitations")
    assert row.token_hash == hashlib.sha256(token.encode()).digest()
    assert token not in row.everything
    assert len(token) >= 43  # 256 bits
    assert all(token not in str(fact.payload) for fact in await orgs.facts())


async def test_accepting_twice_gives_one_membership(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    token = await orgs.invite(ours, by=people["ada"])
    bob = Identity(new_id(), "session")
    answers = await asyncio.gather(*(orgs.data(ACCEPT, accepting(token), by=bob) for _ in range(8)))
    assert len({each["acceptInvitation"]["id"] for each in answers}) == 1
    assert len(await orgs.roles(ours)) == 2
    added = await orgs.facts("orgs.membership.added")
    assert len([fact for fact in added if fact.payload["user_id"] == bob.user_id]) == 1
    assert len(await orgs.facts("orgs.invitation.accepted")) == 1


async def test_of_many_who_use_a_token_at_once_one_joins(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    token = await orgs.invite(ours, by=people["ada"])
    answers = await asyncio.gather(
        *(orgs.ask(ACCEPT, accepting(token), by=Identity(new_id(), "session")) for _ in range(8))
    )
    codes = [each["errors"][0]["extensions"]["code"] for each in answers if each.get("errors")]
    assert codes == ["CONFLICT"] * 7
    assert len(await orgs.roles(ours)) == 2


async def test_a_used_invitation_does_not_bring_back_who_was_removed(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    token = await orgs.invite(ours, by=people["ada"])
    bob = Identity(new_id(), "session")
    joined = (await orgs.data(ACCEPT, accepting(token), by=bob))["acceptInvitation"]
    await orgs.data(REMOVE, {"input": {"membershipId": joined["id"]}}, by=people["ada"])
    assert (await orgs.error(ACCEPT, accepting(token), by=bob))["code"] == "CONFLICT"
    assert len(await orgs.roles(ours)) == 1


async def test_an_invitation_changes_nothing_for_who_is_a_member_already(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN")
    token = await orgs.invite(ours, by=people["ada"], role="MEMBER")
    joined = (await orgs.data(ACCEPT, accepting(token), by=people["eve"]))["acceptInvitation"]
    assert joined["role"] == "ADMIN"
    other = Identity(new_id(), "session")
    assert (await orgs.error(ACCEPT, accepting(token), by=other))["code"] == "CONFLICT"


async def test_an_invitation_ends_with_its_time(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    token = await orgs.invite(ours, by=people["ada"])
    await orgs.sql("update invitations set expires_at = now() - interval '1 second'")
    bob = Identity(new_id(), "session")
    assert (await orgs.error(ACCEPT, accepting(token), by=bob))["code"] == "CONFLICT"
    shown = await orgs.data(BY_TOKEN, {"token": token}, by=bob)
    assert shown["invitation"]["status"] == "EXPIRED"
    assert len(await orgs.roles(ours)) == 1


async def test_a_revoked_invitation_admits_nobody(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    token = await orgs.invite(ours, by=people["ada"])
    [row] = await orgs.sql("select id from invitations")
    given = {"input": {"invitationId": str(row.id)}}
    answer = await orgs.data(REVOKE, given, by=people["ada"])
    assert answer["revokeInvitation"]["status"] == "REVOKED"
    assert (await orgs.error(REVOKE, given, by=people["ada"]))["code"] == "CONFLICT"
    bob = Identity(new_id(), "session")
    assert (await orgs.error(ACCEPT, accepting(token), by=bob))["code"] == "CONFLICT"


async def test_revoking_and_accepting_at_once_does_one_of_them(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    for _ in range(4):
        token = await orgs.invite(ours, by=people["ada"])
        [row] = await orgs.sql("select id from invitations order by id desc limit 1")
        given = {"input": {"invitationId": str(row.id)}}
        before = len(await orgs.roles(ours))
        revoked, accepted = await asyncio.gather(
            orgs.ask(REVOKE, given, by=people["ada"]),
            orgs.ask(ACCEPT, accepting(token), by=Identity(new_id(), "session")),
        )
        assert bool(revoked.get("errors")) != bool(accepted.get("errors"))
        assert len(await orgs.roles(ours)) - before == bool(revoked.get("errors"))


async def test_inviting_again_replaces_the_invitation(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    old = await orgs.invite(ours, by=people["ada"], email="bob@example.org", role="ADMIN")
    new = await orgs.invite(ours, by=people["ada"], email="BOB@example.org", role="MEMBER")
    bob = Identity(new_id(), "session")
    assert (await orgs.error(ACCEPT, accepting(old), by=bob))["code"] == "CONFLICT"
    joined = await orgs.data(ACCEPT, accepting(new), by=bob)
    assert joined["acceptInvitation"]["role"] == "MEMBER"


async def test_an_invitation_by_an_owner_is_not_replaced_by_who_is_not_over_it(
    orgs: Orgs,
) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN")
    given = {"organizationId": ours, "email": "bob@example.org"}
    token = await orgs.invite(ours, by=people["ada"], email="bob@example.org", role="BILLING")
    assert (await orgs.error(INVITE, {"input": given}, by=people["eve"]))["code"] == "FORBIDDEN"
    joined = await orgs.data(ACCEPT, accepting(token), by=Identity(new_id(), "session"))
    assert joined["acceptInvitation"]["role"] == "BILLING"


async def test_invitations_to_one_address_at_once_leave_one_open(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    await asyncio.gather(
        *(orgs.invite(ours, by=people["ada"], email="bob@example.org") for _ in range(6))
    )
    rows = await orgs.sql("select 1 from invitations where revoked_at is null")
    assert len(rows) == 1


async def test_nobody_invites_to_more_than_they_are_over(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN", pay="BILLING", bob="MEMBER")
    for name, role, code in (
        ("ada", "OWNER", "BAD_USER_INPUT"),
        ("eve", "OWNER", "BAD_USER_INPUT"),
        ("eve", "BILLING", "FORBIDDEN"),
        ("pay", "MEMBER", "FORBIDDEN"),
        ("bob", "MEMBER", "FORBIDDEN"),
        ("bob", "ADMIN", "FORBIDDEN"),
    ):
        given = {"organizationId": ours, "email": "x@example.org", "role": role}
        assert (await orgs.error(INVITE, {"input": given}, by=people[name]))["code"] == code


async def test_what_a_removed_or_demoted_admin_sent_admits_nobody(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN", mal="ADMIN")
    tokens = [
        await orgs.invite(ours, by=people[name], role="ADMIN") for name in ("eve", "mal", "ada")
    ]
    mal = {"membershipId": await orgs.membership_id(ours, people["mal"].user_id)}
    await orgs.data(REMOVE, {"input": mal}, by=people["ada"])
    eve = {"membershipId": await orgs.membership_id(ours, people["eve"].user_id), "role": "MEMBER"}
    await orgs.data(CHANGE_ROLE, {"input": eve}, by=people["ada"])
    answers = [
        await orgs.ask(ACCEPT, accepting(token), by=Identity(new_id(), "session"))
        for token in tokens
    ]
    assert [bool(each.get("errors")) for each in answers] == [True, True, False]
    assert len(await orgs.facts("orgs.invitation.revoked")) == 2


async def test_a_token_cannot_be_guessed_or_told_from_a_wrong_one(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    token = await orgs.invite(ours, by=people["ada"])
    [row] = await orgs.sql("select id, encode(token_hash, 'hex') as hash from invitations")
    bob = Identity(new_id(), "session")
    guesses = [
        "",
        "\x00",
        "%",
        "' or true --",
        str(row.id),
        row.hash,
        token[:-1],
        token + "A",
        token.swapcase(),
        "é" * 1000,
        *(secrets.token_urlsafe(32) for _ in range(20)),
    ]
    for guess in guesses:
        seen = [
            await orgs.error(ACCEPT, accepting(guess), by=bob),
            await orgs.error(BY_TOKEN, {"token": guess}, by=bob),
        ]
        assert seen == [{"message": "Not found.", "code": "NOT_FOUND"}] * 2
    assert (await orgs.error(BY_TOKEN, {"token": token}))["code"] == "UNAUTHENTICATED"
    assert (await orgs.error(ACCEPT, accepting(token)))["code"] == "UNAUTHENTICATED"


async def test_an_address_that_is_none_is_refused(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    for email in ("", "bob", "bob@", "@x.org", "bob@x", "b ob@x.org", "b\x00b@x.org"):
        given = {"organizationId": ours, "email": email}
        error = await orgs.error(INVITE, {"input": given}, by=people["ada"])
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "email")


async def test_invitations_are_listed_for_those_who_may_invite(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER")
    await orgs.invite(ours, by=people["ada"], email="new@example.org")
    answer = await orgs.data(LIST, {"id": ours}, by=people["ada"])
    newest, older = (e["node"] for e in answer["organization"]["invitations"]["edges"])
    assert (newest["email"], newest["status"]) == ("new@example.org", "PENDING")
    assert (older["status"], older["organizationName"]) == ("ACCEPTED", "Acme")
    answer = await orgs.ask(LIST, {"id": ours}, by=people["bob"])
    assert answer["data"] == {"organization": {"invitations": None}}
    [error] = answer["errors"]
    assert error["path"] == ["organization", "invitations"]
    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_another_tenants_invitation_answers_like_an_unknown_one(orgs: Orgs) -> None:
    theirs, them = await orgs.organization(bob="OWNER")
    await orgs.invite(theirs, by=them["bob"])
    _, people = await orgs.organization(ada="OWNER")
    [row] = await orgs.sql("select id from invitations where organization_id = :org", org=theirs)
    for given in (str(row.id), new_id(), "nonsense"):
        error = await orgs.error(REVOKE, {"input": {"invitationId": given}}, by=people["ada"])
        assert error == {"message": "Not found.", "code": "NOT_FOUND"}
    given_invite = {"organizationId": theirs, "email": "x@example.org"}
    error = await orgs.error(INVITE, {"input": given_invite}, by=people["ada"])
    assert error["code"] == "NOT_FOUND"


async def test_open_invitations_are_limited(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    await orgs.sql(
        "insert into invitations (organization_id, email, role, token_hash, expires_at)"
        " select :org, n || '@example.org', 'member', sha256(n::text::bytea), now() + '1 day'"
        " from generate_series(1, :n) n",
        org=ours,
        n=MOST_OPEN_INVITATIONS,
    )
    given = {"organizationId": ours, "email": "more@example.org"}
    assert (await orgs.error(INVITE, {"input": given}, by=people["ada"]))["code"] == "CONFLICT"


async def test_old_invitations_are_forgotten(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    for email in ("old@example.org", "new@example.org"):
        await orgs.invite(ours, by=people["ada"], email=email)
    await orgs.sql(
        "update invitations set expires_at = now() - interval '31 days'"
        " where email = 'old@example.org'"
    )
    [row] = await orgs.sql("select now()")
    [schedule] = schedules(orgs.database, lambda: row[0])
    await schedule.run()
    [kept] = await orgs.sql("select email from invitations")
    assert kept.email == "new@example.org"
