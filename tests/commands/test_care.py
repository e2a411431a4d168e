"""verify, repair, reindex, compress, stats and restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from click.testing import Result

from concept_fragmentation.persistence import GPT2AnalysisPersistence

Run = Callable[..., Result]
Ask = Callable[..., Any]
Store = GPT2AnalysisPersistence


def tear(store: Store) -> None:
    path = store.base_dir / "analysis_results" / "one" / "v000001.json"
    path.write_bytes(path.read_bytes()[:-20])


def test_verify_finds_nothing_in_a_good_store(run: Run, ask: Ask) -> None:
    assert run("verify").stdout == "Nothing is wrong.\n"
    assert ask("verify", "one") == []
    assert "not found" in run("verify", "none", code=1).stderr


def test_verify_names_a_torn_file_and_the_remedy(run: Run, ask: Ask, store: Store) -> None:
    tear(store)
    output = run("verify", code=3).stdout
    assert output.startswith("damaged: ")
    assert "v000001.json" in output
    (problem,) = ask("verify", "one", code=3)
    assert problem["path"].endswith("v000001.json")
    assert problem["remedy"]
    assert ask("verify", "two") == []


def test_repair_puts_a_torn_file_aside(run: Run, ask: Ask, store: Store) -> None:
    assert run("repair").stdout == "Nothing was wrong.\n"
    tear(store)
    report = ask("repair")
    assert report["problems"] == []
    assert len(report["quarantined"]) == 1
    assert [entry["analysis_id"] for entry in ask("list")] == ["two"]
    assert run("verify").stdout == "Nothing is wrong.\n"


def test_reindex_makes_the_catalog_anew(run: Run, ask: Ask, store: Store) -> None:
    store.close()
    for file in (store.base_dir / "metadata").glob("catalog.sqlite*"):
        file.unlink()
    assert run("reindex").stdout == "The catalog holds 2 analyses.\n"
    assert ask("reindex") == {"analyses": 2}
    assert len(ask("list")) == 2


def test_compress_makes_files_smaller_and_loses_nothing(run: Run, ask: Ask, store: Store) -> None:
    data = store.load_analysis_results("one")["analysis_data"]
    weights = np.zeros((2, 2, 2), np.float32)
    data["attention_data"] = {"layer_0": {"attention_probs": weights}}
    data["more"] = np.zeros(100_000)
    store.save_analysis_results(data, "gpt2", "a b", "one")
    (sizes,) = ask("compress", "one")
    assert sizes["bytes_after"] < sizes["bytes_before"] / 2
    assert not store.load_analysis_results("one")["analysis_data"]["more"].any()
    assert run("compress", "one", "two").stdout.count("->") == 2
    assert "not found" in run("compress", "none", code=1).stderr


def test_stats_count(run: Run, ask: Ask) -> None:
    found = ask("stats")
    assert found["analyses"] == 2
    assert found["bytes"] > 0
    output = run("stats").stdout
    assert "analysis_results" in output


def test_restore_undoes_a_delete(run: Run, ask: Ask, store: Store) -> None:
    assert run("restore").stdout == "The trash is empty.\n"
    run("delete", "one", "--yes")
    (entry,) = ask("restore")
    assert entry["analysis_id"] == "one"
    assert "First" in run("restore").stdout
    assert run("restore", "one").stdout == "Restored one.\n"
    assert store.load_analysis_results("one")["metadata"]["name"] == "First"
    assert run("restore", "one", code=1).stderr.startswith("Error: ")
    run("delete", "two", "--yes")
    trash_id = ask("restore")[0]["trash_id"]
    assert ask("restore", "two", "--trash-id", trash_id) == {"analysis_id": "two"}
