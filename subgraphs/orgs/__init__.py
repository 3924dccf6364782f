"""The orgs subgraph: organizations, who belongs to them in which role, and invitations.

Owns the PostgreSQL schema ``orgs`` and raises the ``access:gen:`` numbers in
Redis, which make what others keep of a user's memberships worthless.
Publishes ``orgs.organization.*``, ``orgs.membership.*`` and
``orgs.invitation.*``; consumes its own membership facts (to raise those numbers
should Redis have been away) and ``users.deletion.started``.
"""
