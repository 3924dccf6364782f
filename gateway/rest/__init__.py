"""The thin REST endpoints: privacy, webhooks, health, and the OpenAPI document of them all.

Each module describes its endpoints as `Operation`s: the routes and the document
are both made from those, so neither can say what the other does not.
"""
