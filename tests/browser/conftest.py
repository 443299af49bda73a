"""A real browser for the tests: signed-in pages of any width, whose complaints and foreign requests are collected."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PHONE, DESK = 390, 1440
PATIENCE_MS = 90_000
"""How long a page may take at most: a machine may have ten times as much to do as it has cores."""
expect.set_options(timeout=PATIENCE_MS)
WATCH_POLICY = """
window.policyViolations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.policyViolations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}`);
});
"""


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """SQLite in a file: in memory, the server's threads would share one connection and meet in its transactions."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "browser.sqlite3")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's browser, as it runs in a container; one for each module, because only one driver may be alive."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def clean_cache() -> None:
    """Nothing kept from another test."""
    cache.clear()


@dataclass
class Visitor:
    """A page of the browser, and what went wrong on it."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def go(self, address: str) -> Any:
        """Open an address of the site."""
        return self.page.goto(self.url + address)

    def wrong(self) -> list[str]:
        """Return all complaints so far: of the console, of the content policy, requests to other hosts."""
        return [*self.complaints, *self.page.evaluate("window.policyViolations ?? []"), *self.foreign]


@pytest.fixture
def visit(chromium: Browser, live_server: Any, transactional_db: None) -> Iterator[Callable[..., Visitor]]:
    """Return a function that opens a page: `visit(user=None, width=1440, scheme="light", script=True)`."""
    contexts = []

    def open_page(user: Any = None, width: int = DESK, scheme: str = "light", *, script: bool = True) -> Visitor:
        context = chromium.new_context(
            viewport={"width": width, "height": 844 if width == PHONE else 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=script,
            has_touch=width == PHONE,
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            session = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        context.add_init_script(WATCH_POLICY)
        visitor = Visitor(context.new_page(), live_server.url)
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        visitor.page.on(
            "console", lambda line: visitor.complaints.append(line.text) if line.type in ("error", "warning") else None
        )
        visitor.page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((live_server.url, "data:", "blob:"))
                else visitor.foreign.append(request.url)
            ),
        )
        return visitor

    yield open_page
    for context in contexts:
        context.close()
