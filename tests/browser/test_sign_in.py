"""Signing in and out in a browser, under the policy that is sent with every page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from concept_fragmentation.components import ids
from concept_fragmentation.users import Users

PASSWORD = "correct horse battery"  # noqa: S105 - of this test


def test_who_signs_in_sees_the_view_that_was_asked_for_until_signing_out(
    serve: Callable[..., Any], browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "users.json"
    Users(path).set_password("ada", PASSWORD)
    server = serve(users=path)
    # In a profile of its own, since cookies don't know ports.
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{server.url}?v=1&tab=library")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(f"#{ids.LIBRARY_TABLE}")).to_be_visible()
    assert page.url == f"{server.url}?v=1&tab=library"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(server.stories)
    expect(page.get_by_label("Password")).to_be_visible()
    assert complaints == []
    context.close()
