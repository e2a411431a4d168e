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


# Paths as messages have them: in quotes, or up to the next space or mark.
_QUOTED: Final = re.compile(r"""(?P<quote>["'`])(?P<path>(?:[A-Za-z]:)?[/\\].*?)(?P=quote)""")
_BARE: Final = re.compile(r"""(?<![\w.~/\\-])(?P<path>(?:[A-Za-z]:)?[/\\][^\s"'`<>,;:()]+)""")


def public(sentence: str) -> str:
    """Return a sentence fit for who is served: to others than on this machine, without its paths.

    Whatever a page or a route says of an error goes through here. What lies in a folder of the
    server's is named from that folder on, anything else by its last name.
    """
    folders = _private_folders()
    if not folders:
        return sentence
    sentence = without_folders(sentence, folders)
    for pattern in (_QUOTED, _BARE):
        sentence = pattern.sub(_last_name, sentence)
    return sentence


def _last_name(found: re.Match[str]) -> str:
    """Return what was found, of a path of this machine only the last name.

    Other things begin with a slash too, such as addresses and tokens.
    """
    text = found["path"]
    path = Path(text)
    if not path.is_absolute() or len(path.parts) < 3 or not Path(*path.parts[:2]).exists():
        return found[0]
    return found[0].replace(text, path.name)


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
