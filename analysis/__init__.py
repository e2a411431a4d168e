"""What an analysis is and what can be computed from it: NumPy in, NumPy and dataclasses out.

An analysis is a plain dict, so that any notebook can make one:

    model_type       str
    layers           [str] * L, in order
    token_metadata   {"tokens": [str] * T, "positions": [int] * T, "token_ids": [int] * T, ...}
    token_paths      {str(position): {"token_text", "position", "cluster_path": [int] * L, ...}}
    cluster_labels   {layer: [int] * T}, -1 for "no cluster"
    hidden_states    {layer: float (T, d)}
    attention_data   {layer: {"entropy", "head_agreement", "num_heads", "attention_probs", ...}}
    cluster_metrics  {layer: {"purity", "silhouette", "num_clusters", ...}}
    set_aside        {"starts", "special_tokens", "large_norms": [int]}, tokens that are set aside

Only `model_type`, `layers` and `token_metadata.tokens` are always needed; unknown keys are kept.
`Analysis.from_dict` gives its columns, from which everything else is computed. Whatever computes
with an analysis takes those columns, an analysis that is open in a store, an analysis dict, or what
`load_analysis_results` gave.

A layer is given by its name, or by its position in `layers`: from 0, or negative from the end. A
window is its first and its last layer, both included.
"""

from concept_fragmentation.analysis.agreement import (
    adjusted_mutual_information,
    adjusted_rand_index,
    ami_matrix,
    cluster_stability,
)
from concept_fragmentation.analysis.alignment import AlignedLabels, align_labels
from concept_fragmentation.analysis.association import (
    CategoryAssociation,
    CategoryEntropy,
    CategoryFragmentation,
    category_association,
    category_entropy,
    category_fragmentation,
    word_types,
)
from concept_fragmentation.analysis.attention import (
    AttentionStatistics,
    attention_rollout,
    attention_statistics,
)
from concept_fragmentation.analysis.build import (
    analysis_from_labels,
    compute_token_paths,
    with_token_paths,
)
from concept_fragmentation.analysis.categories import category_values, only_category
from concept_fragmentation.analysis.choices import Layer
from concept_fragmentation.analysis.cluster_quality import (
    SILHOUETTE_ALL,
    SILHOUETTE_SAMPLE,
    Purity,
    Silhouette,
    purity,
    silhouette,
)
from concept_fragmentation.analysis.company import cluster_company
from concept_fragmentation.analysis.comparison import (
    AnalysisComparison,
    KeyChanges,
    LabelChanges,
    MetricChange,
    TokenChanges,
    compare_analyses,
)
from concept_fragmentation.analysis.counting import NO_CLUSTER, bits
from concept_fragmentation.analysis.errors import (
    ConceptFragmentationError,
    DifferentSizesError,
    InvalidAnalysisError,
    InvalidDataError,
    MissingExtraError,
    ModelUnavailableError,
    ReadAloneWarning,
    UnknownChoiceError,
)
from concept_fragmentation.analysis.extraction import layer_names
from concept_fragmentation.analysis.from_text import STAGES, analyze, analyze_again, skipped_words
from concept_fragmentation.analysis.gap import GapStatistic, gap_statistic
from concept_fragmentation.analysis.geometry import (
    Centroids,
    SubspaceAngles,
    category_angles,
    centroid_fragmentation,
    centroid_similarity,
    cluster_centroids,
    returning_paths,
)
from concept_fragmentation.analysis.language_models import TINY
from concept_fragmentation.analysis.lazy import LazyArray
from concept_fragmentation.analysis.loaded import analysis_dict
from concept_fragmentation.analysis.massive import SetAside, find_massive
from concept_fragmentation.analysis.model import Analysis, AnalysisLike, as_analysis
from concept_fragmentation.analysis.noise_floor import NoiseFloor, WindowFloor, window_floor
from concept_fragmentation.analysis.options import check_options
from concept_fragmentation.analysis.paths import TokenPathMetrics, token_path_metrics
from concept_fragmentation.analysis.permutation import PermutationTest, holm
from concept_fragmentation.analysis.projection import (
    Embedding,
    Projection,
    principal_plane,
    umap_plane,
)
from concept_fragmentation.analysis.provenance import saving_arguments
from concept_fragmentation.analysis.rarefaction import (
    FragmentationChange,
    Rarefied,
    compare_fragmentation,
    rarefy,
)
from concept_fragmentation.analysis.shared_paths import (
    PathCorrelation,
    attention_path_correlation,
    query_path_correlations,
)
from concept_fragmentation.analysis.significance import WindowSignificance, window_significance
from concept_fragmentation.analysis.similarity import CKA_TOKENS, cka_matrix, linear_cka
from concept_fragmentation.analysis.tables import (
    TableOf,
    cluster_members,
    layer_table,
    token_table,
)
from concept_fragmentation.analysis.text_files import (
    read_table_categories,
    read_text_file,
    table_columns,
)
from concept_fragmentation.analysis.typical import TypicalTokens, typical_tokens
from concept_fragmentation.analysis.validation import check_analysis, find_problems
from concept_fragmentation.analysis.window_grid import (
    LayerSteps,
    WindowGrid,
    layer_steps,
    pair_divergence,
    window_grid,
)
from concept_fragmentation.analysis.windows import (
    ArchetypalPath,
    LayerWindow,
    Transition,
    archetypal_paths,
    layer_window,
    tokens_in_cluster,
    tokens_in_transition,
    tokens_on_path,
    transition,
)

__all__ = [
    "CKA_TOKENS",
    "NO_CLUSTER",
    "SILHOUETTE_ALL",
    "SILHOUETTE_SAMPLE",
    "STAGES",
    "TINY",
    "AlignedLabels",
    "Analysis",
    "AnalysisComparison",
    "AnalysisLike",
    "ArchetypalPath",
    "AttentionStatistics",
    "CategoryAssociation",
    "CategoryEntropy",
    "CategoryFragmentation",
    "Centroids",
    "ConceptFragmentationError",
    "DifferentSizesError",
    "Embedding",
    "FragmentationChange",
    "GapStatistic",
    "InvalidAnalysisError",
    "InvalidDataError",
    "KeyChanges",
    "LabelChanges",
    "Layer",
    "LayerSteps",
    "LayerWindow",
    "LazyArray",
    "MetricChange",
    "MissingExtraError",
    "ModelUnavailableError",
    "NoiseFloor",
    "PathCorrelation",
    "PermutationTest",
    "Projection",
    "Purity",
    "Rarefied",
    "ReadAloneWarning",
    "SetAside",
    "Silhouette",
    "SubspaceAngles",
    "TableOf",
    "TokenChanges",
    "TokenPathMetrics",
    "Transition",
    "TypicalTokens",
    "UnknownChoiceError",
    "WindowFloor",
    "WindowGrid",
    "WindowSignificance",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "align_labels",
    "ami_matrix",
    "analysis_dict",
    "analysis_from_labels",
    "analyze",
    "analyze_again",
    "archetypal_paths",
    "as_analysis",
    "attention_path_correlation",
    "attention_rollout",
    "attention_statistics",
    "bits",
    "category_angles",
    "category_association",
    "category_entropy",
    "category_fragmentation",
    "category_values",
    "centroid_fragmentation",
    "centroid_similarity",
    "check_analysis",
    "check_options",
    "cka_matrix",
    "cluster_centroids",
    "cluster_company",
    "cluster_members",
    "cluster_stability",
    "compare_analyses",
    "compare_fragmentation",
    "compute_token_paths",
    "find_massive",
    "find_problems",
    "gap_statistic",
    "holm",
    "layer_names",
    "layer_steps",
    "layer_table",
    "layer_window",
    "linear_cka",
    "only_category",
    "pair_divergence",
    "principal_plane",
    "purity",
    "query_path_correlations",
    "rarefy",
    "read_table_categories",
    "read_text_file",
    "returning_paths",
    "saving_arguments",
    "silhouette",
    "skipped_words",
    "table_columns",
    "token_path_metrics",
    "token_table",
    "tokens_in_cluster",
    "tokens_in_transition",
    "tokens_on_path",
    "transition",
    "typical_tokens",
    "umap_plane",
    "window_floor",
    "window_grid",
    "window_significance",
    "with_token_paths",
    "word_types",
]
