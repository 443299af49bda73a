"""What was read of a backup, in a scratch database: found by id and in order, without being held in memory."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Record = dict[str, Any]
BATCH = 500


class Spool:
    """Records by kind and id. A context manager; the file is removed with it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._path = path
        self._rows = sqlite3.connect(path, isolation_level=None)
        self._rows.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;"
            "CREATE TABLE record(kind TEXT, id TEXT, parent TEXT, body TEXT, PRIMARY KEY(kind, id)) WITHOUT ROWID;"
            "CREATE INDEX by_parent ON record(kind, parent, id); BEGIN"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rows.close()
        self._path.unlink(missing_ok=True)

    def add(self, kind: str, key: str, record: Record, parent: str = "") -> bool:
        """Keep a record; False if there is one of that kind and id already, which stays."""
        body = json.dumps(record, ensure_ascii=True, separators=(",", ":"))
        added = self._rows.execute("INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?)", (kind, key, parent, body))
        return added.rowcount == 1

    def count(self, kind: str) -> int:
        """Return how many there are of a kind."""
        return int(self._rows.execute("SELECT count(*) FROM record WHERE kind = ?", (kind,)).fetchone()[0])

    def get(self, kind: str, key: str) -> Record | None:
        """Return one record; None if there is none."""
        return self.some(kind, [key]).get(key)

    def some(self, kind: str, keys: Iterable[str]) -> dict[str, Record]:
        """Return those with these ids, by id."""
        found: dict[str, Record] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), BATCH):
            part = wanted[start : start + BATCH]
            marks = ",".join("?" * len(part))
            query = f"SELECT id, body FROM record WHERE kind = ? AND id IN ({marks})"  # noqa: S608
            found |= {key: json.loads(body) for key, body in self._rows.execute(query, (kind, *part))}
        return found

    def batches(self, kind: str, parent: str | None = None) -> Iterator[list[tuple[str, Record]]]:
        """Yield all of a kind (of a parent, if given) by their ids, some hundreds at once. Others may be added meanwhile."""
        last = ""
        while True:
            query = "SELECT id, body FROM record WHERE kind = ? AND id > ?"
            values: tuple[Any, ...] = (kind, last)
            if parent is not None:
                query, values = f"{query} AND parent = ?", (*values, parent)
            rows = self._rows.execute(f"{query} ORDER BY id LIMIT {BATCH}", values).fetchall()
            if not rows:
                return
            yield [(key, json.loads(body)) for key, body in rows]
            last = rows[-1][0]
