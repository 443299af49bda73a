"""The real server under the state machine: its own database, the types of the catalog, and the client's own code."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.utils import timezone
from knox.models import AuthToken

from accounts.models import Device, User
from catalog.albums import members
from catalog.albums.trash import delete_what_is_due
from catalog.models import Album, AlbumItem, AlbumMember, Attachment, Draft, Note
from changes import models as changes_models
from changes import types
from changes.origin import acting
from changes.retention import collect
from changes.scopes import number, raise_epoch
from photolala.web.refusals import Conflict as ConflictRefused
from photolala.web.refusals import NotThere
from sync import models as sync_models
from sync.device import transport
from sync.protocol.clock import Stamp
from sync.protocol.messages import ChangesReply, DigestReply, Info, Limits, PushReply, PushRequest
from sync.protocol.problems import OutOfSequence, StartOver
from sync.server import pull as pulling
from sync.server.orm import OrmRepository
from sync.server.push import push
from sync.server.refusals import ScopeEnded
from sync.server.refusals import StartOver as StartOverRefused

KEPT = (
    *(Album, Note, Draft, Attachment, AlbumMember, AlbumItem),
    *(changes_models.Scope, changes_models.Tombstone, changes_models.Shown, changes_models.FieldState),
    changes_models.EndedScope,
    *(sync_models.DeviceState, sync_models.PushedMutation, sync_models.PulledScope, sync_models.Conflict),
)
"""What a backup of the database holds of these tests, parents first."""
MODELS = {"album": Album, "note": Note, "albumItem": AlbumItem}


class RealWorld:
    """What the machine needs of a server, from the real one."""

    page_rows = 2
    most_mutations = 3

    def __init__(self) -> None:
        self.user = User.objects.create_user(f"writer-{User.objects.count()}")
        self.other = User.objects.create_user(f"owner-{User.objects.count()}")
        """Another person, who shows albums of theirs to the writer, and takes them away."""
        self.repository = OrmRepository(self.user)
        self.ms = 1_700_000_000_000
        self.reused: list[str] = []

    def connect(self, number: int) -> tuple[str, Any]:
        token = AuthToken.objects.create(self.user)[0]
        device = Device.objects.create(user=self.user, name=f"device {number}", token=token)
        return str(device.pk), RealSession(self, device)

    def pass_time(self, ms: int) -> None:
        self.ms += ms

    def now(self) -> int:
        return self.ms

    def live(self) -> dict[tuple[str, str], dict[str, Any]]:
        found = {}
        for name, model in MODELS.items():
            ids = [str(key) for key in model.objects.values_list("pk", flat=True)]
            for id, thing in self.repository.read(name, ids).items():
                if thing.data is not None:
                    found[name, id] = dict(thing.data)
        return found

    def live_texts(self) -> list[str]:
        kept = [str(side) for pair in sync_models.Conflict.objects.values_list("mine", "theirs") for side in pair]
        return [*Note.objects.values_list("content", flat=True), *kept]

    def version_of(self, type: str, id: str) -> int | None:
        for scope in self._scopes():
            number(scope)
        thing = self.repository.read(type, [id]).get(id)
        return thing.version if thing else None

    def edit(self, type: str, id: str, fields: dict[str, Any]) -> None:
        with acting(user=self.user.pk, hlc=str(Stamp(self.ms, 0, "page"))):
            types.kind(type).verbs.patch(self.user, UUID(id), fields)

    def machine_edit(self, type: str, id: str, fields: dict[str, Any]) -> None:
        MODELS[type].objects.filter(pk=id).update(**fields)

    def trash(self, type: str, id: str) -> None:
        types.kind(type).verbs.delete(self.user, UUID(id))

    def trashed(self, type: str) -> list[str]:
        """Return the ids of what can be brought back."""
        return sorted(str(key) for key in MODELS[type].objects.in_trash_of(self.user).values_list("pk", flat=True))

    def bring_back(self, type: str, id: str) -> None:
        types.kind(type).verbs.restore(self.user, UUID(id))

    def share_new_album(self, id: str) -> None:
        """Let the other person make an album, and the writer edit it."""
        types.kind("album").verbs.create(self.other, UUID(id), {"title": "theirs"})
        self.share_again(id)

    def share_again(self, id: str) -> None:
        if Album.objects.filter(pk=id, trashed_at=None).exists():
            members.set_member(self.other, UUID(id), self.user, AlbumMember.Role.EDITOR)

    def share_no_more(self, id: str) -> None:
        if Album.objects.filter(pk=id, trashed_at=None).exists():
            members.remove_member(self.other, UUID(id), self.user)

    def delete_shared(self, id: str) -> None:
        """Let the other person move it to the trash."""
        if Album.objects.filter(pk=id).exists():
            types.kind("album").verbs.delete(self.other, UUID(id))

    def bring_shared_back(self, id: str) -> None:
        if Album.objects.filter(pk=id).exists():
            types.kind("album").verbs.restore(self.other, UUID(id))

    def purge(self) -> None:
        delete_what_is_due(timezone.now() + timedelta(days=40))

    def collect(self) -> None:
        for scope in self._scopes():
            number(scope)
        collect(timezone.now() + timedelta(days=1))

    def backup(self) -> dict[Any, list[dict[str, Any]]]:
        return {model: list(plain(model).values()) for model in KEPT}

    def restore(self, backup: dict[Any, list[dict[str, Any]]]) -> None:
        with transaction.atomic():
            for model in reversed(KEPT):
                rows = plain(model)
                rows._raw_delete(rows.db)
            for model, kept in backup.items():
                plain(model).bulk_create([model(**row) for row in kept])
        raise_epoch()

    def texts_in(self, backup: dict[Any, list[dict[str, Any]]]) -> list[str]:
        sides = [str(row[side]) for row in backup[sync_models.Conflict] for side in ("mine", "theirs")]
        return [*(row["content"] for row in backup[Note]), *sides]

    def things_in(self, backup: dict[Any, list[dict[str, Any]]]) -> set[tuple[str, str]]:
        """Return what is there in a backup, in the trash or not; albums only if they are not in the trash."""
        return {
            (name, str(row["id"]))
            for name, model in MODELS.items()
            for row in backup[model]
            if model is not Album or row["trashed_at"] is None
        }

    def reused_mids(self) -> list[str]:
        return self.reused

    def scopes(self) -> set[str]:
        return set(self._scopes())

    def digest(self, scope: str) -> Any:
        return {name: one for name, one in self.repository.digest(scope)[1].items() if one.count}

    def close(self) -> None:
        for model in reversed(KEPT):
            rows = plain(model)
            rows._raw_delete(rows.db)

    def _scopes(self) -> list[str]:
        return [scope.name for scope in self.repository.scopes()]


def plain(model: Any) -> Any:
    """Return all rows of a model, without what its own querysets do on writing."""
    return models.QuerySet(model)


class RealSession:
    """The server as one device reaches it, through JSON."""

    def __init__(self, world: RealWorld, device: Device) -> None:
        self.world = world
        self.device = device

    def info(self) -> Info:
        found = pulling.info(self.world.repository, self.world.user, self.device)
        limits = Limits(mutations=self.world.most_mutations, rows=self.world.page_rows)
        return Info.from_json(replace(found, limits=limits, server_time_ms=self.world.ms).to_json())

    def push(self, request: PushRequest) -> PushReply:
        said = PushRequest.from_json(request.to_json())
        try:
            reply = push(self.world.repository, self.device, said, lambda: self.world.ms * 1_000_000)
        except StartOverRefused as refused:
            raise StartOver(refused.detail) from None
        except ConflictRefused as refused:
            if "with other content" in refused.detail:
                self.world.reused.append(refused.detail)
            raise OutOfSequence(refused.detail, refused.members["ackedThrough"]) from None
        return PushReply.from_json(reply.to_json())

    def changes(self, request: Any) -> ChangesReply:
        asked = request.to_query()
        types = [name for name in asked.get("types", "").split(",") if name]
        try:
            page = pulling.pull(
                self.world.repository,
                self.world.user,
                self.device.token,
                asked["scope"],
                asked.get("cursor", ""),
                types,
                int(asked["limit"]),
            )
        except (StartOverRefused, ScopeEnded) as refused:
            raise StartOver(refused.detail) from None
        except NotThere as refused:
            raise transport.NotThere(refused.detail) from None
        return ChangesReply.from_json(page.to_json(), request.scope)

    def digest(self, scope: str) -> DigestReply:
        return DigestReply.from_json(pulling.digest(self.world.repository, self.world.user, scope).to_json())
