"""The billing subgraph: plans, credits, invoices, payments.

Owns the PostgreSQL schema ``billing``.  Money is a double-entry ledger whose
transactions sum to zero (`ledger`); an organization's credits are one of its
accounts and never fall below zero.  Every change to an organization's money
starts by locking its row in ``accounts``, so changes happen one after another.

Publishes ``billing.invoice.created|updated|paid|voided``, ``billing.plan.changed``
and ``billing.credits.changed``; consumes ``orgs.organization.created|closed``
and ``users.deletion.started``.
"""
