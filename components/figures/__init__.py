"""The figures of the page, pure functions of an analysis."""
