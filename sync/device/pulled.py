"""What was pulled: pages are staged, and take effect together with the cursor when the last one is there."""

from dataclasses import dataclass

from sync.protocol.messages import ChangesReply

from .brake import Brake
from .store import KEPT_DATA, Store, values_of

_STAGED = "SELECT 1 FROM staged s WHERE s.scope = row.scope AND s.type = row.type AND s.id = row.id"


@dataclass(frozen=True)
class Progress:
    """Where the pull of a scope is: the cursor to ask with, and whether it began at zero to replace all rows."""

    cursor: str
    whole: bool


@dataclass(frozen=True)
class Applied:
    """What came of a page: rows that took effect, or deletions that wait for a confirmation."""

    rows: int = 0
    held: int = 0


class Pulled:
    """The staged pages of a store."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._db = store.db

    def progress(self, scope: str) -> Progress:
        """Return where the pull of a scope goes on: after its staged pages, if there are some."""
        cursor, staged, whole = self._db.execute(
            "SELECT cursor, staged_cursor, whole FROM scope WHERE name = ?", (scope,)
        ).fetchone()
        return Progress(staged or ("" if whole else cursor), bool(whole))

    def is_complete(self, scope: str, version: int) -> bool:
        """Say whether the scope's rows up to `version` are here, so that there is no need to ask."""
        complete, staged = self._db.execute(
            "SELECT complete, staged_cursor FROM scope WHERE name = ?", (scope,)
        ).fetchone()
        return complete >= version and not staged

    def start_over(self, scope: str) -> None:
        """Pull the scope from zero. Its rows stay until the new ones are complete."""
        self._db.execute("DELETE FROM staged WHERE scope = ?", (scope,))
        self._db.execute(
            "UPDATE scope SET staged_cursor = '', whole = 1, complete = -1, held = 0 WHERE name = ?", (scope,)
        )

    def take(self, page: ChangesReply, at_version: int, brake: Brake) -> Applied:
        """Stage a page; apply all staged pages if it is the last one, in the same transaction as the cursor.

        `at_version` is the version of the scope that the server named before the page was asked for.
        """
        with self._store.writing():
            self._db.executemany(
                """INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version,
                deleted = excluded.deleted, data = excluded.data, fields = excluded.fields
                WHERE excluded.version > staged.version""",
                [values_of(row) for row in page.changes],
            )
            self._db.execute("UPDATE scope SET staged_cursor = ? WHERE name = ?", (page.cursor, page.scope))
            if page.has_more:
                return Applied()
            held = self._held(page.scope, brake)
            self._db.execute("UPDATE scope SET held = ? WHERE name = ?", (held, page.scope))
            return Applied(held=held) if held else Applied(self._apply(page.scope, at_version))

    def confirm(self, scope: str) -> None:
        """Let as many deletions take effect as wait now; if more of them come, they wait again."""
        self._db.execute("UPDATE scope SET confirmed = held WHERE name = ?", (scope,))

    def held(self) -> dict[str, int]:
        """Return the scopes in which deletions wait for a confirmation, with their number."""
        return dict(self._db.execute("SELECT name, held FROM scope WHERE held > 0 ORDER BY name"))

    def _held(self, scope: str, brake: Brake) -> int:
        whole, confirmed = self._db.execute("SELECT whole, confirmed FROM scope WHERE name = ?", (scope,)).fetchone()
        there = self._count("NOT deleted", scope)
        deletions = self._count(f"NOT deleted AND EXISTS ({_STAGED} AND s.deleted AND s.version > row.version)", scope)
        if whole:
            deletions += self._count(f"NOT deleted AND NOT EXISTS ({_STAGED})", scope)
        return deletions if deletions > confirmed and brake.holds(deletions, there) else 0

    def _count(self, condition: str, scope: str) -> int:
        query = f"SELECT count(*) FROM row WHERE scope = ? AND {condition}"  # noqa: S608 (no input)
        return int(self._db.execute(query, (scope,)).fetchone()[0])

    def _apply(self, scope: str, at_version: int) -> int:
        whole = self.progress(scope).whole
        if whole:
            pending = "EXISTS (SELECT 1 FROM outbox o WHERE o.type = row.type AND o.id = row.id)"
            absent = f"scope = ? AND NOT EXISTS ({_STAGED})"
            self._db.execute(f"UPDATE row SET deleted = 1 WHERE {absent} AND {pending}", (scope,))  # noqa: S608 (no input)
            self._db.execute(f"DELETE FROM row WHERE {absent} AND NOT {pending}", (scope,))  # noqa: S608 (no input)
        newer = "" if whole else "WHERE excluded.version > row.version"
        self._db.execute(
            f"""INSERT INTO row SELECT * FROM staged WHERE scope = ? ON CONFLICT DO UPDATE SET version = excluded.version,
            deleted = excluded.deleted, fields = excluded.fields, data = {KEPT_DATA} {newer}""",  # noqa: S608 (no input)
            (scope,),
        )
        rows = int(self._db.execute("SELECT changes()").fetchone()[0])
        self._db.execute("DELETE FROM staged WHERE scope = ?", (scope,))
        self._db.execute(
            """UPDATE scope SET cursor = staged_cursor, staged_cursor = '', whole = 0, held = 0, confirmed = 0,
            complete = max(?, complete) WHERE name = ?""",
            (at_version, scope),
        )
        return rows
