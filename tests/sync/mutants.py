"""Faults planted into client and protocol, one at a time, to see whether the state machine, or a named case, finds them.

    python -m tests.sync.mutants [--cases] [NAME…]

Each is a change of source text in a copy of the repository. Names may be given to try only those. `--cases` runs the named cases
of the device and the protocol instead of histories, and says which one found the fault.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RUN = """
import os
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.sync.machine import SyncMachine
run_state_machine_as_test(SyncMachine, settings=settings(
    max_examples=int(os.environ.get("SYNC_HISTORIES", "150")), stateful_step_count=40, deadline=None,
    phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck),
))
"""

MUTANTS: dict[str, list[tuple[str, str, str]]] = {
    "an acknowledged push moves the pull cursor": [
        (
            "device/pushed.py",
            "            store.put(row)\n",
            "            store.put(row)\n            store.db.execute('UPDATE scope SET complete = ? WHERE name = ?', (row.version, row.scope))\n",
        )
    ],
    "only the last page takes effect": [
        ("device/pulled.py", "for row in page.changes]", "for row in page.changes if not page.has_more]")
    ],
    "a crash loses the staged pages, but not their cursor": [
        (
            "device/store.py",
            "        with self.writing():\n            version =",
            "        with self.writing():\n            if self.db.execute('PRAGMA user_version').fetchone()[0]:\n"
            "                self.db.execute('DELETE FROM staged')\n            version =",
        )
    ],
    "a deletion takes the data from under pending edits": [
        ("device/store.py", "THEN row.data ELSE excluded.data END", "THEN excluded.data ELSE excluded.data END")
    ],
    "a sent edit is collapsed": [
        ("device/outbox.py", "while earlier and earlier[-1].mid is None:", "while earlier:"),
    ],
    "created and deleted is nothing, even if an earlier edit was sent": [
        ("device/outbox.py", "if both is None and len(earlier) > 1:", "if False:")
    ],
    "made again and deleted is nothing, even if the server has it": [
        (
            "device/collapse.py",
            "if first.op is Op.CREATE and first.base_version is None and newest is None:",
            "if first.op is Op.CREATE:",
        )
    ],
    "patches on different versions become one on the newer": [
        (
            "device/collapse.py",
            "            raise Apart\n",
            "            return Pending(Op.PATCH, fields, second.base_version)\n",
        )
    ],
    "what an edit that waits hides counts as seen": [
        ("device/client.py", "self.view.seen_version(type, id, names)", "self.view.base_version(type, id)")
    ],
    "what was deleted for good comes back without the later edits that were sent": [
        (
            "device/pushed.py",
            "    for edit in later:  #",
            "    for edit in (one for one in later if one.mid is None):  #",
        )
    ],
    "waiting edits are rebased on what the reply says": [
        (
            "device/pushed.py",
            "            store.put(row)\n",
            "            store.put(row)\n            store.db.execute('UPDATE outbox SET base_version = ? WHERE id = ?', (row.version, row.id))\n",
        )
    ],
    "edits are based on the version at the time of sending": [
        (
            "device/outbox.py",
            "    return Mutation(entry.mid, entry.type, entry.id, entry.op, base,",
            "    base = Base(2**62) if base else base\n    return Mutation(entry.mid, entry.type, entry.id, entry.op, base,",
        )
    ],
    "starting over clears the outbox": [
        (
            "device/pulled.py",
            'Its rows stay until the new ones are complete."""\n',
            'Its rows stay until the new ones are complete."""\n        self._db.execute(\'DELETE FROM outbox\')\n',
        )
    ],
    "a pull from zero leaves rows that are no more": [
        ("device/pulled.py", "        if whole:\n            pending =", "        if False:\n            pending =")
    ],
    "a pull from zero takes the data from under pending edits": [
        ("device/pulled.py", "{absent} AND NOT {pending}", "{absent}")
    ],
    "a pull from zero keeps rows of the epoch before": [
        ("device/pulled.py", 'newer = "" if whole else', 'newer = "WHERE excluded.version > row.version" if whole else')
    ],
    "what was deleted for good is not sent whole": [
        ("device/pushed.py", "        _send_whole(store, outbox, view, entry)\n", "        pass\n")
    ],
    "what was deleted for good is sent with the edited fields only": [
        ("device/pushed.py", "    fields.update(entry.fields)\n", "    fields = dict(entry.fields)\n")
    ],
    "an edit without result counts as applied": [
        (
            "device/pushed.py",
            "    if any(mutation.mid not in results for mutation in batch) or reply.acked_through < batch[-1].mid:\n        raise OtherReply\n",
            "    for mutation in batch:\n        results.setdefault(mutation.mid, MutationResult(mutation.mid, Status.APPLIED))\n",
        )
    ],
    "a page that answers another request is taken": [
        ("device/exchange.py", "if page.since not in {None, cursor} or (", "if (")
    ],
    "edits keep their numbers when the server was restored": [
        (
            "device/exchange.py",
            "            self._outbox.renumber(info.acked_through, keep_through=0 if is_other_device else info.acked_through)\n",
            "",
        )
    ],
    "a new epoch does not start over": [("device/exchange.py", "if widened or is_restored:", "if widened:")],
    "a scope that the restored server lacks stays": [
        ("device/exchange.py", "        if is_restored:  #", "        if False:  #")
    ],
    "what edits were made on goes with a scope that the restored server lacks": [
        ("device/store.py", "scope = ? AND NOT {_IS_PENDING}", "scope = ? AND (NOT {_IS_PENDING} OR 1)")
    ],
    "a gap in the numbers is not closed": [
        ("device/exchange.py", "                attempts += 1\n", "                raise\n")
    ],
    "children are sent before their parents": [
        ("device/outbox.py", "children), depth, entry", "children), -depth, entry")
    ],
    "numbers are not remembered": [("device/outbox.py", "        self._store.remember(next_mid=mid)\n", "")],
    "the store is complete before the last page": [
        ("device/pulled.py", "return complete >= version and not staged", "return complete >= version or bool(staged)")
    ],
    "a deletion beats edits that it has not seen": [
        (
            "protocol/resolvers/deletion.py",
            "    return all(seen.covers(state) for state in states)\n",
            "    return True\n",
        )
    ],
    "what others did while an edit was on its way counts as seen": [
        ("protocol/resolvers/merge.py", "if is_own else self.version)", "if True else self.version)")
    ],
    "a merge counts as the device's own edit": [
        (
            "protocol/resolvers/merge.py",
            "            write[name] = decision.value\n",
            "            write[name] = decision.value\n            own.add(name)\n",
        )
    ],
    "bodies go to the last writer": [
        ("protocol/resolvers/__init__.py", '"keep_both": keep_both.resolve,', '"keep_both": last_writer.resolve,')
    ],
    "a matching base is not asked for": [
        (
            "protocol/resolvers/deletion.py",
            "if strict_version is not None and",
            "if False and strict_version is not None and",
        )
    ],
}


CASES = [
    "-m",
    "pytest",
    "-q",
    "-x",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:django",
    "tests/sync/device",
    "tests/sync/protocol",
]


def found(patches: list[tuple[str, str, str]], folder: Path, *, by_cases: bool) -> str:
    """Plant a fault into a copy in `folder`, run the machine or the named cases; return what failed, "" if nothing did."""
    shutil.copytree(REPOSITORY / "sync", folder / "sync")
    shutil.copytree(REPOSITORY / "tests" / "sync", folder / "tests" / "sync")
    (folder / "tests" / "__init__.py").touch()
    for name, old, new in patches:
        path = folder / "sync" / name
        text = path.read_text()
        if text.count(old) != 1:
            raise SystemExit(f"{name} has {old!r} {text.count(old)} times: bring the table of mutants up to date.")
        path.write_text(text.replace(old, new))
    command = (
        [sys.executable, *CASES, "--ignore=tests/sync/device/test_machine.py"]
        if by_cases
        else [sys.executable, "-c", RUN]
    )
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if run.returncode not in {0, 1}:
        raise SystemExit(run.stdout + run.stderr)
    if run.returncode == 0:
        return ""
    failed = [line.split()[1] for line in run.stdout.splitlines() if line.startswith("FAILED ")]
    return failed[0].rpartition("/")[2] if failed else "histories"


def main() -> None:
    """Try all mutants, or those named, and print what became of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--cases", action="store_true", help="run the named cases, not histories")
    options = parser.parse_args()
    names, survivors = options.names or list(MUTANTS), 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            by = found(MUTANTS[name], Path(folder), by_cases=options.cases)
        survivors += not by
        print(f"killed    {name}: by {by}" if by else f"survived  {name}", flush=True)
    print(f"{len(names) - survivors} of {len(names)} killed")


if __name__ == "__main__":
    main()
