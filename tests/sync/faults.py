"""A transport between a client and a server that loses, repeats, delays and confuses what passes through it."""

from sync.device.transport import Unreachable
from sync.protocol.problems import Malformed, ProtocolProblem

FAULTS = ("none", "lose_request", "lose_reply", "repeat", "delay", "old_reply", "crash_before", "crash_after")


class Crash(BaseException):
    """The process of the client dies here."""


class FaultyTransport:
    """Passes calls on; each takes the next fault of `faults`, and none when they are used up.

    `faults_of` has plans for calls of one name; they go first.
    """

    def __init__(self, inner):
        self._inner = inner
        self.faults = []
        self.faults_of = {}
        self.meanwhile = lambda: None
        self._late = []
        self._replies = {}

    def info(self):
        return self._call("info")

    def push(self, request):
        return self._call("push", request)

    def changes(self, request):
        return self._call("changes", request)

    def digest(self, scope):
        return self._call("digest", scope)

    def _call(self, name, *arguments):
        plan = self.faults_of.get(name) or self.faults
        fault = plan.pop(0) if plan else "none"
        if fault == "crash_before":
            raise Crash
        if fault == "meanwhile":
            self.meanwhile()
        if fault == "lose_request":
            raise Unreachable("lost on the way there")
        if fault == "delay":
            self._late.append((name, arguments))
            raise Unreachable("late")
        reply = getattr(self._inner, name)(*arguments)
        if fault == "repeat":
            reply = getattr(self._inner, name)(*arguments)
        while self._late:
            self._deliver(*self._late.pop())
        if fault == "crash_after":
            raise Crash
        if fault == "lose_reply":
            raise Unreachable("lost on the way back")
        before = self._replies.get(name)
        self._replies[name] = reply
        if fault != "old_reply" or before is None:
            return reply
        if name == "changes" and before.scope != reply.scope:
            raise Malformed("The page of changes is about another scope.")  # as reading it would say
        return before

    def _deliver(self, name, arguments):
        """A request that the client has given up arrives all the same."""
        try:
            getattr(self._inner, name)(*arguments)
        except ProtocolProblem:
            pass
