"""The paths of the tokens that two analyses share, on cluster ids that mean the same in both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from concept_fragmentation.analysis import Analysis, AnalysisComparison
from concept_fragmentation.analysis.counting import NO_CLUSTER

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MatchedPaths:
    """N tokens in the L layers that both analyses have labels of.

    Attributes:
        layers: (L,) their names.
        tokens: int64 (N,), indices in the second analysis.
        before: int64 (N, L), clusters of the first analysis: the id of the cluster of the second
            that is matched with it; a cluster that matches none has `first_gone` + its own id.
        after: int64 (N, L), clusters of the second; -1 is "no cluster" in both.
        first_gone: above every id of the second.
    """

    layers: tuple[str, ...]
    tokens: IntArray
    before: IntArray
    after: IntArray
    first_gone: int

    def name(self, cluster: int) -> str:
        """Return what a cluster is called: `C3`, or `C3 (gone)` if only the first has it."""
        gone = cluster >= self.first_gone
        return f"C{cluster - self.first_gone} (gone)" if gone else f"C{cluster}"


def matched_paths(before: Analysis, after: Analysis, found: AnalysisComparison) -> MatchedPaths:
    """Put the labels of both analyses on the ids of the second.

    Args:
        before: the first analysis of the comparison.
        after: the second.
        found: `compare_analyses` of them.
    """
    layers = tuple(layer.layer for layer in found.labels)
    kept_before, kept_after = found.tokens.kept_before, found.tokens.kept_after
    old = before.labels[:, [before.labelled_layers.index(name) for name in layers]][kept_before]
    new = after.labels[:, [after.labelled_layers.index(name) for name in layers]][kept_after]
    first_gone = int(max(new.max(initial=NO_CLUSTER), NO_CLUSTER)) + 1
    renamed = np.where(old == NO_CLUSTER, NO_CLUSTER, old + first_gone)
    for i, layer in enumerate(found.labels):
        for mine, theirs in layer.matches.items():
            renamed[old[:, i] == mine, i] = theirs
    return MatchedPaths(layers, kept_after, renamed, new, first_gone)


def layers_moved(paths: MatchedPaths) -> IntArray:
    """Return in how many layers each token is in another cluster than before: int64 (N,)."""
    moved: IntArray = (paths.before != paths.after).sum(axis=1)
    return moved


def matched_clusters_frame(
    before: Analysis, after: Analysis, found: AnalysisComparison
) -> pd.DataFrame:
    """Return one row a pair of matched clusters, or a cluster without a match.

    Columns: layer, cluster_before, cluster_after (missing where there is none), the shared tokens
    that each holds, how many both hold, and their Jaccard index: both / either, from 0 to 1.
    """
    paths = matched_paths(before, after, found)
    rows = []
    for i, layer in enumerate(found.labels):
        old, new = paths.before[:, i], paths.after[:, i]
        pairs: list[tuple[int | None, int | None, int]] = [
            (mine, theirs, theirs) for mine, theirs in sorted(layer.matches.items())
        ]
        pairs += [(mine, None, mine + paths.first_gone) for mine in layer.only_before]
        pairs += [(None, theirs, theirs) for theirs in layer.only_after]
        for mine, theirs, name in pairs:
            in_old, in_new = old == name, new == name
            both = int((in_old & in_new).sum())
            either = int((in_old | in_new).sum())
            rows.append(
                {
                    "layer": layer.layer,
                    "cluster_before": mine,
                    "cluster_after": theirs,
                    "tokens_before": int(in_old.sum()),
                    "tokens_after": int(in_new.sum()),
                    "tokens_in_both": both,
                    "jaccard": both / either if either else np.nan,
                }
            )
    frame = pd.DataFrame(
        rows,
        columns=[
            "layer",
            "cluster_before",
            "cluster_after",
            "tokens_before",
            "tokens_after",
            "tokens_in_both",
            "jaccard",
        ],
    )
    return frame.astype({"cluster_before": "Int64", "cluster_after": "Int64"})


def moved_by_layer_frame(found: AnalysisComparison) -> pd.DataFrame:
    """Return one row a layer: the tokens compared, those that moved, their share and its floor."""
    return pd.DataFrame(
        [
            {
                "layer": layer.layer,
                "tokens_compared": layer.num_compared,
                "tokens_moved": len(layer.moved),
                "share_moved": layer.share_moved,
                "noise_floor": layer.floor,
            }
            for layer in found.labels
        ]
    )


def moved_tokens_frame(after: Analysis, paths: MatchedPaths) -> pd.DataFrame:
    """Return one row a token that moved, those that moved in most layers first."""
    moved = layers_moved(paths)
    order = np.argsort(-moved, kind="stable")[: int((moved > 0).sum())]
    columns = {
        "token": [after.shown_tokens[i] for i in paths.tokens[order]],
        "position": after.positions[paths.tokens[order]],
        "layers_moved": moved[order],
    }
    for i, layer in enumerate(paths.layers):
        for when, labels in (("before", paths.before), ("after", paths.after)):
            names = [
                "" if cluster == NO_CLUSTER else paths.name(cluster)
                for cluster in labels[order, i].tolist()
            ]
            columns[f"{layer} {when}"] = names
    return pd.DataFrame(columns)
