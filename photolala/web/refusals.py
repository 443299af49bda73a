"""What a view or a task refuses to do: errors with a status, a sentence for people and a code for programs.

Free of the web framework, so that workers and commands that only raise them need not load it.
"""

from typing import Any


class Problem(Exception):
    """An error with a status, a sentence (`detail`), a code and, as keyword arguments, further members of the problem object.

    `wait_seconds` becomes Retry-After.
    """

    status_code = 400
    default_code = "bad_request"
    default_wait: int | None = None

    def __init__(
        self, sentence: str, code: str | None = None, *, wait_seconds: int | None = None, **members: Any
    ) -> None:
        super().__init__(sentence)
        self.detail = sentence
        self.code = code or self.default_code
        self.wait = self.default_wait if wait_seconds is None else wait_seconds
        self.members = members


class BadRequest(Problem):
    """400: the request itself cannot be understood."""


class Forbidden(Problem):
    """403: to see, but not to change."""

    status_code = 403
    default_code = "permission_denied"


class Conflict(Problem):
    """409: the state of things does not allow it now."""

    status_code = 409
    default_code = "conflict"


class TooLarge(Problem):
    """413: the body is larger than any honest one."""

    status_code = 413
    default_code = "too_large"


class Unprocessable(Problem):
    """422: well-formed, but impossible."""

    status_code = 422
    default_code = "impossible"


class Unavailable(Problem):
    """503: not now."""

    status_code = 503
    default_code = "unavailable"
    default_wait = 5


class NotThere(Problem):
    """404; where it may come to be there, with the time to wait."""

    status_code = 404
    default_code = "not_found"


class TooManyRequests(Problem):
    """429: wait."""

    status_code = 429
    default_code = "too_many_requests"
