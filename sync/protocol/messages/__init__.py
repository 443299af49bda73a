"""The requests and replies of `/api/v1/sync/`, as dataclasses that read and write JSON.

Servers read requests strictly: a member that is not known is refused, so that a misspelt one is noticed. Devices read replies
leniently: a newer server may say more.
"""

from .info import EndedScope, FieldInfo, Info, KindInfo, Limits, ScopeInfo
from .mutations import Base, Mutation, Op, PushRequest, Unreadable
from .pull import ChangesReply, ChangesRequest, DigestReply
from .results import MutationResult, PushReply, Status
from .rows import Row

__all__ = [
    "Base",
    "ChangesReply",
    "ChangesRequest",
    "DigestReply",
    "EndedScope",
    "FieldInfo",
    "Info",
    "KindInfo",
    "Limits",
    "Mutation",
    "MutationResult",
    "Op",
    "PushReply",
    "PushRequest",
    "Row",
    "ScopeInfo",
    "Status",
    "Unreadable",
]
