"""Nothing that Python's parser finds in the mails of public corpora is lost."""

import pytest

from benchmarks.mail_parsers import compare, read_corpus, read_with_python


@pytest.mark.parametrize("corpus", ["train", "modern"])
def test_what_another_parser_finds_is_found(real_data, corpus):
    mails = read_corpus(real_data / "email" / f"{corpus}.parquet", step=40)
    counts = compare(mails, read_with_python)
    assert counts["subject lost"] == counts["links lost"] == counts["names lost"] == 0
    assert (
        counts["text lost"] <= len(mails) // 100
    )  # words of charsets that browsers read otherwise
