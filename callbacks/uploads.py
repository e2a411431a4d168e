"""What the browser sends of a file: its bytes, if they are not too many."""

from __future__ import annotations

import base64
import binascii

from dash import Dash, Input

from concept_fragmentation.analysis.errors import ConceptFragmentationError
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.words import mebibytes, title


class UploadError(ConceptFragmentationError):
    """A file that was dropped did not arrive, or is too large to."""


def register(app: Dash, workspace: Workspace) -> None:
    """Say so when the browser did not even send a file (assets/uploads.js)."""

    @app.callback(Input(ids.UPLOAD_REFUSED, "data"), prevent_initial_call=True)
    def refused(name: str | None) -> None:
        raise too_large(name or "", workspace.max_upload)


def received(filename: str, contents: str, max_upload: int) -> bytes:
    """Return the bytes of a file that the browser sent as a data URL.

    Raises:
        UploadError: it is larger than `max_upload` bytes, or did not arrive whole.
    """
    _, _, encoded = contents.partition(",")
    # Four characters hold three bytes; decoded only when that is not too much.
    if len(encoded) > 4 * -(-max_upload // 3):
        raise too_large(filename, max_upload)
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UploadError(f"'{title(filename)}' did not arrive whole; drop it again.") from error
    if len(content) > max_upload:
        raise too_large(filename, max_upload)
    return content


def too_large(filename: str, max_upload: int) -> UploadError:
    """Return the error that says what the limit is, and the ways around it."""
    return UploadError(
        f"'{title(filename)}' is larger than {mebibytes(max_upload)}, the most the page takes. "
        "On the machine of the store 'concept-fragmentation import' and 'analyze' take larger "
        "files; 'concept-fragmentation serve --max-upload' sets the limit."
    )
