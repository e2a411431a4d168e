"""The page of a server that others reach says nothing of where things lie on its machine."""

from __future__ import annotations

from pathlib import Path

import flask
import pytest

from concept_fragmentation.app import Settings, create_app
from concept_fragmentation.callbacks.messages import public, without_folders
from concept_fragmentation.callbacks.python import python_of
from concept_fragmentation.callbacks.transfer import export, export_result
from concept_fragmentation.callbacks.workspace import Workspace
from concept_fragmentation.components import ids
from concept_fragmentation.components.view import View
from concept_fragmentation.persistence import GPT2AnalysisPersistence


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
        (
            "In /mnt/srv/data/store and a/srv/data/store",  # outside-ok: text that is masked
            "In /mnt/srv/data/store and a/srv/data/store",  # outside-ok: text that is masked
        ),
        ("Nothing of the kind.", "Nothing of the kind."),
    ],
)
def test_private_folders_are_called_by_their_last_name(sentence: str, said: str) -> None:
    folders = [Path("/srv/data/store"), Path("/srv/data/models"), Path("/")]
    assert without_folders(sentence, folders) == said


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Could not read '/usr/lib/x y.json': gone.", "Could not read 'x y.json': gone."),
        (
            '[Errno 2] No such file: "/etc/secret/users.json"',
            '[Errno 2] No such file: "users.json"',
        ),
        ("file:/usr/share/model, and /usr/bin/python3.", "file:model, and python3."),
        ("See https://host.example/usr/x or /dashboard/x", None),
        ("The tokens '/' and ' /usr' and 'and/usr/or'", None),
    ],
)
def test_no_path_at_all_is_said_to_who_is_elsewhere(
    tmp_path: Path, sentence: str, said: str | None
) -> None:
    for local in (True, False):
        server: flask.Flask = create_app(Settings(tmp_path / "store", local=local)).server
        with server.app_context():
            assert public(sentence) == (sentence if local else said or sentence)


def test_a_folder_within_another_is_called_by_its_own_name() -> None:
    folders = [Path("/srv"), Path("/srv/data/store")]
    assert without_folders("'/srv/data/store/x', '/srv/y'", folders) == "'store/x', 'srv/y'"


def test_who_is_on_the_machine_sees_paths_and_others_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    for local, said in ((True, str(folder)), (False, "store")):
        server: flask.Flask = create_app(Settings(folder, local=local)).server
        with server.app_context():
            assert public(f"Could not read '{folder}/x'.") == f"Could not read '{said}/x'."


@pytest.mark.parametrize("local", [True, False])
def test_an_export_says_where_it_is_only_to_who_is_on_the_machine(
    store: GPT2AnalysisPersistence, saved: str, local: bool
) -> None:
    server: flask.Flask = create_app(Settings(store.base_dir, local=local)).server
    workspace, view = Workspace(store), View(analysis_id=saved)
    with server.app_context():
        for chosen in ("json", "csv"):
            path = export(workspace, view, chosen)
            said = "".join(map(str, export_result(path)))
            assert path.name in said
            assert (str(store.base_dir) in said) == local
        code = python_of(workspace, ids.SANKEY, workspace.settle(view), "light")
        assert (str(store.base_dir.resolve()) in code) == local


def test_no_answer_of_a_server_for_others_names_its_folders(
    store: GPT2AnalysisPersistence, saved: str
) -> None:
    client = create_app(Settings(store.base_dir)).server.test_client()
    for file in (store.base_dir / "analysis_results").rglob("*"):
        if file.is_file():
            file.write_bytes(b"damaged")
    query = View(analysis_id=saved).to_query()
    for path in (f"/figure/{ids.SANKEY}.csv{query}", f"/report.html{query}", "/exports/none.json"):
        answer = client.get(path)
        assert answer.status_code in {400, 404}
        assert str(store.base_dir) not in answer.text
