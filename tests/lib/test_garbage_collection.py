"""Work without the search for cycles: only while it lasts, whatever ends it."""

import gc

import pytest

from photolala.lib.garbage_collection import no_cycles_expected


def test_the_search_goes_on_afterwards_if_it_did_before() -> None:
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), no_cycles_expected():
        assert not gc.isenabled()
        1 / 0  # noqa: B018
    assert gc.isenabled()
    gc.disable()
    try:
        with no_cycles_expected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
