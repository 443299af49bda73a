"""Every operation of the API, called as owner, as outsider and as nobody with right and wrong requests: all as declared.

A longer run, with other values each time: see `tests.contract.calls`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.calls import call_all
from tests.contract.site import Site, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all of them: charlie and nobody must find alice's things unharmed, and she comes last."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.slow
@pytest.mark.repeated
@pytest.mark.parametrize(
    ("person", "phases", "examples"),
    [
        # 401 before anything is asked of a database, but for signing in, which the others try, too.
        pytest.param("anonymous", "fuzzing", 2, marks=pytest.mark.one_database),
        ("charlie", "fuzzing", 3),
        ("alice", "examples,coverage,fuzzing,stateful", 3),
    ],
)
def test_every_answer_is_as_declared(site: Site, tmp_path: Path, person: str, phases: str, examples: int) -> None:
    found = call_all(site, person, phases=phases, examples=examples, seed=1, folder=tmp_path)
    assert not found, found
