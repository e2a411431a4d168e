"""Finding analyses: each filter beside a plain loop over what was saved."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.persistence import GPT2AnalysisPersistence, InvalidDataError
from concept_fragmentation.persistence.catalog import Catalog, Entry
from concept_fragmentation.persistence.filters import Filters

START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = [
    "Straße",
    "naïve",
    "猫が好き",
    "e",
    "Ω",
    'a"b',
    "OR",
    "AND",
    "NEAR(x)",
    "*",
    "x%_y",
    "ab",
    "🦜",
]


def entry(number: int, **changes: Any) -> Entry:
    """An entry a day, with words, tags and numbers that follow from its number."""
    name = f"{WORDS[number % len(WORDS)]} run {number}"
    words = [WORDS[(number * k) % len(WORDS)] for k in (3, 5)]
    plain = Entry(
        folder=f"id-{number}",
        analysis_id=f"id-{number}",
        name=name,
        model_name=("gpt2", "distilgpt2")[number % 2],
        timestamp=(START + timedelta(days=number)).isoformat(timespec="microseconds"),
        num_tokens=number * 10,
        num_layers=(6, 12, 24)[number % 3],
        labels_text=f"id-{number}\n{name}\n{words[0]}",
        input_text=f"the {words[1]} {number:03d}",
        tags=(f"tag {number % 4}",),
        summary=f"id-{number}",
        version_summaries={1: f"id-{number}"},
    )
    return plain._replace(**changes)


ENTRIES = [entry(i) for i in range(120)]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return Catalog(tmp_path_factory.mktemp("catalog") / "catalog.sqlite", lambda: ENTRIES)


def found(catalog: Catalog, **filters: Any) -> list[str]:
    return catalog.summaries(Filters(**filters))


def expected(fits: Callable[[Entry], bool]) -> list[str]:
    return [e.analysis_id for e in reversed(ENTRIES) if fits(e)]


def holds(e: Entry, search: str) -> bool:
    texts = [e.labels_text.casefold(), (e.input_text or "").casefold()]
    return all(any(word in text for text in texts) for word in search.casefold().split())


@pytest.mark.parametrize(
    "search",
    [
        *WORDS,
        "STRASSE",
        "RUN 1",
        "run 119",
        "d-1",
        "猫",
        "好き",
        "き",
        "9",
        "09",
        '"',
        "a* OR b",
        "name: run",
        "^id",
        "{labels_text}",
        "(",
        "no such text",
        "zq",
        "\x02",
        "\0",
        "",
        "   ",
    ],
)
def test_a_search_finds_every_word_and_part_of_a_word(catalog: Catalog, search: str) -> None:
    wanted = search.replace("\0", " ")
    assert found(catalog, search=search) == expected(lambda e: holds(e, wanted))


@given(
    st.text(st.sampled_from("\"'*^:(){}-+ \n\t\0\\%_aAebsSßONRD0123\x02猫🦜\ud800"), max_size=12)
)
def test_no_character_of_a_search_means_anything(catalog: Catalog, search: str) -> None:
    # The catalog holds no lone surrogates: a question mark stands for each.
    wanted = search.replace("\ud800", "?").replace("\0", " ")
    assert found(catalog, search=search) == expected(lambda e: holds(e, wanted))


@given(st.text(max_size=8))
def test_a_name_is_found_by_its_beginning(catalog: Catalog, prefix: str) -> None:
    wanted = prefix.encode("utf-8", "replace").decode().replace("\0", " ").casefold()
    assert found(catalog, name_prefix=prefix) == expected(
        lambda e: e.name.casefold().startswith(wanted)
    )


@pytest.mark.parametrize(
    "prefix", ["n", "NA", "straSSe run 1", 'A"', "*", "x%", "猫", "run", "\x02"]
)
def test_a_beginning_is_not_found_in_the_middle(catalog: Catalog, prefix: str) -> None:
    assert found(catalog, name_prefix=prefix) == expected(
        lambda e: e.name.casefold().startswith(prefix.casefold())
    )


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"min_tokens": 1000}, lambda e: e.num_tokens >= 1000),
        ({"max_tokens": 50}, lambda e: e.num_tokens <= 50),
        ({"min_tokens": 30, "max_tokens": 30}, lambda e: e.num_tokens == 30),
        ({"min_tokens": 10**40}, lambda _: False),
        ({"min_layers": 12, "max_layers": 12}, lambda e: e.num_layers == 12),
        ({"since": date(2026, 3, 1)}, lambda e: e.timestamp >= "2026-03-01"),
        ({"since": "2026-03-01T00:00:00.000001"}, lambda e: e.timestamp >= "2026-03-02"),
        ({"until": "2026-01-31"}, lambda e: e.timestamp < "2026-02-01"),
        ({"until": "2026-01-31T00:00:00+01:00"}, lambda e: e.timestamp < "2026-01-31"),
        (
            {"since": START + timedelta(days=3), "until": START + timedelta(days=3)},
            lambda e: e.analysis_id == "id-3",
        ),
        ({"until": date.max, "since": date.min}, lambda _: True),
        ({"tag": "tag 2"}, lambda e: "tag 2" in e.tags),
        ({"model_name": "gpt2"}, lambda e: e.model_name == "gpt2"),
        (
            {"search": "run", "name_prefix": "n", "tag": "tag 1", "model_name": "distilgpt2"},
            lambda e: e.name.startswith(("n", "N")) and e.tags == ("tag 1",),
        ),
        (
            {"search": "e", "since": "2026-02-01", "min_layers": 24, "tag": "tag 2"},
            lambda e: e.tags == ("tag 2",) and e.num_layers == 24 and e.timestamp > "2026-02",
        ),
    ],
)
def test_numbers_dates_and_words_narrow_a_list(
    catalog: Catalog, filters: dict[str, Any], fits: Callable[[Entry], bool]
) -> None:
    wanted = expected(fits)
    assert found(catalog, **filters) == wanted
    assert found(catalog, **filters, limit=2, offset=1) == wanted[1:3]


def test_words_that_most_texts_hold_are_found_like_rare_ones(tmp_path: Path) -> None:
    many = [entry(i, input_text="in e" if i % 3 else "猫") for i in range(700)]
    catalog = Catalog(tmp_path / "catalog.sqlite", lambda: many)
    for search in ("in", "e", "猫", "in e", "7 in", "id e 69", "zz"):
        wanted = [e.analysis_id for e in reversed(many) if holds(e, search)]
        assert found(catalog, search=search) == wanted


@pytest.mark.slow
def test_analyses_of_the_same_moment_are_all_listed(tmp_path: Path) -> None:
    moment = START.isoformat(timespec="microseconds")
    catalog = Catalog(tmp_path / "catalog.sqlite", lambda: ())
    for i in range(5):
        catalog.record(f"id-{i}", entry(i, timestamp=moment))
    assert sorted(found(catalog)) == [f"id-{i}" for i in range(5)]
    assert len(found(catalog, since=moment)) == 5


def test_what_is_recorded_again_is_found_by_its_new_words_only(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite", lambda: ())
    catalog.record("id-1", entry(1, name="first", tags=("old",)))
    # None: the input text stays as it was.
    catalog.record("id-1", entry(1, name="second", labels_text="fresh", input_text=None, tags=()))
    assert found(catalog, search="fresh the") == ["id-1"]
    assert found(catalog, name_prefix="second") == ["id-1"]
    assert found(catalog, search="run") == found(catalog, name_prefix="first") == []
    assert found(catalog, tag="old") == []
    catalog.record("id-1", None)
    assert found(catalog) == found(catalog, search="fresh") == []


def test_a_catalog_of_an_older_schema_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "catalog.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE analyses (folder TEXT PRIMARY KEY, timestamp TEXT);"
            "CREATE TABLE pending (folder TEXT PRIMARY KEY);"
            "INSERT INTO pending VALUES ('id-7');"
            "PRAGMA user_version = 1"
        )
    connection.close()
    with caplog.at_level(logging.WARNING):
        catalog = Catalog(path, lambda: ENTRIES)
        assert found(catalog, limit=1) == ["id-119"]
    assert not caplog.records
    # Whoever announced a change may still be at work.
    assert catalog.pending() == ["id-7"]


@pytest.fixture
def three(store: GPT2AnalysisPersistence) -> Iterator[GPT2AnalysisPersistence]:
    for tokens in (1, 2, 3):
        data = {
            "model_type": "gpt2",
            "layers": [f"layer_{i}" for i in range(tokens)],
            "token_metadata": {"tokens": ["a"] * tokens},
        }
        store.save_analysis_results(data, "gpt2", "text", f"id-{tokens}", name=f"Name {tokens}")
    return store


def test_the_store_narrows_its_list(three: GPT2AnalysisPersistence) -> None:
    def ids(**filters: Any) -> list[str]:
        return [e["analysis_id"] for e in three.list_analyses(**filters)]

    assert ids(min_tokens=2) == ["id-3", "id-2"]
    assert ids(max_layers=1) == ["id-1"]
    assert ids(name_prefix="name 2") == ["id-2"]
    three.update_analysis("id-1", name="name 22")
    assert ids(name_prefix="name 2") == ["id-2", "id-1"]
    moment = three.list_versions("id-2")[0]["timestamp"]
    assert ids(until=moment) == ["id-2", "id-1"]
    assert ids(since=moment) == ["id-3", "id-2"]
    assert ids(since="2100-01-01") == []


@pytest.mark.parametrize(
    "filters",
    [
        {"min_tokens": -1},
        {"max_layers": 2.0},
        {"min_layers": True},
        {"name_prefix": 3},
        {"since": "yesterday"},
        {"until": 2026},
        {"search": "x" * 10_001},
        {"search": " ".join(map(str, range(33)))},
    ],
)
def test_a_filter_of_the_wrong_kind_is_named(
    store: GPT2AnalysisPersistence, filters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidDataError, match=next(iter(filters))):
        store.list_analyses(**filters)
