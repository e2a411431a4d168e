from __future__ import annotations

import base64

import pytest

from concept_fragmentation.callbacks.uploads import UploadError, received


def data_url(content: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 1000])
def test_a_file_as_large_as_the_limit_arrives_and_one_byte_more_does_not(limit: int) -> None:
    content = bytes(range(250)) * 4
    assert received("a.json", data_url(content[:limit]), limit) == content[:limit]
    with pytest.raises(UploadError, match=r"'a\.json' is larger than .* MiB.*--max-upload"):
        received("a.json", data_url((content + b"x")[: limit + 1]), limit)


@pytest.mark.parametrize("contents", ["data:;base64,AAA", "data:;base64,A*==", "data:;base64,é"])
def test_a_file_that_did_not_arrive_whole_is_one_sentence(contents: str) -> None:
    with pytest.raises(UploadError, match="did not arrive whole; drop it again"):
        received("a.json", contents, 1000)


def test_markup_in_a_name_stays_text_and_a_long_name_is_cut() -> None:
    with pytest.raises(UploadError) as caught:
        received("\u202e" + "x" * 10_000, data_url(b"12345"), 1)
    assert len(str(caught.value)) < 500
    assert "\u202e" not in str(caught.value)
