"""The users subgraph: people, their profiles and settings, their sessions.

Owns the PostgreSQL schema ``users`` and the ``session:`` keys in Redis.
Publishes ``users.user.*`` and ``users.deletion.started``; consumes
``orgs.membership.*`` to know who are colleagues.
"""
