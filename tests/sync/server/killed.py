"""Histories with processes that die: device and server are killed (SIGKILL) before any statement that one of them sends.

Each runs in a process that is forked for one synchronisation, or one edit; what it had in memory is gone, its files and rows
stay. The database must be one that another process can open: a file of SQLite, or PostgreSQL.
"""

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

from django.db import connection, connections
from hypothesis import strategies as st
from hypothesis.stateful import rule

from sync.device.client import Client
from tests.sync.machine import devices, picks

from .test_machine import RealMachine

FAILED = 70
early, late = st.integers(1, 30), st.integers(20, 200)
"""Which statement is the one that is not carried out any more; some synchronisations have fewer."""


class KilledMachine(RealMachine):
    """The machine, with processes that are killed."""

    kills = 0
    """Of all histories of this process."""

    @rule(number=devices, moment=early)
    def be_killed_soon(self, number: int, moment: int) -> None:
        """Kill a device, and the server that answers it, in an exchange that begins."""
        self._in_a_process(number, moment, lambda client: client.sync())

    @rule(number=devices, moment=late)
    def be_killed_in_the_middle(self, number: int, moment: int) -> None:
        """The same with one that has come further."""
        self._in_a_process(number, moment, lambda client: client.sync())

    @rule(number=devices, pick=picks, moment=late)
    def write_and_be_killed(self, number: int, pick: int, moment: int) -> None:
        """Kill it while there is something to push."""
        self.append_to_note(number, pick)  # type: ignore[no-untyped-call]
        self._in_a_process(number, moment, lambda client: client.sync())

    @rule(number=devices, pick=picks, moment=early)
    def be_killed_while_a_person_writes(self, number: int, pick: int, moment: int) -> None:
        """Kill a device while an edit is written; whether it is there afterwards nobody was told."""
        client = self.clients[number]
        if id := self._pick(client, "note", pick):
            words = f"{client.get('note', id)['content']} {self._token()}"
            self._touched("note", id, number)
            self._in_a_process(number, moment, lambda client: client.patch("note", id, {"content": words}))

    def _in_a_process(self, number: int, moment: int, work: Callable[[Client], Any]) -> None:
        self.clients[number].close()
        connections.close_all()  # a connection is of one process
        pid = os.fork()
        if not pid:
            code = FAILED
            try:
                code = self._work(number, moment, work)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)  # nothing of the parent's is cleaned up here
        _, status = os.waitpid(pid, 0)
        self.clients[number] = self._open(number)
        KilledMachine.kills += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "see the traceback above"

    def _work(self, number: int, moment: int, work: Callable[[Client], Any]) -> int:
        left = moment

        def count(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def counted(execute: Callable[..., Any], *arguments: Any) -> Any:
            count()
            return execute(*arguments)

        client = self._open(number)
        client.store.db.set_trace_callback(count)
        with connection.execute_wrapper(counted):
            work(client)
        client.close()
        return FAILED if self.world.reused_mids() else 0
