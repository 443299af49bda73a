"""Ask for similar pictures: which can be compared, and the operation that does it. (It knows nothing of how: pages import it.)"""

from accounts.models import User
from catalog.media.look import MOST_BITS, NO_LOOK
from catalog.models import Library, Photo
from catalog.models.photo import IS_SURE, PhotoQuerySet
from operations.models import Operation
from operations.running import start

KIND = "similar"


def start_finding(user: User, *, enqueue: bool = True) -> Operation:
    """Start looking for similar pictures among all that `user` sees. Raises AlreadyActive while that is being done."""
    params = {"most_bits": MOST_BITS}
    return start(KIND, user, active_key=f"similar:{user.pk}", params=params, enqueue=enqueue, unit="pictures")


def comparable(user: User) -> PhotoQuerySet:
    """Return the pictures that `user` sees and that can be compared: present, and read here."""
    libraries = list(Library.objects.visible_to(user).values_list("pk", flat=True))
    there = Photo.objects.filter(IS_SURE, library__in=libraries).exclude(state=Photo.State.REMOTE)
    return there.filter(look__isnull=False).exclude(look=NO_LOOK)
