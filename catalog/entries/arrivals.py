"""Says that a library has photos which it had not: for those who wait for some, in other apps."""

import logging

from django.dispatch import Signal

from catalog.models import Library

logger = logging.getLogger(__name__)
photos_arrived = Signal()
"""Sent (sender Library, `library`) when a scan or an import has brought photos, outside of transactions."""


def tell_of_arrivals(library: Library) -> None:
    """Tell all who listen. What goes wrong with one of them is logged: the photos are there all the same."""
    for receiver, answer in photos_arrived.send_robust(sender=Library, library=library):
        if isinstance(answer, Exception):
            logger.error("%r could not use the new photos of library %s.", receiver, library.pk, exc_info=answer)
