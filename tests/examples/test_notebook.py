"""The notebook runs in a real kernel, and shows what it promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The last line of each cell, and what it showed by MIME type."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    return {
        cell.source.splitlines()[-1]: output.data
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type in {"execute_result", "display_data"}
    }


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)


def test_stored_things_show_themselves(outputs: dict[str, dict[str, Any]]) -> None:
    assert "<td>demo</td>" in outputs["store"]["text/html"]
    assert "<th>model_name</th>" in outputs["analysis"]["text/html"]
    assert "<th>tags</th>" in outputs['store.list_analyses(tag="example")[0]']["text/html"]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("analysis.sankey((0, 3))", "sankey"),
        ("analysis.cluster_entropy()", None),
        ("analysis.transitions(0, 1)", "heatmap"),
    ],
)
def test_figures_are_drawn(outputs: dict[str, dict[str, Any]], cell: str, kind: str | None) -> None:
    figure = outputs[cell][PLOTLY]
    assert figure["data"]
    if kind:
        assert figure["data"][0]["type"] == kind


def test_renumbered_clusters_are_no_change(outputs: dict[str, dict[str, Any]]) -> None:
    text = outputs['store.diff(("demo", 1), "demo")']["text/plain"]
    assert "Keys changed: cluster_labels." in text
    assert "tokens moved" not in text
