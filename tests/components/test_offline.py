"""Pages of one file say by themselves that nothing but their own scripts may run."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape

import plotly.graph_objects as go

from concept_fragmentation.components.offline import THEMES, figure_page, render


def policy_of(page: str) -> dict[str, str]:
    """Return the directives of the policy that stands in a page before anything else can run."""
    head, found, _ = page.partition('<meta http-equiv="Content-Security-Policy" content="')
    assert found
    assert not re.search("<(script|style|link|img)", head)
    content = unescape(page[len(head) + len(found) :].partition('"')[0])
    return dict(part.split(" ", 1) for part in content.split("; "))


def test_a_page_of_a_figure_has_no_network_and_no_script_but_its_own() -> None:
    page = figure_page(go.Figure(go.Bar(y=[1])), "</script><script>x", 300, "light")
    policy = policy_of(page)
    assert policy["default-src"] == "'none'"
    assert "connect-src" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    ]
    assert policy["script-src"].split() == hashes
    # Whatever else is in a script element is data.
    others = re.findall(r"<script([^>]+)>", page)
    assert others
    assert all('type="application/json"' in attributes for attributes in others)
    assert "http:" not in str(policy)
    assert "unsafe-eval" not in str(policy)


def test_each_page_has_one_policy() -> None:
    figure = go.Figure(go.Bar(y=[1]))
    first = figure_page(figure, "one", 300, "light")
    page = render(
        "figure.html", {"figure": {"dark": figure}}, THEMES, title="<meta http-equiv=", height=9
    )
    assert policy_of(first) == policy_of(page)
    assert page.count("<meta http-equiv=") == 1
