"""What happens to the libraries of a user who is deleted."""

from typing import Any

from django.dispatch import receiver

from accounts.signals import user_is_leaving

from .libraries import forget_library
from .models import Library


@receiver(user_is_leaving, dispatch_uid="forget libraries")
def forget_libraries(sender: Any, user: Any, **_: Any) -> None:
    """Forget them by a few statements; the ORM's own cascade would load every photo of a million first."""
    for library in Library.objects.filter(owner=user):
        forget_library(library)
