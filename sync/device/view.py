"""What a person sees: what the server said, with the edits that wait on top."""

from collections.abc import Collection, Iterator

from sync.protocol.messages import Op
from sync.protocol.ordering import references
from sync.protocol.values import JsonValue

from .outbox import Outbox
from .store import Store

_HOMES = ("user", "library", "album")
"""Where a thing that is shown in several scopes is read from, best first: an album shows less of a photo than its library."""


class View:
    """Reading from a store."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store
        self._outbox = Outbox(store)

    def get(self, type: str, id: str) -> dict[str, JsonValue] | None:
        """Return the fields of a thing; None if there is none, or it is deleted."""
        deleted, data = self._said(type, id)
        seen = None if deleted else data
        for edit in self._outbox.of(type, id):
            if edit.op is Op.DELETE:
                seen = None
            else:
                seen = {**(data or {} if seen is None else seen), **edit.fields}
            data = seen or data
        return seen

    def kept(self, type: str, id: str) -> dict[str, JsonValue] | None:
        """Return what the server last said of a thing, also if it has been deleted since and edits of it wait."""
        return self._said(type, id)[1]

    def base_version(self, type: str, id: str) -> int | None:
        """Return the version of a thing in its home scope, deleted or not; None if the server never showed it."""
        rows = self._rows(type, id)
        return rows[0][1] if rows else None

    def seen_version(self, type: str, id: str, names: Collection[str] | None = None) -> int | None:
        """Return the version up to which a person has seen these fields (None: all) of a thing; None as for `base_version`.

        That is the row's, unless an edit that waits hides what was written into one of the fields since the edit was made: then
        it is the version that the edit was made on.
        """
        rows = self._rows(type, id)
        if not rows:
            return None
        scope, seen = rows[0][:2]
        waiting = self._outbox.of(type, id)
        changed = self._store.field_versions(scope, type, id) if waiting else {}
        for edit in waiting:
            base = edit.base_version or 0
            hidden = changed.keys() if edit.op is Op.DELETE else changed.keys() & edit.fields.keys()
            if any(changed[name] > base for name in hidden if names is None or name in names):
                seen = min(seen, base)
        return seen

    def ids(self, type: str) -> Iterator[str]:
        """Return the ids of all things of a kind that are there, dangling ones too. Memory: the ids."""
        rows = self._store.db.execute("SELECT DISTINCT id FROM row WHERE type = ? AND NOT deleted", (type,))
        known = {str(id) for (id,) in rows}
        for id in sorted(known | set(self._outbox.ids_of(type))):
            if self.get(type, id) is not None:
                yield id

    def items(self, type: str) -> Iterator[tuple[str, dict[str, JsonValue]]]:
        """Return (id, fields) of all things of a kind, in order of their ids, without dangling ones."""
        for id in self.ids(type):
            data = self.get(type, id)
            if data is not None and not self._is_dangling(type, data):
                yield id, data

    def dangling(self, type: str) -> list[str]:
        """Return the ids of things that refer to something that is not here: kept, and shown again when it comes."""
        return [id for id in self.ids(type) if self._is_dangling(type, self.get(type, id) or {})]

    def _is_dangling(self, type: str, data: dict[str, JsonValue]) -> bool:
        parents = {name: kind.parents for name, kind in self._store.kinds().items()}
        followed = self._store.recall("kinds")
        wanted = references(type, data, parents)
        return any(
            self.get(*parent) is None for parent in wanted if followed is None or parent[0] in followed.split(",")
        )

    def _said(self, type: str, id: str) -> tuple[bool, dict[str, JsonValue] | None]:
        rows = self._rows(type, id)
        return (rows[0][2], rows[0][3]) if rows else (True, None)

    def _rows(self, type: str, id: str) -> list[tuple[str, int, bool, dict[str, JsonValue] | None]]:
        """Rows of the thing in all scopes, that of its home first."""
        homes = [
            (_HOMES.index(home) if (home := row[0].split(":")[0]) in _HOMES else len(_HOMES), row)
            for row in self._store.rows_of(type, id)
        ]
        return [row for _, row in sorted(homes, key=lambda item: (item[0], item[1][2], item[1][0]))]
