"""Copies that follow what people and work do, compared with what a new device would read."""

import pytest

from changes import scopes
from changes.digest import digest, sum_of
from changes.reading import StartOver
from changes.types import kinds_of

from .readers import Copy, from_zero


class Followers:
    """A copy of each of these scopes; some may be gone by the end of a step."""

    def __init__(self, names):
        self.copies = {name: Copy(name) for name in names}

    def pull(self):
        """Bring every copy up to date and compare it; return the types of what came, with a minus where it is gone."""
        came = set()
        for scope, copy in self.copies.items():
            came |= {("-" if change.deleted else "") + change.kind for change in copy.pull()}
            assert copy.rows == from_zero(scope), scope
            said = digest(scope)
            assert said.is_settled
            for kind in kinds_of(scope):
                mine = ((key, version) for (name, key), (version, _) in copy.rows.items() if name == kind.name)
                assert said.types[kind.name] == sum_of(kind.name, mine), (scope, kind.name)
        return came

    def forget(self, scope):
        """Follow this one no longer: it is gone. Where another may come with the same id, its copy would start over."""
        copy = self.copies.pop(scope)
        if scope.startswith("user:"):
            assert not scopes.Scope.objects.filter(name=scope).exists()
        else:
            with pytest.raises(StartOver):
                copy.pull()
