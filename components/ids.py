"""The identifiers of everything on the page that a callback or a test addresses."""

from __future__ import annotations

from typing import Final

# What is shown. VIEW holds the whole view as a query; the others hold the part of it that a
# group of figures depends on, so that a figure is drawn again only when its part changes.
LOCATION: Final = "location"
VIEW: Final = "view"
ANALYSIS_VIEW: Final = "view-analysis"
WINDOW_VIEW: Final = "view-window"
FLOW_VIEW: Final = "view-flow"
HEAT_VIEW: Final = "view-heat"
SELECTION_VIEW: Final = "view-selection"
THEME: Final = "theme"
THEME_TOGGLE: Final = "theme-toggle"
MESSAGES: Final = "messages"

# What a person did (a click in a figure, on a path, on a quick choice), and where a callback
# of the persistence section wants to go.
GESTURE: Final = "gesture"
DESTINATION: Final = "destination"

# The bar and the controls.
TABS: Final = "tabs"
ANALYSIS_BAR: Final = "analysis-bar"
LAYER_WINDOW: Final = "layer-window"
LAYER_WINDOW_TEXT: Final = "layer-window-text"
QUICK_WINDOW: Final = "quick-window"  # pattern: {"type": QUICK_WINDOW, "index": "early"}
FIND_TOKENS: Final = "find-tokens"
CLEAR_HIGHLIGHTS: Final = "clear-highlights"

# Figures and tables.
SUMMARY: Final = "summary"
SANKEY: Final = "token-sankey"
SANKEY_NOTE: Final = "token-sankey-note"
COLOUR_BY: Final = "colour-by"
MIN_COUNT: Final = "min-count"
CLUSTER_CHOICE: Final = "cluster-choice"
PATHS: Final = "archetypal-paths"
PATH_ROW: Final = "archetypal-path"  # pattern: {"type": PATH_ROW, "index": "5.5.8.3"}
SELECTION: Final = "selection"
PATH_METRICS: Final = "path-metrics"
CLUSTER_SIZES: Final = "cluster-sizes"
CLUSTER_ENTROPY: Final = "cluster-entropy"
HEAT_MAP: Final = "transition-heat-map"
HEAT_SOURCE: Final = "heat-source"
HEAT_TARGET: Final = "heat-target"
PATH_TABLE: Final = "token-paths"
PATH_TABLE_NOTE: Final = "token-paths-note"
ATTENTION: Final = "attention"
CONCEPTS: Final = "concepts"
CSV_LINK: Final = "csv"  # pattern: {"type": CSV_LINK, "index": figure id}

# Analysis Persistence.
PERSISTENCE: Final = "analysis-persistence"
LIBRARY: Final = "library"  # bumped whenever the store's content changed
SAVE_NAME: Final = "save-name"
SAVE: Final = "save-analysis"
SAVE_NOTE: Final = "save-note"
LOAD_ANALYSIS: Final = "load-choice"
LOAD_VERSION: Final = "load-version"
LOAD: Final = "load-analysis"
DELETE: Final = "delete-analysis"
DELETE_DIALOG: Final = "delete-dialog"
DELETE_QUESTION: Final = "delete-question"
DELETE_VERSION: Final = "delete-version"
DELETE_ALL: Final = "delete-all"
DELETE_CANCEL: Final = "delete-cancel"
EXPORT_FORMAT: Final = "export-format"
EXPORT: Final = "export"
EXPORT_RESULT: Final = "export-result"
IMPORT: Final = "import"
STATE_NAME: Final = "state-name"
STATE_SAVE: Final = "state-save"
STATE_CHOICE: Final = "state-choice"
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
