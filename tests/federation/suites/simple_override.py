"""An overridden field of a type that both graphs give at the root."""

from __future__ import annotations

from tests.federation.overridden_post import overridden_post

AREA = overridden_post("simple-override", overridden="a", old={"createdAt": "NEVER"})
