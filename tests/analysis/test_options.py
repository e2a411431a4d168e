from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from concept_fragmentation.analysis import InvalidDataError, analyze, check_options, skipped_words
from concept_fragmentation.analysis.options import Options

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"n_clusters": 0}, "n_clusters: a whole number from 1"),
    ({"n_clusters": True}, "n_clusters: .* not True"),
    ({"n_clusters": 3.0}, "n_clusters: .* not 3.0"),
    ({"n_clusters": "many"}, "n_clusters: .* not 'many'"),
    ({"n_clusters": None}, "n_clusters: .* not None"),
    ({"n_clusters": [3, 4]}, "n_clusters: .* not a list"),
    ({"n_clusters": {}}, "n_clusters: .* there is none in it"),
    ({"n_clusters": {"block_1": 0}}, r"n_clusters\.block_1: .* not 0"),
    ({"n_clusters": {"blok_1": 3}}, "n_clusters: no layer 'blok_1'"),
    ({"n_clusters": 5, "clusterer": KMeans(3)}, "n_clusters: the estimator has its own number"),
    ({"clusterer": "dbscan"}, "clusterer: 'kmeans' or a scikit-learn clusterer"),
    ({"clusterer": KMeans}, r"clusterer: KMeans is a class; make one of it: KMeans\(\)"),
    ({"clusterer": StandardScaler()}, "clusterer: .* not StandardScaler"),
    ({"clusterer": None}, "clusterer: .* not None"),
    ({"seed": -1}, "seed: .* not -1"),
    ({"seed": 2**32}, "seed"),
    ({"seed": True}, "seed: .* not True"),
    ({"seed": 1.0}, "seed: .* not 1.0"),
    ({"seed": None}, "seed: .* not None"),
    ({"pca": 0}, "pca: .* not 0"),
    ({"pca": 1.5}, "pca: .* not 1.5"),
    ({"pca": True}, "pca: .* not True"),
    ({"pca": "half"}, "pca: .* not 'half'"),
    ({"layers": "block_1"}, "layers: a list of layers is needed, not 'block_1'"),
    ({"layers": []}, "layers: at least one is needed"),
    ({"layers": [1, np.int64(1)]}, "layers: .*each once"),
    ({"layers": [True]}, "layers: no layer True"),
    ({"layers": [1.0]}, "layers: no layer 1.0"),
    ({"layers": ["block_0"]}, "layers: no layer 'block_0'; there are embedding, block_1"),
    ({"layers": 3}, "layers: a list of layers is needed, not 3"),
    ({"attention": "some"}, "attention: 'metrics', 'full' or 'none'"),
    ({"attention": None}, "attention: .* not None"),
    ({"words": "split"}, "words: 'skip', 'average' or None"),
    ({"words": True}, "words: .* not True"),
    ({"batch_size": 0}, "batch_size: 0; a whole number from 1"),
    ({"batch_size": 2.0}, "batch_size: 2.0"),
    ({"window": True}, "window: True"),
    ({"overlap": -1}, "overlap: -1"),
    ({"window": 8, "overlap": 8}, "overlap: 8 of windows of 8 tokens"),
    ({"standardise": "no"}, "standardise: True or False is needed, not 'no'"),
    ({"align": 1}, "align: True or False is needed, not 1"),
    ({"keep_hidden_states": None}, "keep_hidden_states: True or False"),
    ({"revision": 3}, "revision: .* not 3"),
]


@pytest.mark.parametrize(("options", "sentence"), WRONG)
def test_a_wrong_option_is_named_before_anything_is_loaded(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidDataError, match=sentence):
        check_options(**options)
    # It would be said that there is no such model, if that were looked at first.
    with pytest.raises(InvalidDataError, match=sentence):
        analyze(["word"], "/no/such/model", **options)


def test_every_problem_is_listed_at_once() -> None:
    with pytest.raises(InvalidDataError) as raised:
        check_options("", categories={"tag": "noun"}, n_clusters=0, seed=-1)
    assert [problem.split(":")[0] for problem in raised.value.problems] == [
        "n_clusters",
        "seed",
        "text",
        "categories.tag",
    ]


def test_an_option_that_there_is_not_is_named() -> None:
    with pytest.raises(InvalidDataError, match="k: no option of analyze; there are layers, n_clus"):
        check_options(k=3)


def test_options_are_checked_without_torch_transformers_or_scikit_learn() -> None:
    script = (
        "import sys\n"
        "from concept_fragmentation.analysis import InvalidDataError, check_options\n"
        "check_options('text', n_clusters=4, layers=['embedding', -1], categories={'tag': ['a']})\n"
        "try: check_options(n_clusters=0)\n"
        "except InvalidDataError as error: print(error)\n"
        "loaded = [name for name in ('torch', 'transformers', 'sklearn') if name in sys.modules]\n"
        "print(loaded)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[0].startswith("Invalid data: n_clusters")
    assert ran.stdout.splitlines()[1] == "[]"


def test_iterators_are_not_used_up_by_a_check() -> None:
    words, tags = iter(["one", "two"]), iter(["a", "b"])
    check_options(words, categories={"tag": tags}, words="skip")
    assert (list(words), list(tags)) == (["one", "two"], ["a", "b"])


def test_whole_numbers_of_numpy_are_those_of_python() -> None:
    given = Options(
        layers=np.array([0, -1]),
        n_clusters={np.int64(0): np.int32(3), "block_2": 4},
        seed=np.uint32(7),
        batch_size=np.int64(2),
        window=np.int64(8),
        overlap=np.int16(0),
        pca=np.float32(0.5),
        align=np.bool_(False),
    ).checked()
    assert given == Options(
        layers=[0, -1],
        n_clusters={0: 3, "block_2": 4},
        seed=7,
        batch_size=2,
        window=8,
        overlap=0,
        pca=0.5,
        align=False,
    )
    kinds = [type(value) for value in (given.seed, given.batch_size, given.pca, given.align)]
    assert kinds == [int, int, float, bool]
    assert Options(pca=np.int64(3), n_clusters=np.int64(4)).checked() == Options(
        pca=3, n_clusters=4
    )


def test_numbers_of_clusters_may_name_layers_by_index() -> None:
    names = ["embedding", "block_1", "block_2"]
    clusterer = Options(n_clusters={0: 3, -1: 4}).clustering(names)
    assert clusterer.num_clusters == {"embedding": 3, "block_2": 4}
    with pytest.raises(InvalidDataError, match="n_clusters: -1 is named twice"):
        Options(n_clusters={"block_2": 3, -1: 4}).clustering(names)
    with pytest.raises(InvalidDataError, match="n_clusters: 3 is none of 3 layers"):
        Options(n_clusters={3: 3}).clustering(names)


def test_words_that_will_be_skipped_are_known_before_the_run() -> None:
    words = ["dog", "saxophone", " river ", "saxophone"]
    assert skipped_words(words, "tiny") == ["saxophone", "saxophone"]
    made = analyze(words, "tiny", words="skip", n_clusters=2, layers=[np.int64(-1)])
    assert made["words"]["skipped"] == ["saxophone", "saxophone"]
    assert made["layers"] == ["block_4"]
    with pytest.raises(InvalidDataError, match="a list of words is needed"):
        skipped_words("dog", "tiny")


def test_categories_may_be_tuples_and_come_from_iterators() -> None:
    words = ["dog", "river", "house", "bank"]
    tags = [("NN", "animal"), ("NN", "place"), ("NN", "place"), None]
    made = analyze(
        iter(words), "tiny", words="skip", n_clusters=2, layers=[0], categories={"tag": iter(tags)}
    )
    assert made["token_metadata"]["tag"] == tags
    assert made["provenance"]["input"] == {"text": words, "categories": {"tag": tags}}
    assert made["category_association"]["tag"]["num_tokens"] == 3
    with pytest.raises(InvalidDataError, match=r"categories\.tag: 3 values for 4 words"):
        analyze(words, "/no/such/model", words="skip", categories={"tag": ["a", "b", "c"]})
