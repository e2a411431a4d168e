"""The identifiers of everything on the page that a callback or a test addresses."""

from __future__ import annotations

from typing import Final

# What is shown. VIEW holds the whole view as a query, ANALYSIS_VIEW that of the analysis alone,
# PARTS the tab and the query of each part; from these the browser tells every figure that is
# shown, in its FIGURE_VIEW, what to draw: {"query", "theme"}.
LOCATION: Final = "location"
VIEW: Final = "view"
ANALYSIS_VIEW: Final = "view-analysis"
PARTS: Final = "view-parts"
FIGURE_VIEW: Final = "figure-view"  # pattern: {"type": FIGURE_VIEW, "index": figure id}
STRUCTURE: Final = "structure"
TAB: Final = "tab"  # pattern: {"type": TAB, "index": "paths"}
TAB_LINK: Final = "tab-link"  # likewise, a button elsewhere that opens a tab
SECTION: Final = "section"  # pattern: {"type": SECTION, "index": "token-flow"}
THEME: Final = "theme"
THEME_TOGGLE: Final = "theme-toggle"
COPY_LINK: Final = "copy-link"
EXAMPLES: Final = "examples"
REPORT: Final = "report"
REPORT_READY: Final = "report-ready"
REPORT_RUN: Final = "report-run"
REPORT_STAGE: Final = "report-stage"
REPORT_PROGRESS: Final = "report-progress"
REPORT_CANCEL: Final = "report-cancel"
MESSAGES: Final = "messages"
SERVER_SILENT: Final = "server-silent"
RUN_LOST: Final = "run-lost"
NOT_DONE: Final = "not-done"

# What a person did (a click in a figure, on a path, on a quick choice), and where a callback
# of the persistence section wants to go.
GESTURES_DONE: Final = "gestures-done"
GESTURES: Final = "gestures"
DESTINATION: Final = "destination"
UPLOAD_REFUSED: Final = "upload-refused"  # the name of a file that is too large

# The bar and the controls.
DASHBOARD_PAGE: Final = "dashboard"
GUIDE_PAGE: Final = "guide"
HINTS: Final = "hints"
ANALYSIS_BAR: Final = "analysis-bar"
LAYER_WINDOW: Final = "layer-window"
LAYER_WINDOW_TEXT: Final = "layer-window-text"
QUICK_WINDOW: Final = "quick-window"  # pattern: {"type": QUICK_WINDOW, "index": "early"}
FIND_TOKENS: Final = "find-tokens"
FIND_NOTE: Final = "find-note"
ONLY_FIELD: Final = "only-field"
ONLY_COLUMN: Final = "only-column"
ONLY_VALUES: Final = "only-values"
ONLY_NOTE: Final = "only-note"
CLEAR_HIGHLIGHTS: Final = "clear-highlights"

# Sections.
WINDOW_SECTION: Final = "window"
SUMMARY_SECTION: Final = "window-summary"
GLANCE_SECTION: Final = "at-a-glance"
FLOW_SECTION: Final = "token-flow"
CATEGORIES_SECTION: Final = "categories"
TRAJECTORIES_SECTION: Final = "trajectories-section"
TABLE_SECTION: Final = "token-table"
WINDOWS_SECTION: Final = "windows"
MOVES_SECTION: Final = "moves"
HEADS_SECTION: Final = "heads"
WEIGHTS_SECTION: Final = "weights"
CLUSTERS_SECTION: Final = "clusters"
PATH_ATTENTION_SECTION: Final = "path-attention"
ANALYZE_SECTION: Final = "analyze"
ORIGIN_SECTION: Final = "settings-and-text"

# Figures and tables.
ORIGIN: Final = "origin"
STANDS_OUT: Final = "stands-out"
PATH_MAP: Final = "path-map"
TRAJECTORIES: Final = "trajectories"
BY_CATEGORY: Final = "by-category"
BY_CATEGORY_GRID: Final = "by-category-grid"
BY_CATEGORY_NOTE: Final = "by-category-note"
BY_COLUMN: Final = "by-column"
COMPARED_TOKENS: Final = "compared-tokens"
COMPARED_NOTE: Final = "compared-tokens-note"
WINDOW_GRID: Final = "window-fragmentation"
CONVERGENCE: Final = "convergence"
HEAD_ENTROPY: Final = "head-entropy"
HEAD_AGREEMENT: Final = "head-agreement"
LAYER_AGREEMENT: Final = "layer-agreement"
ATTENTION_MATRIX: Final = "attention-matrix"
ROLLOUT_MATRIX: Final = "rollout-matrix"
ATTENTION_FLOW: Final = "attention-flow"
ROLLOUT_OF_TOKEN: Final = "token-rollout"  # noqa: S105 - no password
ATTENTION_LAYER: Final = "attention-layer"
ATTENTION_HEAD: Final = "attention-head"
ATTENTION_THRESHOLD: Final = "attention-threshold"
PATH_ATTENTION_LAYERS: Final = "path-attention-layers"
PATH_ATTENTION_TOKENS: Final = "path-attention-tokens"
SUMMARY: Final = "summary"
SANKEY: Final = "token-sankey"
SANKEY_NOTE: Final = "token-sankey-note"
COLOUR_BY: Final = "colour-by"
MIN_COUNT: Final = "min-count"
CLUSTER_CHOICE: Final = "cluster-choice"
MAP_COLOUR_BY: Final = "map-colour-by"
MAP_LAYER: Final = "map-layer"
CONCEPT_CHOICE: Final = "concept-choice"
PATHS: Final = "archetypal-paths"
PATH_ROW: Final = "archetypal-path"  # pattern: {"type": PATH_ROW, "index": "5.5.8.3"}
SELECTION: Final = "selection"
PATH_METRICS: Final = "path-metrics"
PATH_LENGTHS: Final = "path-lengths"
CLUSTER_SIZES: Final = "cluster-sizes"
CLUSTER_ENTROPY: Final = "cluster-entropy"
HEAT_MAP: Final = "transition-heat-map"
HEAT_SOURCE: Final = "heat-source"
HEAT_TARGET: Final = "heat-target"
PATH_TABLE: Final = "token-paths"
PATH_GRID: Final = "token-paths-grid"
PATH_TABLE_NOTE: Final = "token-paths-note"
ATTENTION: Final = "attention"
CONCEPTS: Final = "concepts"
PYTHON_ASKED: Final = "python-asked"
PYTHON_DIALOG: Final = "python-dialog"
PYTHON_TITLE: Final = "python-title"
PYTHON_CODE: Final = "python-code"
PYTHON_COPY: Final = "python-copy"

# Analysis Persistence.
PERSISTENCE: Final = "analysis-persistence"
LIBRARY: Final = "library"  # bumped whenever the store's content changed
SAVE_NAME: Final = "save-name"
SAVE: Final = "save-analysis"
LOAD_ANALYSIS: Final = "load-choice"
LOAD_VERSION: Final = "load-version"
LOAD: Final = "load-analysis"
DELETE: Final = "delete-analysis"
DELETE_HINT: Final = "delete-hint"
DELETE_DIALOG: Final = "delete-dialog"
DELETE_TITLE: Final = "delete-title"
DELETE_QUESTION: Final = "delete-question"
DELETE_VERSION: Final = "delete-version"
DELETE_ALL: Final = "delete-all"
DELETE_CANCEL: Final = "delete-cancel"
DOOMED: Final = "doomed"  # what the dialog asks about
EXPORT_FORMAT: Final = "export-format"
EXPORT: Final = "export"
EXPORT_RESULT: Final = "export-result"
EXPORT_FILES: Final = "export-files"
EXPORT_DELETE: Final = "export-delete"  # pattern: {"type": EXPORT_DELETE, "index": name}
EXPORTED: Final = "exported"  # changes whenever an export was written or deleted
IMPORT: Final = "import"
STATE_NAME: Final = "state-name"
STATE_SAVE: Final = "state-save"
STATE_CHOICE: Final = "state-choice"
STATE_NOTE: Final = "state-note"
STATE_RESTORE: Final = "state-restore"
STATE_DELETE: Final = "state-delete"
SESSION_NAME: Final = "session-name"
SESSION_CREATE: Final = "session-create"
SESSION_CHOICE: Final = "session-choice"
SESSION_ADD: Final = "session-add"
SESSION_OPEN: Final = "session-open"
SESSION_DELETE: Final = "session-delete"
SESSION_ANALYSES: Final = "session-analyses"
SESSION_LOAD: Final = "session-load"  # pattern: {"type": SESSION_LOAD, "index": analysis id}
SESSION_VIEW: Final = "session-view"  # pattern: {"type": SESSION_VIEW, "index": state id}

# Analyze.
ANALYZE_TEXT: Final = "analyze-text"
ANALYZE_FILE: Final = "analyze-file"
ANALYZE_SOURCE: Final = "analyze-source"  # which file the text comes from
ANALYZE_COLUMN: Final = "analyze-column"
ANALYZE_COLUMN_FIELD: Final = "analyze-column-field"
ANALYZE_CATEGORY_COLUMNS: Final = "analyze-category-columns"
ANALYZE_CATEGORIES: Final = "analyze-categories"  # of each line of the text; see text_files
ANALYZE_CATEGORIES_NOTE: Final = "analyze-categories-note"
ANALYZE_CATEGORIES_FIELD: Final = "analyze-categories-field"
ANALYZE_CATEGORIES_CLEAR: Final = "analyze-categories-clear"
ANALYZE_READING: Final = "analyze-reading"
ANALYZE_SEVERAL: Final = "analyze-several"  # what becomes of words of several tokens
ANALYZE_SEVERAL_FIELD: Final = "analyze-several-field"
ANALYZE_PREFIX: Final = "analyze-prefix"  # what each word is read behind
ANALYZE_KEEP_MASSIVE: Final = "analyze-keep-massive"
ANALYZE_MODEL: Final = "analyze-model"
ANALYZE_OTHER_MODEL: Final = "analyze-other-model"
ANALYZE_CLUSTERS: Final = "analyze-clusters"
ANALYZE_CHOOSE_K: Final = "analyze-choose-k"
ANALYZE_WARM_START: Final = "analyze-warm-start"
ANALYZE_LAYERS: Final = "analyze-layers"
ANALYZE_ATTENTION: Final = "analyze-attention"
ANALYZE_SEED: Final = "analyze-seed"
ANALYZE: Final = "analyze-run"
ANALYZE_CANCEL: Final = "analyze-cancel"
ANALYZE_PROGRESS: Final = "analyze-progress"
ANALYZE_STAGE: Final = "analyze-stage"
ANALYZE_DONE: Final = "analyze-done"
ANALYZE_OUTCOME: Final = "analyze-outcome"
ANALYZE_STATUS: Final = "analyze-status"  # the same in the bar, which every view has
ANALYZE_STATUS_STAGE: Final = "analyze-status-stage"
ANALYZE_STATUS_PROGRESS: Final = "analyze-status-progress"
ANALYZE_STATUS_CANCEL: Final = "analyze-status-cancel"
FINISHED: Final = "finished"  # analyses that are there to open, see components/finished.py
FINISHED_LIST: Final = "finished-list"
FINISHED_OPEN: Final = "finished-open"  # pattern: {"type": FINISHED_OPEN, "index": hash}
FINISHED_DISMISS: Final = "finished-dismiss"  # likewise

# Concepts.
SIMILARITY_AMI: Final = "layer-similarity"
SIMILARITY_CKA: Final = "state-similarity"
STATE_MAP: Final = "state-map"
MAP_PROJECTION: Final = "map-projection"
MAP_WANTED: Final = "map-wanted"
MAP_ASKED: Final = "map-asked"
MAP_DONE: Final = "map-done"
MAP_READY: Final = "map-ready"
MAP_RUN: Final = "map-run"
MAP_STAGE: Final = "map-stage"
MAP_PROGRESS: Final = "map-progress"
MAP_CANCEL: Final = "map-cancel"
TYPICAL: Final = "typical-tokens"
SIMILARITY_SECTION: Final = "similarity"
MAP_SECTION: Final = "map"

# Compare.
COMPARE_SECTION: Final = "compare"
OTHER: Final = "compare-other"
OTHER_VERSION: Final = "compare-version"
DIFFERENCE_FLOW: Final = "difference-flow"
MOVED_BY_LAYER: Final = "moved-by-layer"
MOVED_TOKENS: Final = "moved-tokens"
COMPARED_METRICS: Final = "compared-metrics"
COMPARE_CHOICE: Final = "compare-choice"
MATCHED_CLUSTERS: Final = "matched-clusters"
MATCHED_GRID: Final = "matched-clusters-grid"
MATCHED_NOTE: Final = "matched-clusters-note"

# Library.
LIBRARY_SECTION: Final = "library-section"
LIBRARY_TABLE: Final = "library-table"
LIBRARY_GRID: Final = "library-grid"
LIBRARY_SEARCH: Final = "library-search"
LIBRARY_NOTE: Final = "library-note"
LIBRARY_EMPTY: Final = "library-empty"
LIBRARY_OPEN: Final = "library-open"
LIBRARY_COMPARE: Final = "library-compare"
LIBRARY_SESSION_NAME: Final = "library-session-name"
LIBRARY_SESSION: Final = "library-session"
LIBRARY_EXPORT: Final = "library-export"
LIBRARY_DELETE: Final = "library-delete"
LIBRARY_OPENED: Final = "library-opened"  # the row that was clicked: {"id", "key"}
TRASH: Final = "trash"
RESTORE: Final = "restore"  # pattern: {"type": RESTORE, "index": id of the entry}
