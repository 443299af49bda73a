"""The kinds of operations: known by name at once, their modules imported when they are asked for."""

import sys

import pytest

import catalog.apps
import exports.apps
from operations import kinds, signals
from operations.kinds import KINDS, Kinds

WORK = """
from operations.kinds import operation_kind

@operation_kind("{0}", label="{0}", queue="files")
def work(run): ...
"""


@pytest.fixture
def declared(tmp_path, monkeypatch):
    """Return kinds of which two are declared, each in a module of its own."""
    for name in ("sowing", "reaping"):
        (tmp_path / f"work_of_{name}.py").write_text(WORK.format(name))
        monkeypatch.delitem(sys.modules, f"work_of_{name}", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(kinds, "KINDS", Kinds())
    monkeypatch.setattr(signals, "KINDS", kinds.KINDS)
    kinds.KINDS.declare({name: f"work_of_{name}" for name in ("sowing", "reaping")})
    return kinds.KINDS


def imported():
    return {name.removeprefix("work_of_") for name in sys.modules if name.startswith("work_of_")}


def test_only_the_module_of_the_kind_that_is_asked_for_is_imported(declared):
    assert "sowing" in declared and "resting" not in declared
    assert declared.get("resting") is None and imported() == set()
    assert declared["sowing"].label == "sowing" and imported() == {"sowing"}


@pytest.mark.parametrize("ask", [list, len, lambda declared: signals.load_kinds()])
def test_who_lists_the_kinds_or_starts_a_worker_gets_all(declared, ask):
    ask(declared)
    assert imported() == {"sowing", "reaping"} and sorted(declared) == ["reaping", "sowing"]


@pytest.mark.parametrize("app", [catalog.apps, exports.apps])
def test_every_kind_of_an_app_is_registered_by_the_module_that_the_app_names(app):
    package = app.__package__
    registered = {
        name: kind.run.__module__ for name, kind in KINDS.items() if kind.run.__module__.startswith(f"{package}.")
    }
    assert registered == {name: f"{package}.{module}" for name, module in app.KINDS_OF_OPERATIONS.items()}
