"""What the server refuses of a whole request, beside what all views refuse."""

from photolala.web.refusals import Problem


class StartOver(Problem):
    """410: what the request builds on is not known any more. The device pulls from zero and keeps its outbox."""

    status_code = 410
    default_code = "start_over"


class ScopeEnded(Problem):
    """410: the person may not see the scope any longer."""

    status_code = 410
    default_code = "scope_ended"


class NotThisDevice(Problem):
    """403: a session, or another device than that of the token."""

    status_code = 403
    default_code = "no_device"
