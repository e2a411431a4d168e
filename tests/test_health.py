"""`/healthz` says to anybody that the server answers, and what it keeps in memory; nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import flask
import pytest

from concept_fragmentation.app import Settings, SettingsError, create_app
from concept_fragmentation.callbacks.memory import MIB, usual_budget
from concept_fragmentation.components import ids
from concept_fragmentation.users import Users


def asked(settings: Settings, path: str = "/healthz") -> tuple[dict[str, object], flask.Flask]:
    server: flask.Flask = create_app(settings).server
    answer = server.test_client().get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    found: dict[str, object] = json.loads(answer.text)
    return found, server


def test_it_says_what_is_kept_and_nothing_of_what_is_stored(tmp_path: Path) -> None:
    said, server = asked(Settings(tmp_path / "store", memory=200 * MIB))
    assert set(said) == {"status", "version", "memory"}
    assert said["status"] == "ok"
    memory = said["memory"]
    assert isinstance(memory, dict)
    assert memory["budget_mib"] == 200
    assert memory["resident_mib"] > memory["kept_mib"] == 0
    client = server.test_client()
    assert client.get(f"/figure/{ids.SANKEY}.csv").status_code == 200
    assert client.get("/healthz").json["memory"]["kept_mib"] > 1  # type: ignore[index]


def test_nobody_needs_to_sign_in_for_it(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json")
    users.set_password("ada", "a password of length")
    said, server = asked(Settings(tmp_path / "store", users=tmp_path / "users.json"))
    assert set(said) == {"status", "version", "memory"}
    assert server.test_client().get("/_dash-layout").status_code == 401


def test_it_is_below_the_prefix(tmp_path: Path) -> None:
    said, _ = asked(Settings(tmp_path / "store", prefix="/user/ada/"), "/user/ada/healthz")
    assert said["status"] == "ok"


def test_the_budget_is_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment().memory == usual_budget()
    monkeypatch.setenv("CONCEPT_FRAGMENTATION_MEMORY", "300")
    assert Settings.from_environment().memory == 300 * MIB
    monkeypatch.setenv("CONCEPT_FRAGMENTATION_MEMORY", "0")
    with pytest.raises(SettingsError, match=r"CONCEPT_FRAGMENTATION_MEMORY is '0'; give a whole"):
        Settings.from_environment()
