"""How a callback says what happened, whether it went well or not."""

from __future__ import annotations

from dash import set_props

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.components import ids
from concept_fragmentation.components.messages import failure, success


def say(sentence: str) -> None:
    """Show that something was done."""
    set_props(ids.MESSAGES, {"children": [success(sentence)]})


def say_failed(sentence: str) -> None:
    """Show why something was not done."""
    set_props(ids.MESSAGES, {"children": [failure(sentence)]})


def tell_failure(error: Exception) -> None:
    """Show why something was not done; every output of the failed callback stays as it is.

    Given to Dash as `on_error`. Anything but the project's own errors is a fault in the code
    and goes on.
    """
    if not isinstance(error, ConceptFragmentationError):
        raise error
    say_failed(str(error))
