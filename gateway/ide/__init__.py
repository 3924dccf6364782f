"""The page that a browser gets at `/graphql`: GraphiQL with examples, served without any CDN.

`./nexus` bundles its assets from locked packages; a built wheel carries them. Off in production.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template

from starlette.datastructures import QueryParams
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.headers import headers_of

__all__ = ["ASSETS", "EXAMPLES", "Example", "IdePage", "asset_route", "example"]

FOLDER = Path(__file__).parent
ASSETS = FOLDER / "assets"
EXAMPLES = ("log_in", "dashboard", "invoice_updated")

# Monaco sets styles from scripts; nothing else may be inline, and nothing comes from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Example:
    """An operation that the page opens in a tab of its own."""

    query: str
    variables: str | None = None


class IdePage:
    """Answers a browser that opens the endpoint with the page; all else is the endpoint's."""

    def __init__(self, endpoint: ASGIApp) -> None:
        self._endpoint = endpoint
        self._page = _page([example(name) for name in EXAMPLES])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._page if _is_opened_by_a_browser(scope) else self._endpoint
        await answer(scope, receive, send)


def asset_route() -> Mount:
    """The route of the files that the page loads."""
    if not (ASSETS / "app.js").exists():
        raise FileNotFoundError(f"{ASSETS} is empty; ./nexus fills it, as does building the wheel")
    return Mount("/ide/assets", StaticFiles(directory=ASSETS), name="ide")


def example(name: str) -> Example:
    """One of the operations of `examples/`, with its variables if it has any."""
    variables = FOLDER / "examples" / f"{name}.json"
    return Example(
        query=(FOLDER / "examples" / f"{name}.graphql").read_text(),
        variables=variables.read_text() if variables.exists() else None,
    )


def _page(examples: list[Example]) -> HTMLResponse:
    tabs = [{"query": tab.query, "variables": tab.variables} for tab in examples]
    # In a script element only `<` could end the data.
    data = json.dumps(tabs).replace("<", "\\u003c")
    html = Template((FOLDER / "page.html").read_text()).substitute(examples=data)
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(html, headers=headers)


def _is_opened_by_a_browser(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    asks = "query" in QueryParams(scope["query_string"])
    return not asks and "text/html" in headers_of(scope).get("accept", "")
