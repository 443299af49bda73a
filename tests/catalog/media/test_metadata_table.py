"""The table in docs/metadata.md says what is read."""

from tests.catalog.media.metadata_table import PAGE, page_with, table


def test_the_table_says_what_is_read() -> None:
    page = PAGE.read_text()
    assert page_with(table(), page) == page, "write it anew: python -m tests.catalog.media.metadata_table"
