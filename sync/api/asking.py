"""What sync's views share."""

from typing import cast

from rest_framework.request import Request

from accounts.models import User
from photolala.web.refusals import BadRequest, Problem, TooLarge
from sync.protocol.problems import Malformed, ProtocolProblem
from sync.protocol.problems import TooLarge as TooLargePush
from sync.server.orm import OrmRepository
from sync.server.repository import SyncRepository


def repository_of(request: Request) -> SyncRepository:
    """Return the repository in the name of whoever asks."""
    return OrmRepository(user_of(request))


def user_of(request: Request) -> User:
    """Return who asks."""
    return cast(User, request.user)


def as_problem(error: ProtocolProblem) -> Problem:
    """Return what the API answers for what the protocol refuses."""
    if isinstance(error, TooLargePush):
        return TooLarge(error.sentence, "too_large")
    assert isinstance(error, Malformed)
    return BadRequest(error.sentence, "malformed")
