"""What is on disk: analyses, versions, visualization states, sessions and exports."""

from concept_fragmentation.analysis.errors import (
    ConceptFragmentationError,
    InvalidAnalysisError,
    InvalidDataError,
)
from concept_fragmentation.persistence.budget import OverBudgetError
from concept_fragmentation.persistence.errors import (
    AnalysisExistsError,
    AnalysisNotFoundError,
    CorruptedFileError,
    NotFoundError,
    ReadOnlyStoreError,
    SessionNotFoundError,
    StorageError,
    TrashEntryNotFoundError,
    UnsafeIdentifierError,
    UnsupportedFormatError,
    VisualizationStateNotFoundError,
)
from concept_fragmentation.persistence.handle import AnalysisHandle
from concept_fragmentation.persistence.merging import ImportReport
from concept_fragmentation.persistence.store import (
    GPT2AnalysisPersistence,
    load_gpt2_analysis,
    save_gpt2_analysis,
)
from concept_fragmentation.persistence.upkeep import Problem, RepairReport

__all__ = [
    "AnalysisExistsError",
    "AnalysisHandle",
    "AnalysisNotFoundError",
    "ConceptFragmentationError",
    "CorruptedFileError",
    "GPT2AnalysisPersistence",
    "ImportReport",
    "InvalidAnalysisError",
    "InvalidDataError",
    "NotFoundError",
    "OverBudgetError",
    "Problem",
    "ReadOnlyStoreError",
    "RepairReport",
    "SessionNotFoundError",
    "StorageError",
    "TrashEntryNotFoundError",
    "UnsafeIdentifierError",
    "UnsupportedFormatError",
    "VisualizationStateNotFoundError",
    "load_gpt2_analysis",
    "save_gpt2_analysis",
]
