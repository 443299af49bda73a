"""What accounts tell the other apps, which they do not know."""

from django.dispatch import Signal

user_is_leaving = Signal()
"""Sent (sender User, `user`) in the transaction that deletes a user: who keeps much of theirs removes it by itself."""

waiting_work_of = Signal()
"""Sent (sender User, `user`) before a user is deleted: who knows of work that waits answers a list of sentences with numbers."""
