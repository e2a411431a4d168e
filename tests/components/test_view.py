from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concept_fragmentation.components.view import (
    FIRST_EXAMPLE,
    FULL_EXAMPLE,
    MAX_QUERY_LENGTH,
    View,
    default_window,
    parse_selection,
    quick_windows,
)

numbers = st.integers(min_value=0, max_value=999_999_999)
small = st.integers(min_value=0, max_value=60)
selections = (
    st.none()
    | st.tuples(st.just("node"), small, small)
    | st.tuples(st.just("link"), small, small, small)
)


categories = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@st.composite
def views(draw: st.DrawFn) -> View:
    first = draw(small)
    return View(
        analysis_id=draw(
            st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
        ),
        version=draw(st.none() | numbers),
        first=first,
        last=draw(st.integers(first, 80)),
        colour_by=draw(st.sampled_from(["cluster", "path"])),
        min_count=draw(st.integers(1, 10**6)),
        tokens=tuple(draw(st.lists(numbers, max_size=50))),
        paths=tuple(
            draw(st.lists(st.lists(small, min_size=1, max_size=12).map(tuple), max_size=8))
        ),
        selection=draw(selections),
        heat=draw(st.none() | st.tuples(small, small)),
        only=tuple(draw(st.lists(categories, max_size=4, unique=True))),
        category=draw(st.none() | categories),
    )


@given(views())
def test_a_view_survives_its_address(view: View) -> None:
    assert View.from_query(view.to_query()) == view


@given(views())
@pytest.mark.slow
def test_a_view_survives_being_saved(view: View) -> None:
    assert View.from_dict(view.to_dict()) == view


@given(views())
def test_an_address_needs_no_escaping_by_the_browser(view: View) -> None:
    query = view.to_query()
    assert query.isascii()
    assert not set(query[1:]) & set("#?\"<>`' ")


def test_examples_in_addresses() -> None:
    """An address without a query opens GPT-2 small; one copied earlier opens the two stories."""
    assert View.from_query("").example == View.from_query(None).example == FIRST_EXAMPLE
    assert View.from_query("?v=1&w=0-3").example == FULL_EXAMPLE
    assert View(example=FULL_EXAMPLE).to_query() == "?v=1"
    first = View(example=FIRST_EXAMPLE, tab="concepts")
    assert first.to_query() == "?v=1&tab=concepts&e=gpt2-small"
    assert View.from_query(first.to_query()) == first
    assert View.from_dict(first.to_dict()) == first
    assert View.from_query("?v=1&e=" + "x" * 41).example == FULL_EXAMPLE
    assert first.part("window") != View(tab="concepts").part("window")


@given(st.text(max_size=300))
def test_any_text_in_the_address_gives_a_view(text: str) -> None:
    view = View.from_query(text).clamp(12, 100)
    assert 0 <= view.first <= (view.last or 0) < 12


@pytest.mark.parametrize(
    "query",
    [
        "?v=1&w=-1-3&m=-5&t=1.x&p=..&s=node.1&h=a-b",
        "?v=1&w=9-2",
        "?v=1&w=99999999999999999999-3",
        "?v=1&m=1e9",
        "?v=1&t=" + "1." * 10_000,
        "?v=1&s=link.1.2",
        "?v=1&w=٣-٤",
        "?v=99&w=4-7",
        "?" + "x" * (MAX_QUERY_LENGTH + 1),
    ],
)
def test_what_cannot_be_read_is_left_at_its_default(query: str) -> None:
    assert View.from_query(query).clamp(12, 100) == View().clamp(12, 100)


@given(st.dictionaries(st.sampled_from(sorted(View().to_dict())), st.none() | st.text() | numbers))
def test_any_saved_state_gives_a_view(config: dict[str, object]) -> None:
    assert View.from_dict(config).clamp(12, 100).last is not None


def test_highlights_and_selections_outside_the_analysis_are_dropped() -> None:
    view = View(first=4, last=7, tokens=(3, 300), paths=((1, 2), (1, 2, 3, 4)), heat=(4, 40))
    clamped = view.clamp(12, 100)
    assert clamped.tokens == (3,)
    assert clamped.paths == ((1, 2, 3, 4),)
    assert clamped.heat == (4, 5)


@pytest.mark.parametrize(
    ("selection", "kept"),
    [
        (("node", 4, 1), True),
        (("node", 3, 1), False),
        (("link", 6, 1, 2), True),
        (("link", 7, 1, 2), False),
    ],
)
def test_a_selection_stays_only_inside_the_window(
    selection: tuple[object, ...], kept: bool
) -> None:
    view = View(first=4, last=7, selection=parse_selection(list(selection)))
    assert (view.clamp(12, 100).selection is not None) is kept


def test_another_window_drops_the_paths_of_the_old_one() -> None:
    view = View(first=0, last=3, paths=((1, 2, 3, 4),), tokens=(5,))
    assert view.with_window(4, 7) == View(first=4, last=7, tokens=(5,))
    assert view.with_window(0, 3) is view


def test_a_path_is_highlighted_once_and_then_no_more() -> None:
    view = View().toggle_path((1, 2)).toggle_path((3, 4))
    assert view.paths == ((1, 2), (3, 4))
    assert view.toggle_path((1, 2)).paths == ((3, 4),)


def test_the_quick_windows_of_twelve_layers_are_the_published_ones() -> None:
    assert quick_windows(12) == {"early": (0, 3), "middle": (4, 7), "late": (8, 11), "all": (0, 11)}


@pytest.mark.parametrize("num_layers", range(60))
def test_every_quick_window_fits_the_layers(num_layers: int) -> None:
    windows = [*quick_windows(num_layers).values(), default_window(num_layers)]
    for first, last in windows:
        assert 0 <= first <= last <= max(num_layers - 1, 0)
        assert last > first or num_layers < 2


def test_a_part_is_equal_as_long_as_nothing_in_it_changed() -> None:
    view = View(analysis_id="a", version=1, first=0, last=3)
    coloured = View(analysis_id="a", version=1, first=0, last=3, colour_by="path")
    assert view.part("window") == coloured.part("window")
    assert view.part("flow") != coloured.part("flow")


def test_how_a_layer_is_mapped_is_in_the_address_and_in_a_saved_state() -> None:
    view = View(projection="umap")
    assert View.from_query(view.to_query()) == View.from_dict(view.to_dict()) == view
    assert View.from_query("?v=1&y=tsne").projection == "pca"
    assert view.part("map") != View().part("map")


def test_the_map_knows_where_the_window_begins() -> None:
    assert View.from_query(View(first=2, last=4).part("map")).first == 2


def test_a_selected_band_selects_the_clusters_that_it_connects() -> None:
    assert View().selected_clusters == ()
    assert View(selection=("node", 3, 5)).selected_clusters == ((3, 5),)
    assert View(selection=("link", 3, 5, 0)).selected_clusters == ((3, 5), (4, 0))


@pytest.mark.parametrize(
    ("num_layers", "window"),
    [(1, (0, 0)), (6, (0, 5)), (12, (0, 11)), (13, (0, 3)), (31, (0, 9))],
)
def test_up_to_twelve_layers_are_shown_at_first_and_a_third_of_more(
    num_layers: int, window: tuple[int, int]
) -> None:
    assert default_window(num_layers) == window
    assert View(analysis_id="x").clamp(num_layers, 5).first == window[0]
    assert View(analysis_id="x").clamp(num_layers, 5).last == window[1]


@pytest.mark.parametrize("query", ["?v=1&a=x", "?v=1&d=" + "0" * 32])
def test_an_address_of_before_that_names_no_window_shows_the_layers_that_it_showed(
    query: str,
) -> None:
    view = View.from_query(query)
    assert view.to_query() == query
    assert (view.clamp(12, 5).first, view.clamp(12, 5).last) == (0, 3)
    assert (view.clamp(6, 5).first, view.clamp(6, 5).last) == (0, 5)
    now = View(analysis_id=view.analysis_id, draft=view.draft)
    assert View.from_query(now.to_query()) == now
    assert now.clamp(12, 5).last == 11


def test_a_part_of_the_view_holds_the_paths_whose_members_are_listed() -> None:
    view = View(analysis_id="x", first=0, last=2)
    assert replace(view, paths=((0, 1, 2),)).part("members") != view.part("members")
    assert replace(view, paths=((0, 1, 2),)).part("selection") == view.part("selection")


def test_a_category_stands_in_the_address_as_a_person_reads_it() -> None:
    view = View(only=("part_of_speech", "noun", "verb"))
    assert view.to_query() == "?v=1&o=part_of_speech%3Anoun%3Averb"
    assert View.from_query("?v=1&o=part_of_speech:noun:verb") == view
    assert View.from_query("?v=1&w=0-3").only == ()
    odd = View(only=("a:b", "50%", "%3A", "&o=x", "é"))
    assert View.from_query(odd.to_query()) == View.from_dict(odd.to_dict()) == odd
    assert view.part("window") != View().part("window")
    assert view.of_all_tokens == View()


def test_a_category_takes_no_more_room_than_an_address_has() -> None:
    """A longer address would not be read at all."""
    view = View.from_dict({"only_category": ["é", *(f"{i:03d}" + "é" * 40 for i in range(200))]})
    assert 2 < len(view.only) < 100
    assert len(view.to_query()) < MAX_QUERY_LENGTH
    assert View.from_query(view.to_query()) == view
    for unreadable in (None, 7, ["x", 3], {"a": "b"}):
        assert View.from_dict({"only_category": unreadable}).only == ()
