"""How a callback says what happened, whether it went well or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import flask
from dash import set_props

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.components import ids
from concept_fragmentation.components.messages import failure, success

# The setting of the server that lists the folders whose paths the page does not show.
PRIVATE_FOLDERS: Final = "PRIVATE_FOLDERS"


def public(sentence: str) -> str:
    """Return a sentence without the paths of the server's private folders."""
    return without_folders(sentence, _private_folders())


def public_path(path: Path) -> str:
    """Return a path for the page: whole for who is on the server's machine, else its name."""
    return path.name if _private_folders() else str(path)


def _private_folders() -> Sequence[Path]:
    """Return the folders whose paths are not shown; none where all may be."""
    folders: Sequence[Path] = ()
    if flask.has_app_context():
        folders = flask.current_app.config.get(PRIVATE_FOLDERS, ())
    return folders


def without_folders(sentence: str, folders: Iterable[Path]) -> str:
    """Return a sentence in which each of the folders, longest first, is called by its last name."""
    paths = {str(form): form for folder in folders for form in (folder, folder.resolve())}
    for path, folder in sorted(paths.items(), key=lambda item: -len(item[0])):
        if folder.is_absolute() and folder.name:
            # Not the end or the beginning of another.
            pattern = rf"(?<![\w.~-]){re.escape(path)}(?![\w.-]*\w)"
            sentence = re.sub(pattern, folder.name.replace("\\", ""), sentence)
    return sentence


def say(sentence: str) -> None:
    """Show that something was done."""
    set_props(ids.MESSAGES, {"children": [success(public(sentence))]})


def say_failed(sentence: str) -> None:
    """Show why something was not done."""
    set_props(ids.MESSAGES, {"children": [failure(public(sentence))]})


def tell_failure(error: Exception) -> None:
    """Show why something was not done; every output of the failed callback stays as it is.

    Given to Dash as `on_error`. Anything but the project's own errors is a fault in the code
    and goes on.
    """
    if not isinstance(error, ConceptFragmentationError):
        raise error
    say_failed(str(error))
