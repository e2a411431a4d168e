"""What a person is looking at, as one small value that fits into an address.

Everything that a person chose on the page is in a `View`, and a view is all the browser keeps:
the address is the view, so reload, back, forward and a pasted link restore what was seen.

The query is short, readable and versioned::

    ?v=1&tab=paths&a=gpt2_20260101T120000&r=2&w=4-7&c=path&m=5&t=17.203&p=2.3.9.5&s=link.4.2.3

    v    version of this format          c  colours: cluster (default), path, metric.* or token.*
    tab  which views, absent for the     m  links with fewer tokens are hidden
         overview                        t  highlighted tokens, by index
    a    analysis, absent for examples   p  highlighted paths, separated by _
    r    its version (revision)          s  selected node.layer.cluster or
    d    an analysis not saved yet, by      link.layer.source.target
         the hash of its content         h  the two layers of the transition heat map
    w    layer window: 2-5, or default   l  selected layer, and head of the attention: 3 or 3.5
    b    analysis to compare with        f  least share of the attention flow, in percent
    rb   its version                    y  how a layer is mapped: umap; absent for
    e    example that ships, absent        its principal components
         for the one of two stories     o  only tokens of a category: column:value:value
    g  column that the table by category is of

An address without a query is the first view of the page: the example of GPT-2 small.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args
from urllib.parse import parse_qsl, quote, unquote

QUERY_VERSION: Final = "1"
MAX_QUERY_LENGTH: Final = 8000
MAX_HIGHLIGHTED_TOKENS: Final = 200
MAX_HIGHLIGHTED_PATHS: Final = 20
MAX_PATH_LENGTH: Final = 200
# Of a category in an address, escaped: a longer address would not be read at all.
MAX_ONLY_LENGTH: Final = 2000

# The examples, by their keys in persistence/examples.py. Addresses that were copied when there was
# one example name none, so the one of two stories needs no name.
FIRST_EXAMPLE: Final = "gpt2-small"
FULL_EXAMPLE: Final = "two-stories"

DEFAULT_THRESHOLD: Final = 2
MAX_THRESHOLD: Final = 50

Tab = Literal[
    "overview",
    "analyze",
    "paths",
    "attention",
    "concepts",
    "path-attention",
    "compare",
    "library",
    "persistence",
]
MapProjection = Literal["pca", "umap"]
Node = tuple[Literal["node"], int, int]
Link = tuple[Literal["link"], int, int, int]
Selection = Node | Link
Part = Literal[
    "analysis",
    "window",
    "tokens",
    "categories",
    "glance",
    "traces",
    "flow",
    "heat",
    "selection",
    "members",
    "head",
    "influx",
    "comparison",
    "map",
    "sizes",
    "nothing",
]

# More layers can't be read at once; earlier versions showed fewer, see `_first`.
MOST_AT_ONCE: Final = 12
_MOST_BEFORE: Final = 6
_AS_BEFORE: Final = -1
_DEFAULT: Final = "default"

# Nine digits are more than any count or id needs, and keep hostile numbers small.
_NUMBER: Final = re.compile(r"[0-9]{1,9}\Z")

# A colouring names a column of the analysis; which there are is checked where it is drawn.
_COLOURING: Final = re.compile(r"cluster|path|(?:metric|token)\..{1,80}", re.DOTALL)
_HASH: Final = re.compile(r"[0-9a-f]{32}")
_EXAMPLE: Final = re.compile(r"[a-z0-9-]{1,40}")

_PARTS: Final[Mapping[Part, tuple[str, ...]]] = {
    "analysis": (),
    "window": ("first", "last"),
    "tokens": ("tokens",),
    "categories": ("first", "last", "category"),
    "glance": ("colour_by",),
    "traces": ("first", "last", "colour_by", "tokens", "paths"),
    "flow": ("first", "last", "colour_by", "min_count", "tokens", "paths"),
    "heat": ("heat",),
    "selection": ("selection",),
    "members": ("first", "last", "selection", "paths"),
    "head": ("layer", "head", "tokens"),
    "influx": ("tokens", "threshold"),
    "comparison": ("first", "last", "other", "other_version"),
    "map": ("selection", "first", "last", "layer", "colour_by", "tokens", "projection"),
    "sizes": ("first", "last", "selection"),
    "nothing": (),
}


@dataclass(frozen=True)
class View:
    """What is shown: the analysis, the window of its layers, and every choice on the page.

    Layers count from 0 in the analysis's labelled layers; `last` is inclusive; the selected `layer`
    counts in all declared layers, and `head` None is the mean of all heads.
    `version` None is the newest, `last` None the default window.
    `draft` is the hash of an analysis that is not saved yet, which has no id.
    `example` is the key of the example shown where `analysis_id` and `draft` are None.
    `only` is a column of `token_metadata` and the values in it whose tokens are shown; a column
    without a value is one that was chosen and restricts nothing yet. `category` is the column whose
    categories are compared, None the first.
    """

    tab: Tab = "overview"
    analysis_id: str | None = None
    version: int | None = None
    draft: str | None = None
    example: str = FULL_EXAMPLE
    first: int = 0
    last: int | None = None
    colour_by: str = "cluster"
    min_count: int = 1
    tokens: tuple[int, ...] = ()
    paths: tuple[tuple[int, ...], ...] = ()
    selection: Selection | None = None
    heat: tuple[int, int] | None = None
    layer: int | None = None
    head: int | None = None
    threshold: int = DEFAULT_THRESHOLD
    other: str | None = None
    other_version: int | None = None
    projection: MapProjection = "pca"
    only: tuple[str, ...] = ()
    category: str | None = None

    def to_query(self) -> str:
        """Return the view as the query of an address; choices left alone are left out."""
        items = {"v": QUERY_VERSION}
        if self.tab != "overview":
            items["tab"] = self.tab
        if self.analysis_id is not None:
            items["a"] = self.analysis_id
        if self.version is not None:
            items["r"] = str(self.version)
        if self.draft is not None:
            items["d"] = self.draft
        if self.is_example and self.example != FULL_EXAMPLE:
            items["e"] = self.example
        if window := self._window_item():
            items["w"] = window
        if self.colour_by != "cluster":
            items["c"] = self.colour_by
        if self.min_count != 1:
            items["m"] = str(self.min_count)
        if self.tokens:
            items["t"] = path_text(self.tokens)
        if self.paths:
            items["p"] = "_".join(path_text(path) for path in self.paths)
        if self.selection is not None:
            items["s"] = ".".join(str(part) for part in self.selection)
        if self.heat is not None:
            items["h"] = f"{self.heat[0]}-{self.heat[1]}"
        items |= self._further_items()
        # Surrogates can't stand in an address; the store refuses such ids, so none is lost.
        return "?" + "&".join(
            f"{key}={quote(value, safe='', errors='replace')}" for key, value in items.items()
        )

    def _window_item(self) -> str:
        if self.last is not None:
            return f"{self.first}-{self.last}"
        return "" if self.is_example or self.first == _AS_BEFORE else _DEFAULT

    def _further_items(self) -> dict[str, str]:
        items = {}
        if self.layer is not None:
            items["l"] = str(self.layer) + ("" if self.head is None else f".{self.head}")
        if self.threshold != DEFAULT_THRESHOLD:
            items["f"] = str(self.threshold)
        if self.other is not None:
            items["b"] = self.other
        if self.other_version is not None:
            items["rb"] = str(self.other_version)
        if self.projection != "pca":
            items["y"] = self.projection
        if self.only:
            items["o"] = _only_text(self.only)
        if self.category is not None:
            items["g"] = self.category
        return items

    @classmethod
    def from_query(cls, query: str | None) -> View:
        """Read a view from an address; whatever can't be read is left at its default."""
        if not query:
            return cls(example=FIRST_EXAMPLE)
        if len(query) > MAX_QUERY_LENGTH:
            return cls()
        items = dict(parse_qsl(query.removeprefix("?")))
        if items.get("v", QUERY_VERSION) != QUERY_VERSION:
            return cls()
        window = _numbers(items.get("w"), "-", 2)
        heat = _numbers(items.get("h"), "-", 2)
        paths = [_numbers(text, ".") for text in items.get("p", "").split("_")]
        layer = _numbers(items.get("l"), ".")
        return cls(
            tab=parse_tab(items.get("tab")),
            analysis_id=items.get("a"),
            version=_number(items.get("r")),
            draft=_draft(items.get("d")),
            example=_example(items.get("e")),
            first=window[0] if window else _first(items),
            last=window[1] if window else None,
            colour_by=parse_colouring(items.get("c")),
            min_count=max(1, _number(items.get("m")) or 1),
            tokens=_numbers(items.get("t"), ".")[:MAX_HIGHLIGHTED_TOKENS],
            paths=tuple(path for path in paths if path)[:MAX_HIGHLIGHTED_PATHS],
            selection=parse_selection(items.get("s", "").split(".")),
            heat=(heat[0], heat[1]) if heat else None,
            layer=layer[0] if layer else None,
            head=layer[1] if len(layer) == 2 else None,
            threshold=parse_threshold(_number(items.get("f"))),
            other=items.get("b"),
            other_version=_number(items.get("rb")),
            projection=parse_projection(items.get("y")),
            only=_read_only(items.get("o")),
            category=parse_category(items.get("g")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the view as plain lists and numbers, fit for a saved visualization state."""
        return {
            "view_version": int(QUERY_VERSION),
            "tab": self.tab,
            "analysis_id": self.analysis_id,
            "version": self.version,
            "example": self.example if self.is_example else None,
            "first_layer": self.first,
            "last_layer": self.last,
            "colour_by": self.colour_by,
            "min_count": self.min_count,
            "highlighted_tokens": list(self.tokens),
            "highlighted_paths": [list(path) for path in self.paths],
            "selection": None if self.selection is None else list(self.selection),
            "heat_map_layers": None if self.heat is None else list(self.heat),
            "attention_layer": self.layer,
            "attention_head": self.head,
            "attention_threshold": self.threshold,
            "compared_with": self.other,
            "compared_version": self.other_version,
            "map_projection": self.projection,
            "only_category": list(self.only),
            "compared_category": self.category,
        }

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> View:
        """Read a view from a saved state; whatever can't be read is left at its default."""
        analysis_id, other = config.get("analysis_id"), config.get("compared_with")
        paths = config.get("highlighted_paths")
        window = _integers((config.get("first_layer"), config.get("last_layer")))
        heat = _integers(config.get("heat_map_layers"))
        return cls(
            tab=parse_tab(config.get("tab")),
            analysis_id=analysis_id if isinstance(analysis_id, str) else None,
            version=_integer(config.get("version")),
            example=_example(config.get("example")),
            first=window[0] if len(window) == 2 else 0,
            last=window[1] if len(window) == 2 else None,
            colour_by=parse_colouring(config.get("colour_by")),
            min_count=max((1, *_integers((config.get("min_count"),)))),
            tokens=_integers(config.get("highlighted_tokens"))[:MAX_HIGHLIGHTED_TOKENS],
            paths=tuple(
                path
                for path in map(_integers, paths if isinstance(paths, list | tuple) else ())
                if path
            )[:MAX_HIGHLIGHTED_PATHS],
            selection=parse_selection(config.get("selection")),
            heat=(heat[0], heat[1]) if len(heat) == 2 else None,
            layer=_integer(config.get("attention_layer")),
            head=_integer(config.get("attention_head")),
            threshold=parse_threshold(_integer(config.get("attention_threshold"))),
            other=other if isinstance(other, str) else None,
            other_version=_integer(config.get("compared_version")),
            projection=parse_projection(config.get("map_projection")),
            only=parse_only(config.get("only_category")),
            category=parse_category(config.get("compared_category")),
        )

    @property
    def is_example(self) -> bool:
        """Whether an example is shown, not an analysis that is saved or was just made."""
        return self.analysis_id is None and self.draft is None

    @property
    def column_colouring(self) -> str:
        """The colouring where it is by a column of `token_metadata`, else "cluster".

        Most figures of tokens have these two only.
        """
        return self.colour_by if self.colour_by.startswith("token.") else "cluster"

    @property
    def of_all_tokens(self) -> View:
        """The same view, restricted to no category."""
        return replace(self, only=())

    @property
    def selected_clusters(self) -> tuple[tuple[int, int], ...]:
        """The selected cluster as (layer, cluster), or the two that the selected band connects."""
        if self.selection is None:
            return ()
        if self.selection[0] == "node":
            return (self.selection[1:],)
        _, layer, source, target = self.selection
        return ((layer, source), (layer + 1, target))

    def part(self, part: Part) -> str:
        """Return the query of that part of the view: equal as long as nothing in it changed."""
        if part == "nothing":
            return View().to_query()
        kept = {name: getattr(self, name) for name in _PARTS[part]}
        if part != "flow" and "colour_by" in kept:
            kept["colour_by"] = self.column_colouring
        names = ("analysis_id", "version", "draft", "example", "only")
        shown = {name: getattr(self, name) for name in names}
        return View(**shown, **kept).to_query()

    def clamp(self, num_labelled: int, num_tokens: int, num_layers: int | None = None) -> View:
        """Return the nearest view that an analysis of that size can show.

        `num_layers` are all declared layers, by default as many as have labels.

        A window that does not fit becomes the default one; highlights and selections of
        something outside the window or the analysis are dropped.
        """
        top = max(num_labelled - 1, 0)
        if self.last is None or not 0 <= self.first <= self.last <= top:
            earlier = self.last is None and self.first == _AS_BEFORE
            first, last = default_window(num_labelled, _MOST_BEFORE if earlier else MOST_AT_ONCE)
        else:
            first, last = self.first, self.last
        selection = self.selection
        if selection is not None:
            reach = selection[1] + (selection[0] == "link")
            if not (first <= selection[1] and reach <= last and num_labelled):
                selection = None
        heat = self.heat
        if heat is None or min(heat) < 0 or max(heat) > top or heat[0] == heat[1]:
            heat = (first, min(first + 1, top)) if top else None
        declared = num_labelled if num_layers is None else num_layers
        has_layer = self.layer is not None and 0 <= self.layer < declared
        return replace(
            self,
            first=first,
            last=last,
            tokens=tuple(dict.fromkeys(index for index in self.tokens if 0 <= index < num_tokens)),
            paths=tuple(
                dict.fromkeys(path for path in self.paths if len(path) == last - first + 1)
            ),
            selection=selection,
            heat=heat,
            layer=self.layer if has_layer else None,
            head=self.head if has_layer else None,
        )

    def with_window(self, first: int, last: int) -> View:
        """Return the view of another window; highlighted paths belong to the old one and go."""
        if (first, last) == (self.first, self.last):
            return self
        return replace(self, first=first, last=last, paths=(), heat=None)

    def toggle_layer(self, layer: int) -> View:
        """Return the view with that declared layer selected, or with none if it was."""
        return replace(self, layer=None if layer == self.layer else layer)

    def toggle_token(self, token: int) -> View:
        """Return the view with that token highlighted, first of all, or no longer."""
        others = tuple(other for other in self.tokens if other != token)
        kept = others if token in self.tokens else (token, *others)
        return replace(self, tokens=kept[:MAX_HIGHLIGHTED_TOKENS])

    def toggle_path(self, path: tuple[int, ...]) -> View:
        """Return the view with that path highlighted, or no longer."""
        if path in self.paths:
            return replace(self, paths=tuple(other for other in self.paths if other != path))
        return replace(self, paths=(*self.paths, path)[-MAX_HIGHLIGHTED_PATHS:])


def default_window(num_layers: int, most: int = MOST_AT_ONCE) -> tuple[int, int]:
    """Return the window shown first: all layers if they are `most` or fewer, else a third."""
    if num_layers <= most:
        return 0, max(num_layers - 1, 0)
    return quick_windows(num_layers)["early"]


def quick_windows(num_layers: int) -> dict[str, tuple[int, int]]:
    """Return the early, middle and late third of the layers, and all of them.

    A third has at least two layers, since tokens move between layers, not within one.
    """
    top = max(num_layers - 1, 0)
    width = min(max(round(num_layers / 3), 2), num_layers) - 1 if num_layers else 0
    middle = (num_layers - width) // 2
    return {
        "early": (0, width),
        "middle": (middle, min(middle + width, top)),
        "late": (top - width, top),
        "all": (0, top),
    }


def parse_tab(name: Any) -> Tab:
    """Read the name of a tab; an unknown one is the overview."""
    return next((tab for tab in get_args(Tab) if tab == name), "overview")


def parse_projection(name: Any) -> MapProjection:
    """Read how a layer is mapped; what is unknown is by its principal components."""
    return "umap" if name == "umap" else "pca"


def parse_colouring(text: Any) -> str:
    """Read a colouring; an unreadable one is by cluster."""
    return text if isinstance(text, str) and _COLOURING.fullmatch(text) else "cluster"


def parse_only(parts: Any) -> tuple[str, ...]:
    """Read a column and values of it; values for which an address has no room are left out."""
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return ()
    found = tuple(dict.fromkeys(parts[1:]))
    chosen = (*parts[:1], *found)
    while chosen and len(quote(_only_text(chosen), safe="", errors="replace")) > MAX_ONLY_LENGTH:
        chosen = chosen[:-1]
    return chosen


def parse_category(name: Any) -> str | None:
    """Read the name of a column; none for which an address has room is None."""
    known = isinstance(name, str) and len(quote(name, safe="", errors="replace")) > 0
    return name if known and parse_only([name]) else None


def _only_text(parts: Sequence[str]) -> str:
    return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)


def _read_only(text: str | None) -> tuple[str, ...]:
    return parse_only([unquote(part) for part in text.split(":")]) if text else ()


def parse_threshold(percent: int | None) -> int:
    """Read the least share of the attention flow, in percent; an impossible one is the default."""
    known = percent is not None and 1 <= percent <= MAX_THRESHOLD
    return percent if known and percent is not None else DEFAULT_THRESHOLD


def path_text(path: Sequence[int]) -> str:
    """Return a path as `5.5.8.3`."""
    return ".".join(str(int(part)) for part in path)


def parse_path(text: str) -> tuple[int, ...]:
    """Read a path from `5.5.8.3`; an unreadable one is empty."""
    return _numbers(text, ".")


def parse_selection(parts: Any) -> Selection | None:
    """Read `["node", layer, cluster]` or `["link", layer, source, target]`; else None."""
    if not isinstance(parts, list | tuple) or not parts:
        return None
    numbers = _integers(parts[1:])
    if parts[0] == "node" and len(parts) == 3 == len(numbers) + 1:
        return ("node", numbers[0], numbers[1])
    if parts[0] == "link" and len(parts) == 4 == len(numbers) + 1:
        return ("link", numbers[0], numbers[1], numbers[2])
    return None


def _draft(text: str | None) -> str | None:
    return text if text is not None and _HASH.fullmatch(text) else None


def _example(key: Any) -> str:
    return key if isinstance(key, str) and _EXAMPLE.fullmatch(key) else FULL_EXAMPLE


def _integer(value: Any) -> int | None:
    return next(iter(_integers((value,))), None)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.match(text) else None


def _first(items: Mapping[str, str]) -> int:
    """Return the first layer for an address that names no window.

    Earlier versions left it out, and then showed other layers: such an address keeps its meaning.
    """
    return _AS_BEFORE if "w" not in items and ("a" in items or "d" in items) else 0


def _numbers(text: str | None, separator: str, length: int | None = None) -> tuple[int, ...]:
    """Read non-negative integers; all of them or none."""
    if not text:
        return ()
    parts = text.split(separator)[: MAX_PATH_LENGTH + 1]
    if len(parts) > MAX_PATH_LENGTH or (length is not None and len(parts) != length):
        return ()
    numbers = [_number(part) for part in parts]
    return tuple(n for n in numbers if n is not None) if None not in numbers else ()


def _integers(values: Any) -> tuple[int, ...]:
    """Read non-negative integers given as numbers or text; all of them or none."""
    if not isinstance(values, list | tuple) or len(values) > MAX_PATH_LENGTH:
        return ()
    numbers = [None if isinstance(v, bool | float) else _number(str(v)) for v in values]
    return tuple(n for n in numbers if n is not None) if None not in numbers else ()
