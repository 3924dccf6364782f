"""An override from a graph that does not exist takes the field from nobody."""

from __future__ import annotations

from tests.federation.overridden_post import overridden_post

AREA = overridden_post("unavailable-override", overridden="non-existing", old={})
