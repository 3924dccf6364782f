"""The storage subgraph: files of people and organizations, in an S3 bucket, within quotas.

Owns the PostgreSQL schema ``storage`` and the bucket.  Publishes
``storage.file.*``; consumes ``billing.plan.changed`` (the limit to hold
uploads to), ``orgs.organization.closed`` and ``users.deletion.started``.
"""
