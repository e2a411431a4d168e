from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, silhouette_score
from transformers import AutoModelForCausalLM, AutoTokenizer

from concept_fragmentation import analysis
from concept_fragmentation.analysis import (
    STAGES,
    Analysis,
    InvalidDataError,
    MissingExtraError,
    ModelUnavailableError,
    ReadAloneWarning,
    analyze,
    analyze_again,
    find_problems,
    layer_window,
    purity,
    saving_arguments,
    window_significance,
    word_types,
)
from concept_fragmentation.analysis.extra import install_command
from concept_fragmentation.analysis.massive import KINDS
from concept_fragmentation.persistence import GPT2AnalysisPersistence

pytestmark = pytest.mark.slow

TEXT = (
    "Mark was a tired man who lived near the mountain with a strange rabbit. He met a nurse near "
    "the village. He sat on the bank of the river. In the winter, he went to the market."
)
TINY = Path(analysis.__file__).parent.parent / "data" / "tiny_gpt2"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return analyze(TEXT, "tiny", n_clusters=5)


class Cancelled(Exception):  # noqa: N818 - it is no error
    pass


def test_a_text_becomes_a_consistent_analysis(made: dict[str, Any]) -> None:
    assert find_problems(made) == []
    assert "".join(made["token_metadata"]["tokens"]) == TEXT
    assert made["model_type"] == "tiny_gpt2"
    assert made["layers"] == ["embedding", "block_1", "block_2", "block_3", "block_4"]
    assert set(made["attention_data"]) == set(made["layers"][1:])
    assert layer_window(Analysis.from_dict(made), 0, 4).num_counted == len(made["token_paths"]) - 1


def test_the_metrics_are_those_of_the_states_and_labels(made: dict[str, Any]) -> None:
    labels = [made["cluster_labels"][layer] for layer in made["layers"]]
    for layer, of_layer in zip(made["layers"], labels, strict=True):
        found = made["cluster_metrics"][layer]
        assert of_layer[0] == -1
        expected = silhouette_score(made["hidden_states"][layer][1:], of_layer[1:])
        assert found["silhouette"] == pytest.approx(expected, abs=1e-5)
        assert found["num_clusters"] == 5
        assert -1 <= found["stability"] <= 1
    information = made["layer_similarity"]["adjusted_mutual_information"]
    assert information[1][3] == pytest.approx(
        adjusted_mutual_info_score(labels[1][1:], labels[3][1:])
    )
    words = word_types(made["token_metadata"]["tokens"])
    once = window_significance(made, 0, 4, types=words, permutations=1)
    assert made["significance"]["fragmentation"]["observed"] == once.fragmentation.observed
    assert made["significance"]["num_words"] == len(set(words[1:]))
    states = np.stack([made["hidden_states"][layer][7] for layer in made["layers"]])
    length = np.linalg.norm(np.diff(states, axis=0), axis=1).sum()
    assert made["token_paths"]["7"]["path_length"] == pytest.approx(length, rel=1e-5)


def test_the_shipped_model_has_learnt_what_it_was_trained_on() -> None:
    import torch  # noqa: PLC0415

    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    ids = tokenizer(f"<|endoftext|>{TEXT}", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        perplexity = float(model(input_ids=ids, labels=ids).loss.exp())
    assert perplexity < 12
    assert sum(file.stat().st_size for file in TINY.iterdir()) < 1_000_000


def test_the_same_seed_gives_the_same_analysis_to_the_last_bit(made: dict[str, Any]) -> None:
    again = analyze(TEXT, "tiny", n_clusters=5)
    for key in set(made) - {"provenance"}:
        assert pickle.dumps(again[key]) == pickle.dumps(made[key]), key
    other = analyze(TEXT, "tiny", n_clusters=5, seed=1)
    assert other["cluster_labels"] != made["cluster_labels"]


@pytest.fixture(scope="module")
def elsewhere() -> list[str]:
    """Return what another process without a network says: an analysis, and why there is none."""
    script = (
        "from concept_fragmentation.analysis import analyze, ModelUnavailableError\n"
        f"made = analyze({TEXT!r}, 'tiny', n_clusters=5)\n"
        "print({key: made[key] for key in sorted(made) if key not in "
        "('provenance', 'hidden_states')})\n"
        "try: analyze('text', 'no-one/no-such-model')\n"
        "except ModelUnavailableError as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={"HF_HUB_OFFLINE": "1", "PATH": "", "HF_HOME": "/nonexistent", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()


def test_the_same_seed_gives_the_same_analysis_in_another_process(
    made: dict[str, Any], elsewhere: list[str]
) -> None:
    kept = sorted(set(made) - {"provenance", "hidden_states"})
    assert elsewhere[0] == repr({key: made[key] for key in kept})


def test_aligned_ids_stay_with_their_tokens_and_raw_ids_do_not(made: dict[str, Any]) -> None:
    raw = analyze(TEXT, "tiny", n_clusters=5, align=False)
    kept = {
        name: sum(
            a == b
            for here, there in zip(made["layers"][:-1], made["layers"][1:], strict=True)
            for a, b in zip(of["cluster_labels"][here], of["cluster_labels"][there], strict=True)
        )
        for name, of in (("aligned", made), ("raw", raw))
    }
    assert kept["aligned"] > kept["raw"]
    for layer in made["layers"]:
        pairs = set(zip(made["cluster_labels"][layer], raw["cluster_labels"][layer], strict=True))
        assert len(pairs) == 6
        assert (-1, -1) in pairs


def test_several_texts_keep_their_boundaries() -> None:
    made = analyze([TEXT, "", "Ruth ran."], "tiny", n_clusters=3)
    assert made["set_aside"]["starts"] == [0, len(made["token_paths"]) - 3]
    metadata = made["token_metadata"]
    second = [i for i, number in enumerate(metadata["sequence_ids"]) if number == 1]
    assert [metadata["tokens"][i] for i in second] == ["Ruth", " ran", "."]
    assert [metadata["positions"][i] for i in second] == [0, 1, 2]
    alone = analyze("Ruth ran.", "tiny", n_clusters=2)
    np.testing.assert_allclose(
        made["hidden_states"]["block_4"][second], alone["hidden_states"]["block_4"], atol=1e-4
    )


def test_each_word_is_read_alone_with_a_space_before_it() -> None:
    words = ["dog", "house", "saxophone", "river"]
    skipped = analyze(words, "tiny", words="skip", n_clusters=2, categories={"kind": list("apxp")})
    assert skipped["token_metadata"]["tokens"] == [" dog", " house", " river"]
    assert skipped["words"] == {
        "skipped": ["saxophone"],
        "averaged": [],
        "prefix": "The word is",
    }
    assert skipped["token_metadata"]["kind"] == ["a", "p", "p"]
    averaged = analyze(words, "tiny", words="average", n_clusters=2, prefix="The old")
    assert averaged["words"]["averaged"] == [" saxophone"]
    whole = analyze("The old saxophone", "tiny", n_clusters=1)
    alone = analyze(" saxophone", "tiny", n_clusters=1)
    np.testing.assert_allclose(
        averaged["hidden_states"]["block_3"][2],
        whole["hidden_states"]["block_3"][-len(alone["token_paths"]) :].mean(axis=0),
        atol=1e-5,
    )
    assert "attention_data" not in averaged
    assert averaged["words"]["prefix"] == averaged["provenance"]["options"]["prefix"] == "The old"


def test_words_that_are_read_alone_are_warned_of() -> None:
    words = ["dog", "house", "saxophone", "river"]
    with pytest.warns(ReadAloneWarning, match="first position.*give a prefix") as told:
        made = analyze(words, "tiny", words="average", n_clusters=2, prefix=" ")
    assert told[0].filename == __file__
    assert made["set_aside"]["starts"] == []
    alone = analyze(" saxophone", "tiny", n_clusters=1)
    np.testing.assert_allclose(
        made["hidden_states"]["block_3"][2],
        alone["hidden_states"]["block_3"].mean(axis=0),
        atol=1e-5,
    )


def test_starts_and_special_tokens_are_set_aside_and_an_option_keeps_them(
    made: dict[str, Any],
) -> None:
    ids = [*made["token_metadata"]["token_ids"][:20], 0, *made["token_metadata"]["token_ids"][:9]]
    of_two = analyze([ids, ids[:4]], "tiny", n_clusters=3, window=15, overlap=0)
    assert of_two["token_metadata"]["tokens"][20] == "<|endoftext|>"
    assert of_two["set_aside"]["starts"] == [0, 15, 30]
    assert of_two["set_aside"]["special_tokens"] == [20]
    assert of_two["provenance"]["set_aside"] == {
        "starts": 3,
        "special_tokens": 1,
        "large_norms": len(of_two["set_aside"]["large_norms"]),
    }
    aside = [i for name in KINDS for i in of_two["set_aside"][name]]
    for labels in of_two["cluster_labels"].values():
        assert [i for i, label in enumerate(labels) if label == -1] == sorted(aside)
    kept = analyze(TEXT, "tiny", n_clusters=5, keep_massive=True)
    assert "set_aside" not in kept
    assert not any(-1 in labels for labels in kept["cluster_labels"].values())
    assert kept["layer_similarity"]["cka"] != made["layer_similarity"]["cka"]


def test_a_text_of_nothing_but_starts_says_what_can_be_done() -> None:
    with pytest.raises(InvalidDataError, match=r"2 tokens are set aside .*keep_massive=True"):
        analyze(["Ruth", "Emma"], "tiny", n_clusters=1)
    with pytest.raises(InvalidDataError, match=r"3 clusters of 2 tokens.*1 token is set aside"):
        analyze("Ruth ran.", "tiny", n_clusters=3)


def test_an_analysis_of_an_earlier_version_is_made_again_as_it_was() -> None:
    then = {"keep_massive": True, "final_norm": True, "prefix": ""}
    words = ["dog", "house", "river"]
    with pytest.warns(ReadAloneWarning):
        made = analyze(words, "tiny", words="skip", n_clusters=2, **then)
    kept = made["provenance"]["options"]
    earlier = {name: value for name, value in kept.items() if name not in then}
    provenance = {**made["provenance"], "options": earlier}
    with pytest.warns(ReadAloneWarning):
        again = analyze_again({**made, "provenance": provenance})
    assert "set_aside" not in again
    for layer, states in made["hidden_states"].items():
        assert np.array_equal(again["hidden_states"][layer], states)


def test_categories_are_measured_by_token_or_by_text() -> None:
    texts = ["Ruth ran.", "Emma was kind."]
    made = analyze(texts, "tiny", n_clusters=3, categories={"text": ["Ruth", "Emma"]})
    of_tokens = made["token_metadata"]["text"]
    assert of_tokens == ["Ruth"] * 3 + ["Emma"] * 4
    for layer in made["layers"]:
        expected = purity(np.array(made["cluster_labels"][layer]), of_tokens).overall
        assert made["cluster_metrics"][layer]["purity"] == expected
    assert made["category_association"]["text"]["num_tokens"] == 5
    with pytest.raises(InvalidDataError, match=r"categories\.text: 3 values for"):
        analyze(texts, "tiny", categories={"text": ["a", "b", "c"]})
    with pytest.raises(InvalidDataError, match="'positions' says something else of tokens"):
        analyze(texts, "tiny", categories={"positions": ["a", "b"]})


def test_an_estimator_that_needs_more_tokens_than_a_part_has_gives_no_stability() -> None:
    made = analyze(["Ruth ran."] * 4, "tiny", layers=[0], clusterer=KMeans(7, n_init=1))
    # Two different tokens that are not set aside, four times each; the other clusters are empty.
    assert made["cluster_metrics"]["embedding"]["num_clusters"] == 2
    assert np.isnan(made["cluster_metrics"]["embedding"]["stability"])


def test_progress_is_told_by_stage() -> None:
    told: list[tuple[str, float]] = []
    analyze(TEXT, "tiny", n_clusters=5, progress=lambda *what: told.append(what))
    assert list(dict.fromkeys(stage for stage, _ in told)) == list(STAGES)
    for stage in STAGES:
        shares = [share for name, share in told if name == stage]
        assert shares == sorted(shares)
        assert (shares[0], shares[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("stage", STAGES)
def test_what_progress_raises_ends_the_work_and_nothing_is_left(
    stage: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("torch")))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("concept_fragmentation.analysis.hidden_states.IN_MEMORY_BYTES", 0)

    def cancel(at: str, share: float) -> None:
        if at == stage and share > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        analyze(TEXT, "tiny", n_clusters=5, progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_provenance_says_what_it_was_made_with(made: dict[str, Any]) -> None:
    provenance = made["provenance"]
    assert provenance["model"]["name"] == "tiny"
    assert len(provenance["model"]["weights_blake3"]) == 64
    assert provenance["input"]["text"] == TEXT
    assert provenance["options"]["n_clusters"] == 5
    assert {"torch", "transformers", "scikit-learn", "numpy"} <= set(provenance["libraries"])
    assert set(provenance["seconds_by_stage"]) == set(STAGES)


def test_an_analysis_is_made_again_from_the_store(made: dict[str, Any], tmp_path: Path) -> None:
    store = GPT2AnalysisPersistence(tmp_path)
    saved = store.save_analysis_results(made, **saving_arguments(made))
    loaded = store.load_analysis_results(saved)
    assert loaded["metadata"]["input_text"] == TEXT
    assert loaded["metadata"]["provenance"]["model"] == made["provenance"]["model"]
    again = analyze_again(loaded["analysis_data"])
    assert again["cluster_labels"] == made["cluster_labels"]
    assert again["significance"] == made["significance"]


def test_other_weights_are_noticed_when_an_analysis_is_made_again(
    made: dict[str, Any], tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(TINY)
    model.transformer.wte.weight.data[3] += 1
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(TINY).save_pretrained(tmp_path)
    provenance = made["provenance"]
    moved = {**provenance, "model": {**provenance["model"], "name": str(tmp_path)}}
    with pytest.raises(ModelUnavailableError, match="checksums differ"):
        analyze_again({**made, "provenance": moved})


def test_what_was_handed_over_in_memory_cannot_be_made_again(made: dict[str, Any]) -> None:
    model, tokenizer = (
        kind.from_pretrained(TINY) for kind in (AutoModelForCausalLM, AutoTokenizer)
    )
    of_loaded = analyze(TEXT, (model, tokenizer), n_clusters=5)
    with pytest.raises(InvalidDataError, match="was handed over in memory"):
        analyze_again(of_loaded)
    with pytest.raises(InvalidDataError, match="provenance: not there; analyze makes it"):
        saving_arguments({"model_type": "gpt2"})
    for given in (None, [], "mine"):
        with pytest.raises(InvalidDataError, match="an analysis dict is needed, not"):
            analyze_again(given)  # type: ignore[arg-type]
    with pytest.raises(InvalidDataError, match="provenance: not there"):
        analyze_again({key: value for key, value in made.items() if key != "provenance"})


def test_a_folder_is_a_model_too(made: dict[str, Any], tmp_path: Path) -> None:
    of_folder = analyze(TEXT, TINY, n_clusters=5)
    assert of_folder["cluster_labels"] == made["cluster_labels"]
    assert of_folder["model_type"] == "tiny_gpt2"
    with pytest.raises(ModelUnavailableError, match=r"the folder '.*' can't be loaded"):
        analyze(TEXT, tmp_path)


def test_a_model_that_cannot_be_had_offline_is_one_sentence_with_the_ways_out(
    elsewhere: list[str],
) -> None:
    _, said = elsewhere
    assert said.startswith("The model 'no-one/no-such-model' can't be had")
    for way in ("HF_HUB_OFFLINE", "local folder", "'tiny'"):
        assert way in said


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "there is no token"),
        ([], "there is no token"),
        ("half \ud800", r"text\[0\]: character 5 is half of a surrogate pair"),
        (b"bytes", "not bytes"),
        (7, "not int"),
        ([3.5], r"text\[0\]"),
        ([[True]], r"text\[0\]\[0\]"),
    ],
)
def test_what_is_no_text_is_named(text: Any, named: str) -> None:
    with pytest.raises(InvalidDataError, match=named):
        analyze(text, "tiny")


def test_without_the_extra_everything_else_works_and_one_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('torch', 'transformers', 'sklearn', 'tokenizers', 'threadpoolctl'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}')\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from concept_fragmentation import analysis, app\n"
        "analysis.Analysis.from_dict(app.demo_analysis()['analysis_data'])\n"
        "app.create_app(app.Settings(base_dir=sys.argv[1]))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=re.escape(install_command("gpt2"))):
        analyze(TEXT, "tiny")
