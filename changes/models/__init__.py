"""The tables of the numbering, and the base of what is numbered."""

from .bookkeeping import EndedScope, Epoch, FieldState, Scope, Shown, Tombstone
from .numbered import Numbered, NumberedQuerySet

__all__ = ["EndedScope", "Epoch", "FieldState", "Numbered", "NumberedQuerySet", "Scope", "Shown", "Tombstone"]
