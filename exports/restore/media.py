"""The files that notes and drafts of a backup hold, put into the media stores of who holds them."""

import logging
from collections.abc import Callable, Iterator

from django.utils import timezone

from accounts.models import User
from catalog.albums.media import keep, name_of, storage
from catalog.albums.refusals import Refused
from catalog.models import Media
from exports.bundle import layout
from exports.bundle.files import BundleFiles
from exports.restore.check import Checked, media_name
from exports.restore.people import People
from exports.restore.things import held_by

logger = logging.getLogger(__name__)


def put_media(
    files: BundleFiles, checked: Checked, people: People, kept: list[Media], keepalive: Callable[[], object]
) -> None:
    """Put what the backup has and the stores have not into them; add to `kept` what was put, to be let go if all fails.

    A file that cannot be kept (too large, no room in the quota) is noted, and counts as not in the backup. Raises OSError.
    """
    for user, md5 in _held(checked, people):
        keepalive()
        entry = checked.spool.get(layout.MEDIA_MANIFEST.name, md5)
        if entry is None or checked.spool.get("whole", md5) is None or _is_kept(user, md5):
            continue
        try:
            with files.open(media_name(entry)) as stream:
                kept.append(keep(user, stream.read, str(entry.get("media_type") or ""), md5))
        except Refused as refused:
            checked.note(media_name(entry), str(refused))


def _held(checked: Checked, people: People) -> Iterator[tuple[User, str]]:
    """Yield whose notes and drafts hold which files, each once."""
    seen = set()
    for file in (layout.NOTES, layout.DRAFTS):
        for batch in checked.spool.batches(file.name):
            for _, record in batch:
                user = people.get(record["owner"])
                for held in held_by(record) if user is not None else ():
                    md5 = held.get("media_md5")
                    if user is not None and md5 and (user.pk, md5) not in seen:
                        seen.add((user.pk, md5))
                        yield user, md5


def _is_kept(user: User, md5: str) -> bool:
    """Tell whether the store has it; if nothing holds it, it is as if it was sent now: no run that failed removes it."""
    media = Media.objects.filter(owner=user, md5=md5)
    media.exclude(unused_since=None).update(unused_since=timezone.now())
    return media.exists() and storage().exists(name_of(user.pk, md5))
