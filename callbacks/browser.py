"""Callbacks that run in the browser, from the functions in assets/."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, State


def in_browser(
    app: Dash, namespace: str, function: str, *dependencies: Any, **options: Any
) -> None:
    """Connect `window.dash_clientside[namespace][function]` to inputs, outputs and states."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction(namespace, function), *dependencies, **options
    )


def write_tokens(app: Dash, holder_id: str) -> None:
    """Have the browser write the `token_chips` and steps that are put into an element."""
    in_browser(
        app,
        "tokens",
        "watch",
        Input(holder_id, "children"),
        State(holder_id, "id"),
        prevent_initial_call=True,
    )
