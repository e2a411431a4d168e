"""The page of a server that others reach says nothing of where things lie on its machine."""

from __future__ import annotations

from pathlib import Path

import flask
import pytest

from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks.messages import public, without_folders


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "Could not write '/srv/data/store/cache/x': full.",
            "Could not write 'store/cache/x': full.",
        ),
        ("There is no /srv/data/store.", "There is no store."),
        ("No model in /srv/data/models/small, sorry", "No model in models/small, sorry"),
        ("/srv/data/store-2 and /srv/data/stores", "/srv/data/store-2 and /srv/data/stores"),
        ("Nothing of the kind.", "Nothing of the kind."),
    ],
)
def test_private_folders_are_called_by_their_last_name(sentence: str, said: str) -> None:
    folders = [Path("/srv/data/store"), Path("/srv/data/models"), Path("/")]
    assert without_folders(sentence, folders) == said


def test_a_folder_within_another_is_called_by_its_own_name() -> None:
    folders = [Path("/srv"), Path("/srv/data/store")]
    assert without_folders("'/srv/data/store/x', '/srv/y'", folders) == "'store/x', 'srv/y'"


def test_who_is_on_the_machine_sees_paths_and_others_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    for local, said in ((True, str(folder)), (False, "store")):
        server: flask.Flask = create_app(Settings(folder, local=local)).server
        with server.app_context():
            assert public(f"Could not read '{folder}/x'.") == f"Could not read '{said}/x'."
