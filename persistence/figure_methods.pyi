"""The figures of an open analysis.

Made by docs/make_figure_methods.py from figures.py; do not edit.
"""

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from concept_fragmentation.analysis import Layer
from concept_fragmentation.components.figures.concepts import Measure
from concept_fragmentation.components.figures.options import Source, Theme, Window
from concept_fragmentation.components.view import MapProjection

class FigureMethods:
    """The figures of `concept_fragmentation.figures`, as methods."""

    def __dir__(self) -> Iterable[str]: ...
    def attention_by_layer(self, theme: Theme = "light") -> go.Figure:
        """Entropy and agreement of the attention heads, layer by layer."""

    def attention_flow(
        self, token: int, *, threshold: float = 0.02, theme: Theme = "light"
    ) -> go.Figure:
        """What flows into a token through the layers; shares below the threshold are summed up."""

    def attention_matrix(
        self,
        layer: Layer,
        head: int | None = None,
        *,
        sequence: int = 0,
        highlighted_tokens: Sequence[int] = (),
        theme: Theme = "light",
    ) -> go.Figure:
        """The attention weights of a layer within a sequence, of one head or the mean of all."""

    def attention_rollout(
        self,
        layer: Layer,
        *,
        sequence: int = 0,
        highlighted_tokens: Sequence[int] = (),
        theme: Theme = "light",
    ) -> go.Figure:
        """The attention of all layers up to one, multiplied out (Abnar & Zuidema 2020)."""

    def cluster_entropy(self, window: Window = None, theme: Theme = "light") -> go.Figure:
        """The entropy, in nats, of the cluster distribution of a window's layers."""

    def cluster_sizes(
        self,
        window: Window = None,
        *,
        selected: Sequence[tuple[Layer, int]] = (),
        theme: Theme = "light",
    ) -> go.Figure:
        """How many tokens each cluster of a window's layers holds.

        `selected` clusters are framed; each is a layer and a raw cluster id.
        """

    def compared_metrics(self, before: Source, theme: Theme = "light") -> go.Figure:
        """The metrics of layers beside those of another analysis, `before`."""

    def compared_tokens(
        self, tokens: Sequence[int], window: Window = None, theme: Theme = "light"
    ) -> go.Figure:
        """The paths of two to five tokens, given by their indices, beside each other."""

    def concept_metrics(self, theme: Theme = "light") -> go.Figure:
        """Purity, silhouette and reproducibility of the clusters, layer by layer."""

    def convergence(self, theme: Theme = "light") -> go.Figure:
        """How much tokens come together and part from each layer to the next."""

    def difference_flow(
        self, before: Source, window: Window = None, theme: Theme = "light"
    ) -> go.Figure:
        """The flows that were gained and lost since another analysis, `before`."""

    def head_agreement(self, theme: Theme = "light") -> go.Figure:
        """How alike the heads of each layer attend."""

    def head_entropy(self, theme: Theme = "light") -> go.Figure:
        """The attention entropy of each head; normalised where that is known."""

    def layer_agreement(self, theme: Theme = "light") -> go.Figure:
        """How alike each two layers attend."""

    def layer_similarity(
        self, measure: Measure = "adjusted_mutual_information", theme: Theme = "light"
    ) -> go.Figure:
        """How alike each two layers are: their clusters, or with "cka" their hidden states."""

    def moved_by_layer(self, before: Source, theme: Theme = "light") -> go.Figure:
        """The share of tokens that are in another cluster than in `before`, by layer."""

    def moved_tokens(self, before: Source, theme: Theme = "light") -> go.Figure:
        """The tokens that are in another cluster than in `before` in most layers."""

    def path_attention_by_layer(self, *, sequence: int = 0, theme: Theme = "light") -> go.Figure:
        """The correlation between attention and shared paths within a sequence, by layer."""

    def path_attention_by_token(
        self, *, sequence: int = 0, highlighted_tokens: Sequence[int] = (), theme: Theme = "light"
    ) -> go.Figure:
        """The correlation between attention and shared paths within a sequence, by token."""

    def path_lengths(self, window: Window = None, theme: Theme = "light") -> go.Figure:
        """How far the tokens travel: Euclidean, scaled and angular lengths; reads hidden states."""

    def path_map(self, theme: Theme = "light", *, colour_by: str = "cluster") -> go.Figure:
        """The paths of all tokens through all layers, a row a token.

        With `colour_by`, a column of `token_metadata`, the tokens are by category, whose colours stand
        beside the rows.
        """

    def path_metrics(self, window: Window = None, theme: Theme = "light") -> go.Figure:
        """How the metrics of the tokens' paths are distributed."""

    def sankey(
        self,
        window: Window = None,
        *,
        colour_by: str = "cluster",
        min_count: int = 1,
        highlighted_tokens: Sequence[int] = (),
        highlighted_paths: Sequence[Sequence[int]] = (),
        theme: Theme = "light",
    ) -> go.Figure:
        """The flow of tokens through the clusters of a window of layers; see `token_sankey`.

        Args:
            window: the first and the last layer.
            colour_by: "cluster": a band has the colour of the cluster that it leaves; "path": the most
                frequent paths have a colour each. Or the name of a metric of `token_metrics` such as
                "mobility_score", or of a column of `token_metadata` such as "part_of_speech"; where a
                column has the name of one of the others, it is "token." and its name.
            min_count: bands of fewer tokens are not drawn.
            highlighted_tokens: indices of tokens whose routes stand out.
            highlighted_paths: paths, as raw cluster ids, whose routes stand out.
            theme: "light" or "dark".

        Raises:
            UnknownChoiceError: there is no such window, colouring, token or path.
            InvalidDataError: no layer has cluster labels.
        """

    def state_map(
        self,
        layer: Layer,
        *,
        projection: MapProjection = "pca",
        colour_by: str = "cluster",
        highlighted_tokens: Sequence[int] = (),
        selected: Sequence[tuple[Layer, int]] = (),
        theme: Theme = "light",
    ) -> go.Figure:
        """Where the tokens of a layer lie: on the principal plane of its hidden states, or by UMAP.

        `projection` "umap" needs the extra `umap`, and seconds; see `umap_plane` for what misleads.
        The tokens that are in all of the `selected` clusters are outlined; each is a layer and a raw
        cluster id. `colour_by` is "cluster" or a column of `token_metadata`.
        """

    def token_rollout(self, token: int, theme: Theme = "light") -> go.Figure:
        """How much of each token reaches one token, layer by layer."""

    def trajectories(
        self,
        window: Window = None,
        *,
        colour_by: str = "cluster",
        highlighted_tokens: Sequence[int] = (),
        highlighted_paths: Sequence[Sequence[int]] = (),
        theme: Theme = "light",
    ) -> go.Figure:
        """The paths of a window as lines, bundled where tokens take the same one.

        Lines have the colour of the cluster in which they begin, or with `colour_by`, a column of
        `token_metadata`, those of the categories of their tokens.
        """

    def transitions(self, source: Layer, target: Layer, theme: Theme = "light") -> go.Figure:
        """Where the tokens of each cluster of one layer are in another."""

    def window_fragmentation(self, window: Window = None, theme: Theme = "light") -> go.Figure:
        """The fragmentation of the paths of every window, and a frame around one of them."""
