"""Names of single tokens in figures."""

from __future__ import annotations

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.components.text import plotly_text


def token_at(analysis: Analysis, index: int, limit: int = 20) -> str:
    """Return a token with its position: `“·the” at 3`, its text cut at `limit` characters."""
    return f"“{plotly_text(analysis.shown_tokens[index], limit)}” at {analysis.positions[index]}"
