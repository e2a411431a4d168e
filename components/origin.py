"""Origin of an analysis: the settings that it was made with, its provenance, its text."""

from __future__ import annotations

import ntpath
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from concept_fragmentation.analysis.clustering import CHOICES_OF_K
from concept_fragmentation.components.parts import aria
from concept_fragmentation.components.text import visible
from concept_fragmentation.components.words import plural, short_date, title

# Of the text itself, as much as a person reads here; all of it is a link away.
SHOWN_CHARACTERS: Final = 3000
VALUE_CHARACTERS: Final = 400
# Where the server has the whole text of the analysis shown.
TEXT_ADDRESS: Final = "text.txt"

_MADE_BY: Final = {
    "clusterer": "Clusterer",
    "standardise": "Dimensions scaled",
    "pca": "Principal components",
    "warm_start": "Layers clustered as a sequence",
    "align": "Clusters aligned",
    "attention": "Attention",
    "words": "Words of several tokens",
    "keep_massive": "Massive activations kept",
    "final_norm": "Last block behind the final normalisation",
    "window": "Window (tokens)",
    "overlap": "Overlap (tokens)",
    "batch_size": "Windows at once",
    "device": "Device asked for",
    "keep_hidden_states": "Hidden states kept",
}
_OF_MODEL: Final = {
    "revision": "Revision",
    "architecture": "Architecture",
    "num_parameters": "Parameters",
    "num_blocks": "Blocks",
    "context_length": "Context (tokens)",
    "read_before": "Last block read before",
    "dtype": "Type of the weights",
    "attention_implementation": "Attention implementation",
    "tokenizer": "Tokenizer",
    "device": "Device",
    "weights_blake3": "Checksum of the weights",
    "configuration_blake3": "Checksum of the configuration",
    "tokenizer_blake3": "Checksum of the tokenizer",
}


def settings_in_short(metadata: Mapping[str, Any]) -> str:
    """Return model, number of clusters and seed: what tells runs of one text apart."""
    facts = [model_name(metadata), *settings_facts(metadata)]
    return ", ".join(title(fact, 60) for fact in facts if fact)


def settings_facts(metadata: Mapping[str, Any]) -> list[str]:
    """Return the number of clusters and the seed, as far as they are known."""
    options = _mapping(_provenance(metadata).get("options"))
    facts = []
    if (clusters := clusters_text(options)) is not None:
        facts.append(clusters)
    if isinstance(seed := options.get("seed"), int):
        facts.append(f"seed {seed}")
    return facts


def clusters_text(options: Mapping[str, Any]) -> str | None:
    """Return how many clusters were asked for: `k = 10`, `k auto`, `k = 3 to 5`."""
    clusterer, number = options.get("clusterer", "kmeans"), options.get("n_clusters")
    if clusterer != "kmeans":
        name = clusterer if isinstance(clusterer, str) else _mapping(clusterer).get("class")
        return str(name).rpartition(".")[2] if name else None
    if number in CHOICES_OF_K:
        return f"k {number}"
    if isinstance(number, Mapping) and number:
        sizes = [int(size) for size in number.values() if isinstance(size, int)]
        return f"k = {min(sizes)} to {max(sizes)}" if sizes else None
    return f"k = {number}" if isinstance(number, int) else None


def model_name(metadata: Mapping[str, Any]) -> str:
    """Return the name of the model."""
    return str(metadata.get("model_name") or "")


def origin(
    metadata: Mapping[str, Any],
    data: Mapping[str, Any],
    counts: Iterable[tuple[str, str]],
    query: str,
) -> list[Component]:
    """Return the settings, the provenance and the text of an analysis.

    Args:
        metadata: what is known of it beside its data.
        data: the analysis itself, where its input and the words that were skipped stand.
        counts: names and values of what it holds.
        query: the view, for the link to the whole text.
    """
    settings = [*counts, *_settings(metadata, data)]
    return [
        html.Details(
            [
                html.Summary("Settings and provenance", className="cf-summary-line"),
                html.Dl(
                    [part for name, value in settings for part in _entry(name, value)],
                    className="cf-known",
                ),
            ],
        ),
        _text(str(metadata.get("input_text") or ""), query),
    ]


def _text(text: str, query: str) -> Component:
    if not text.strip():
        return html.P("No text was saved with this analysis.", className="cf-hint")
    shown = text[:SHOWN_CHARACTERS]
    left = len(text) - len(shown)
    more = f"The first {len(shown):,} of {len(text):,} characters." if left > 0 else ""
    return html.Details(
        [
            html.Summary(
                f"Text that was analyzed, {plural(len(text), 'character')}",
                className="cf-summary-line",
            ),
            html.Pre(
                _readable(shown), className="cf-origin-text", tabIndex=0, **aria(label="Text")
            ),
            html.P(
                [
                    html.Span(f"{more} " if more else ""),
                    html.A(
                        "Download all of it" if more else "Download it",
                        href=f"{TEXT_ADDRESS}{query}",
                        download="",
                    ),
                ],
                className="cf-hint",
            ),
        ]
    )


def _readable(text: str) -> str:
    """Return a text with its line ends and tabs, and all else that can't be seen made visible."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(_seen(part) for part in line.split("\t")) for line in lines)


def _seen(text: str) -> str:
    return " ".join(visible(word, limit=len(word) * 12) if word else "" for word in text.split(" "))


def _settings(metadata: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    provenance = _provenance(metadata)
    options, model = _mapping(provenance.get("options")), _mapping(provenance.get("model"))
    yield "Model", model_name(metadata)
    if name := model.get("name"):
        yield "Loaded from", _last_part(str(name))
    yield from _named(model, _OF_MODEL)
    if clusters := clusters_text(options):
        yield "Clusters asked for", clusters
    if "seed" in options:
        yield "Seed", _said(options["seed"])
    if "layers" in options:
        layers = options["layers"]
        yield "Layers asked for", "all" if layers is None else _said(layers)
    yield from _named(options, _MADE_BY)
    if aside := _mapping(provenance.get("set_aside")):
        number = sum(count for count in aside.values() if isinstance(count, int))
        yield "Set aside", f"{plural(number, 'token')}: massive activations"
    words = _mapping(data.get("words"))
    if "prefix" in words:
        yield "Read behind", str(words["prefix"]) or "nothing: each word at the first position"
    for name, key in (("Words skipped", "skipped"), ("Words averaged", "averaged")):
        if found := words.get(key):
            yield name, f"{len(found):,}: {_said(found)}"
    if started := provenance.get("started"):
        yield "Started", f"{short_date(str(started))} UTC"
    if seconds := provenance.get("duration_seconds"):
        yield "Took", f"{float(seconds):,.1f} s"
    yield from _named(provenance, {"python": "Python", "platform": "Platform"})
    libraries = _mapping(provenance.get("libraries"))
    if libraries:
        yield "Libraries", ", ".join(f"{name} {version}" for name, version in libraries.items())
    yield "Tags", ", ".join(map(str, metadata.get("tags") or ()))
    yield "Notes", str(metadata.get("notes") or "")


def _named(known: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, name in names.items():
        if known.get(key) not in (None, ""):
            yield name, _said(known[key])


def _entry(name: str, value: str) -> list[Component]:
    if not value:
        return []
    return [html.Dt(name), html.Dd(title(value, VALUE_CHARACTERS))]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _last_part(name: str) -> str:
    """Return the name of a folder without its path, which is the server's own affair."""
    if posixpath.isabs(name):
        return posixpath.basename(name.rstrip("/"))
    return ntpath.basename(name.rstrip("\\")) if ntpath.isabs(name) else name


def _provenance(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(metadata.get("provenance"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
