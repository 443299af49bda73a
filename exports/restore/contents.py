"""What is in the albums of a backup: items at their places, covers, and members."""

from uuid import UUID

from accounts.models import User
from catalog.albums import albums, items, members
from catalog.albums.items import NOTE, PHOTO, Target
from catalog.albums.refusals import Refused
from catalog.albums.restored import RestoredItem, Times, keep_times, put_items
from catalog.models import Album, AlbumItem, AlbumMember
from catalog.models.album import album_item_id
from exports.bundle import layout
from exports.restore.check import is_uuid, moment_or_none
from exports.restore.people import Restoring
from exports.restore.photos import named_in
from exports.restore.plan import REPLACE, Here, There, compare
from exports.restore.report import Action, Difference
from exports.restore.spool import Record

_NO_ALBUM = "Its album is not restored."


def restore_contents(work: Restoring, made: frozenset[str]) -> None:
    """Compare, and put back, what is in the albums that are restored; `made` are those that were not here before.

    Members are set where an album is made, or replaced: merging shares nothing again that was un-shared since.
    """
    for batch in work.checked.spool.batches(layout.ALBUMS.name):
        for key, record in batch:
            owner = work.people.get(record["owner"])
            if owner is None:
                continue
            album = Album.objects.filter(pk=key).first()
            if album.owner_id != owner.pk if album is not None else key not in made:
                continue  # it is somebody else's, or was refused
            _restore_items(work, key, owner)
            _restore_members(work, key, owner, record, is_new=key in made)
            if work.applies and album is not None:
                _restore_cover(work, album, owner, record)
    _note_orphans(work)


def _restore_items(work: Restoring, album_id: str, owner: User) -> None:
    listed: set[UUID] = set()
    for batch in work.checked.spool.batches(layout.ALBUM_ITEMS.name, album_id):
        photos = _photos(work, owner, batch)
        wanted: dict[UUID, tuple[str, RestoredItem, There]] = {}
        for key, record in batch:
            one = _item(work, owner, record, photos)
            if one is None:
                reason = "What it names is no photo or note, or it was added when nobody can have done so."
                work.report.add(Difference("albumItem", key, Action.LEFT, reason=reason))
                continue
            there = There({"position": one.position}, moment_or_none(record["addedAt"]))
            wanted[album_item_id(UUID(album_id), *one.target)] = key, one, there
        listed |= wanted.keys()
        rows = AlbumItem.objects.filter(album=UUID(album_id)).in_bulk(list(wanted))
        put = []
        for item_id, (key, one, there) in wanted.items():
            row = rows.get(item_id)
            here = Here({"position": row.position}, row.added_at, row.trashed_at is not None) if row else None
            difference = compare("albumItem", key, there, here, work.mode)
            if difference.action is Action.UPDATE and work.mode != REPLACE:
                # Nobody knows when it was moved: it stays where it is now.
                difference = Difference("albumItem", key, Action.KEEP, fields=difference.fields)
            work.report.add(difference)
            if difference.action in (Action.CREATE, Action.UPDATE, Action.BRING_BACK):
                put.append(one)
        if work.applies and put:
            for target, refused in put_items(owner, UUID(album_id), put):
                work.checked.note(f"{target.type} {target.id} in album {album_id}", str(refused))
    if work.mode == REPLACE:
        _remove_others(work, album_id, owner, listed)


def _remove_others(work: Restoring, album_id: str, owner: User, listed: set[UUID]) -> None:
    live = AlbumItem.objects.live().filter(album=UUID(album_id)).order_by("pk").values_list("pk", flat=True)
    others = [key for key in live if key not in listed]
    for key in others:
        work.report.add(Difference("albumItem", str(key), Action.TRASH))
    if work.applies and others:
        items.remove(owner, UUID(album_id), others)


def _item(work: Restoring, owner: User, record: Record, photos: dict[str, str]) -> RestoredItem | None:
    """Return an item as it is put back: photos by their ids here; added by whom, if that is somebody who is restored."""
    added = moment_or_none(record["addedAt"])
    kind, target = record["targetType"], record["targetId"]
    if kind not in (PHOTO, NOTE) or not is_uuid(target) or added is None:
        return None
    found = photos.get(target, target) if kind == PHOTO else target
    return RestoredItem(
        Target(kind, UUID(found)), record["position"], added, work.people.get(record["addedBy"]) or owner
    )


def _photos(work: Restoring, owner: User, batch: list[tuple[str, Record]]) -> dict[str, str]:
    wanted = [record["targetId"] for _, record in batch if record["targetType"] == PHOTO]
    named = named_in(work.checked.spool, wanted)
    return {key: str(found.id) for key, found in work.people.finder_of(owner).find(named).items()}


def _restore_cover(work: Restoring, album: Album, owner: User, record: Record) -> None:
    cover = record.get("cover")
    if cover is None or (album.cover_id is not None and work.mode != REPLACE):
        return
    named = named_in(work.checked.spool, [cover])
    found = work.people.finder_of(owner).find(named).get(cover)
    changed = album.updated_at
    try:
        albums.patch(owner, album.pk, {"cover": str(found.id) if found else cover})
    except Refused as refused:
        work.checked.note(f"album {album.pk}", str(refused).removesuffix(" Nothing was changed."))
    else:
        keep_times(Album, {album.pk: Times(None, changed)})


def _restore_members(work: Restoring, key: str, owner: User, record: Record, *, is_new: bool) -> None:
    said = {str(one["username"]): str(one["role"]) for one in record["members"]}
    here = dict(AlbumMember.objects.filter(album=UUID(key)).values_list("user__username", "role"))
    if said == here:
        return
    users = {user.get_username(): user for user in User.objects.filter(username__in=[*said, *here], is_active=True)}
    known = {name: work.people.get(name) or users.get(name) for name in said}
    for name in sorted(said.keys() | here.keys()):
        if said.get(name) == here.get(name):
            continue
        fields = {"role": (here.get(name), said.get(name))}
        sets = is_new or work.mode == REPLACE
        action = Action.KEEP if not sets else Action.TRASH if name not in said else Action.UPDATE
        reason, user = "", known.get(name)
        if sets and name in said and (user is None or user.pk == owner.pk):
            action, reason = Action.LEFT, "Nobody here has this name, or it is the owner's own."
        if work.applies and action in (Action.UPDATE, Action.TRASH):
            try:
                if name not in said:
                    members.remove_member(owner, UUID(key), users[name])
                else:
                    members.set_member(owner, UUID(key), user, said[name])
            except (Refused, KeyError) as refused:
                action, reason = Action.LEFT, str(refused)
        work.report.add(Difference("member", f"{key}/{name}", action, name, fields, reason))


def _note_orphans(work: Restoring) -> None:
    """Note items whose album is not restored."""
    for batch in work.checked.spool.batches(layout.ALBUM_ITEMS.name):
        albums_of = {record["albumId"] for _, record in batch}
        known = work.checked.spool.some(layout.ALBUMS.name, albums_of)
        for key, record in batch:
            album = known.get(record["albumId"])
            if album is None or work.people.get(album["owner"]) is None:
                work.report.add(Difference("albumItem", key, Action.LEFT, reason=_NO_ALBUM))
