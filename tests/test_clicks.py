"""However much people click, the memory of a server has a ceiling."""

from __future__ import annotations

import pytest

from benchmarks import clicks

pytestmark = pytest.mark.slow

# What requests of the moment need, and what the allocator holds back, in MiB.
ROOM = 250


@pytest.mark.soak
def test_ten_people_click_and_the_memory_stays_within_its_budget(soaking: bool) -> None:
    budget = 64 if soaking else 4
    watched = clicks.run(
        10,
        60 if soaking else 4,  # `make soak` has an hour of larger analyses, too
        analyses=4,
        tokens=5000 if soaking else 500,
        budget=budget,
    )
    assert set(watched.answers) == {200}
    assert budget / 2 < watched.most_kept <= budget
    begin = watched.samples[0][2]
    assert watched.resident(0, 1) < begin + budget + ROOM
