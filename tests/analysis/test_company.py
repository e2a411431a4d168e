from __future__ import annotations

import pytest

from concept_fragmentation.analysis import (
    Analysis,
    InvalidDataError,
    analysis_from_labels,
    cluster_company,
)


def test_the_tokens_that_stay_with_most_others_come_first() -> None:
    labels = [[0, 1, 2], [0, 1, 1], [0, 2, -1], [0, 1, 1], [5, 1, 1]]
    analysis = Analysis.from_dict(analysis_from_labels(list("abcde"), labels))
    indices, company = cluster_company(analysis, 0, 0)
    assert indices.tolist() == [1, 3, 0, 2]
    # With two of the three others in one layer, with one in the other.
    assert company.tolist() == pytest.approx([(2 / 3 + 1 / 3) / 2] * 2 + [1 / 3, 0])


def test_tokens_that_never_part_have_all_company_and_a_lone_one_none() -> None:
    alike = Analysis.from_dict(analysis_from_labels(["a", "b"], [[0, 3], [0, 3]]))
    assert cluster_company(alike, 0, 0)[1].tolist() == [1, 1]
    analysis = Analysis.from_dict(analysis_from_labels(["a", "b"], [[0, 1], [1, 1]]))
    assert cluster_company(analysis, 0, 0)[1].tolist() == [0]
    with pytest.raises(InvalidDataError, match="cluster: there is no 9 in layer_0, only 0, 1"):
        cluster_company(analysis, 0, 9)
    with pytest.raises(InvalidDataError, match="layer"):
        cluster_company(analysis, 5, 0)
