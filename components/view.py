"""What a person is looking at, as one small value that fits into an address.

Everything that a person chose on the page is in a `View`, and a view is all the browser keeps:
the address is the view, so reload, back, forward and a pasted link restore what was seen.

The query is short, readable and versioned::

    ?v=1&a=gpt2_20260101T120000&r=2&w=4-7&c=path&m=5&t=17.203&p=2.3.9.5&s=link.4.2.3&h=4-5

    v  version of this format          c  colours: cluster (default) or path
    a  analysis, absent for the demo   m  links with fewer tokens are hidden
    r  its version (revision)          t  highlighted tokens, by index
    w  layer window, first-last        p  highlighted paths, separated by _
    s  selected node.layer.cluster or link.layer.source.target
    h  the two layers of the heat map
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote

QUERY_VERSION: Final = "1"
MAX_QUERY_LENGTH: Final = 8000
MAX_HIGHLIGHTED_TOKENS: Final = 50
MAX_HIGHLIGHTED_PATHS: Final = 20
MAX_PATH_LENGTH: Final = 200

ColourBy = Literal["cluster", "path"]
Node = tuple[Literal["node"], int, int]
Link = tuple[Literal["link"], int, int, int]
Selection = Node | Link
Part = Literal["analysis", "window", "flow", "heat", "selection"]

# Nine digits are more than any count or id needs, and keep hostile numbers small.
_NUMBER: Final = re.compile(r"[0-9]{1,9}\Z")

_PARTS: Final[Mapping[Part, tuple[str, ...]]] = {
    "analysis": (),
    "window": ("first", "last"),
    "flow": ("first", "last", "colour_by", "min_count", "tokens", "paths"),
    "heat": ("heat",),
    "selection": ("selection",),
}


@dataclass(frozen=True)
class View:
    """What is shown: the analysis, the window of its layers, and every choice on the page.

    Layers count from 0 in the analysis's labelled layers; `last` is inclusive. `analysis_id`
    None is the demo, `version` None the newest, `last` None the default window.
    """

    analysis_id: str | None = None
    version: int | None = None
    first: int = 0
    last: int | None = None
    colour_by: ColourBy = "cluster"
    min_count: int = 1
    tokens: tuple[int, ...] = ()
    paths: tuple[tuple[int, ...], ...] = ()
    selection: Selection | None = None
    heat: tuple[int, int] | None = None

    def to_query(self) -> str:
        """Return the view as the query of an address; choices left alone are left out."""
        items = {"v": QUERY_VERSION}
        if self.analysis_id is not None:
            items["a"] = self.analysis_id
        if self.version is not None:
            items["r"] = str(self.version)
        if self.last is not None:
            items["w"] = f"{self.first}-{self.last}"
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
        # Surrogates can't stand in an address; the store refuses such ids, so none is lost.
        return "?" + "&".join(
            f"{key}={quote(value, safe='', errors='replace')}" for key, value in items.items()
        )

    @classmethod
    def from_query(cls, query: str | None) -> View:
        """Read a view from an address; whatever can't be read is left at its default."""
        if not query or len(query) > MAX_QUERY_LENGTH:
            return cls()
        items = dict(parse_qsl(query.removeprefix("?")))
        if items.get("v", QUERY_VERSION) != QUERY_VERSION:
            return cls()
        window = _numbers(items.get("w"), "-", 2)
        heat = _numbers(items.get("h"), "-", 2)
        paths = [_numbers(text, ".") for text in items.get("p", "").split("_")]
        return cls(
            analysis_id=items.get("a"),
            version=_number(items.get("r")),
            first=window[0] if window else 0,
            last=window[1] if window else None,
            colour_by="path" if items.get("c") == "path" else "cluster",
            min_count=max(1, _number(items.get("m")) or 1),
            tokens=_numbers(items.get("t"), ".")[:MAX_HIGHLIGHTED_TOKENS],
            paths=tuple(path for path in paths if path)[:MAX_HIGHLIGHTED_PATHS],
            selection=parse_selection(items.get("s", "").split(".")),
            heat=(heat[0], heat[1]) if heat else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the view as plain lists and numbers, fit for a saved visualization state."""
        return {
            "view_version": int(QUERY_VERSION),
            "analysis_id": self.analysis_id,
            "version": self.version,
            "first_layer": self.first,
            "last_layer": self.last,
            "colour_by": self.colour_by,
            "min_count": self.min_count,
            "highlighted_tokens": list(self.tokens),
            "highlighted_paths": [list(path) for path in self.paths],
            "selection": None if self.selection is None else list(self.selection),
            "heat_map_layers": None if self.heat is None else list(self.heat),
        }

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> View:
        """Read a view from a saved state; whatever can't be read is left at its default."""
        analysis_id = config.get("analysis_id")
        paths = config.get("highlighted_paths")
        window = _integers((config.get("first_layer"), config.get("last_layer")))
        heat = _integers(config.get("heat_map_layers"))
        return cls(
            analysis_id=analysis_id if isinstance(analysis_id, str) else None,
            version=next(iter(_integers((config.get("version"),))), None),
            first=window[0] if len(window) == 2 else 0,
            last=window[1] if len(window) == 2 else None,
            colour_by="path" if config.get("colour_by") == "path" else "cluster",
            min_count=max((1, *_integers((config.get("min_count"),)))),
            tokens=_integers(config.get("highlighted_tokens"))[:MAX_HIGHLIGHTED_TOKENS],
            paths=tuple(
                path
                for path in map(_integers, paths if isinstance(paths, list | tuple) else ())
                if path
            )[:MAX_HIGHLIGHTED_PATHS],
            selection=parse_selection(config.get("selection")),
            heat=(heat[0], heat[1]) if len(heat) == 2 else None,
        )

    def part(self, part: Part) -> str:
        """Return the query of that part of the view: equal as long as nothing in it changed."""
        kept = {name: getattr(self, name) for name in _PARTS[part]}
        return View(analysis_id=self.analysis_id, version=self.version, **kept).to_query()

    def clamp(self, num_layers: int, num_tokens: int) -> View:
        """Return the nearest view that an analysis of that size can show.

        A window that does not fit becomes the default one; highlights and selections of
        something outside the window or the analysis are dropped.
        """
        top = max(num_layers - 1, 0)
        if self.last is None or not self.first <= self.last <= top:
            first, last = default_window(num_layers)
        else:
            first, last = self.first, self.last
        selection = self.selection
        if selection is not None:
            reach = selection[1] + (selection[0] == "link")
            if not (first <= selection[1] and reach <= last and num_layers):
                selection = None
        heat = self.heat
        if heat is None or max(heat) > top or heat[0] == heat[1]:
            heat = (first, min(first + 1, top)) if top else None
        return replace(
            self,
            first=first,
            last=last,
            tokens=tuple(dict.fromkeys(index for index in self.tokens if index < num_tokens)),
            paths=tuple(
                dict.fromkeys(path for path in self.paths if len(path) == last - first + 1)
            ),
            selection=selection,
            heat=heat,
        )

    def with_window(self, first: int, last: int) -> View:
        """Return the view of another window; highlighted paths belong to the old one and go."""
        if (first, last) == (self.first, self.last):
            return self
        return replace(self, first=first, last=last, paths=(), heat=None)

    def toggle_path(self, path: tuple[int, ...]) -> View:
        """Return the view with that path highlighted, or no longer."""
        if path in self.paths:
            return replace(self, paths=tuple(other for other in self.paths if other != path))
        return replace(self, paths=(*self.paths, path)[-MAX_HIGHLIGHTED_PATHS:])


def default_window(num_layers: int) -> tuple[int, int]:
    """Return the window shown first: all of a few layers, else the first third."""
    if num_layers <= 6:
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


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.match(text) else None


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
