from __future__ import annotations

from typing import Any

from dash import dcc

from concept_fragmentation.components.layout import page


def test_every_dropdown_starts_with_a_value_that_is_an_option() -> None:
    """Else it takes the value back as it appears, and the first view is dropped on its way."""
    dropdowns: list[Any] = [
        part for part in page(1, {})._traverse() if isinstance(part, dcc.Dropdown)
    ]
    assert len(dropdowns) > 5
    for dropdown in dropdowns:
        value = getattr(dropdown, "value", None)
        options = [option["value"] for option in dropdown.options]
        chosen = value if isinstance(value, list) else [value] if value is not None else []
        assert set(chosen) <= set(options), dropdown.id
