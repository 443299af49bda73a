"""The bodies of sync's requests and answers, as the schema tells them. Their members are camelCase, like the fields of things."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from photolala.web.views import RequestBody
from sync.models import Conflict
from sync.protocol.limits import MOST_MUTATIONS
from sync.protocol.messages import Op, Status

VERSION = r"^[0-9]{1,19}$"
NAME = r"^[a-z][A-Za-z0-9]{0,63}$"
SCOPE = r"^(library|album|user):[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
HLC = r"^[0-9a-f]{12}-[0-9a-f]{4}-[A-Za-z0-9_-]{1,64}$"
LARGEST = 2**53 - 1


@extend_schema_field(OpenApiTypes.ANY)
class AnyField(serializers.JSONField):
    """Whatever the field of a thing holds."""


class ScopeBody(serializers.Serializer):
    """A scope that one may see."""

    scope = serializers.RegexField(SCOPE, help_text="`library:<id>`, `album:<id>` or `user:<id>`.")
    version = serializers.RegexField(VERSION, help_text="Its highest version. Pull if it is above that of your copy.")
    role = serializers.ChoiceField(["owner", "editor", "viewer"])


class EndedScopeBody(serializers.Serializer):
    """A scope that one could see once. Remove the copy of it."""

    scope = serializers.RegexField(SCOPE)
    endedAt = serializers.DateTimeField()


class FieldBody(serializers.Serializer):
    """A field of a kind of things."""

    name = serializers.CharField()
    resolver = serializers.CharField(help_text="Who decides where two sides changed it: `last_writer`, `keep_both`…")
    writable = serializers.BooleanField(help_text="Devices may change it.")


class KindBody(serializers.Serializer):
    """A kind of things."""

    name = serializers.CharField()
    scope = serializers.ChoiceField(["library", "album", "user"], help_text="The sort of scope that it is at home in.")
    parents = serializers.ListField(child=serializers.CharField(), help_text="Kinds that are applied before it.")
    fields = FieldBody(many=True)  # type: ignore[assignment]


class LimitsBody(serializers.Serializer):
    """How much one request may carry."""

    mutations = serializers.IntegerField()
    bytes = serializers.IntegerField()
    rows = serializers.IntegerField()


class InfoBody(serializers.Serializer):
    """What a device needs to know before it syncs."""

    serverId = serializers.UUIDField(help_text="Keep what you have by server, epoch and user.")
    userId = serializers.UUIDField()
    deviceId = serializers.CharField(help_text="The device of the token; empty for sessions.")
    serverTime = serializers.DateTimeField()
    epoch = serializers.IntegerField(help_text="Another one than before: pull everything anew, keep the outbox.")
    ackedThrough = serializers.IntegerField(help_text="The last mutation of this device that was taken.")
    scopes = ScopeBody(many=True)
    ended = EndedScopeBody(many=True)
    kinds = KindBody(many=True)
    limits = LimitsBody()


class BaseBody(RequestBody):
    """What the author of a mutation had seen: `version` of the thing, and `mid`, the device's own edit of it before this one."""

    version = serializers.RegexField(VERSION, required=False)
    mid = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST)


class MutationBody(RequestBody):
    """One edit. One that cannot be applied is told in its result, and the others are applied."""

    mid = serializers.IntegerField(
        min_value=1, max_value=LARGEST, help_text="The device's own number of it: each one more than the one before."
    )
    type = serializers.RegexField(NAME)
    id = serializers.UUIDField(help_text="Made by the device, in small letters.")
    op = serializers.ChoiceField([op.value for op in Op])
    base = BaseBody(required=False, help_text="Left out only for things that the device makes.")
    hlc = serializers.RegexField(HLC, help_text="When it was made, by the device's hybrid logical clock.")
    fields = serializers.DictField(required=False, child=AnyField(), help_text="Left out for `delete`.")  # type: ignore[assignment]


class PushBody(RequestBody):
    """A batch of mutations of one device, in their order."""

    deviceId = serializers.UUIDField(help_text="The `id` that signing in gave; that of the token.")
    epoch = serializers.IntegerField(min_value=0, max_value=LARGEST, help_text="That of `info`.")
    mutations = serializers.ListField(child=MutationBody(), max_length=MOST_MUTATIONS)
    pending = serializers.DictField(
        required=False,
        child=serializers.IntegerField(min_value=0, max_value=LARGEST),
        help_text="How many mutations wait on the device, by type, this batch included: shown on the person's page.",
    )


class ResultBody(serializers.Serializer):
    """What became of a mutation. All are taken: none is sent again."""

    mid = serializers.IntegerField()
    status = serializers.ChoiceField([status.value for status in Status])
    version = serializers.RegexField(VERSION, required=False, help_text="Of the thing after it.")
    target = serializers.UUIDField(required=False, help_text="`forked`: the copy that holds what was sent.")
    reason = serializers.CharField(required=False, help_text="For programs; `gone`: send it whole, as `create`.")
    detail = serializers.CharField(required=False, help_text="For people.")
    conflicts = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Fields that wait for a person to decide."
    )


class RowBody(serializers.Serializer):
    """A thing as it is now."""

    scope = serializers.RegexField(SCOPE)
    type = serializers.CharField()
    id = serializers.UUIDField()
    version = serializers.RegexField(VERSION)
    deleted = serializers.BooleanField(help_text="Deleted, or in the trash: `data` is null.")
    data = serializers.DictField(child=AnyField(), allow_null=True)  # type: ignore[assignment]
    fieldVersions = serializers.DictField(
        child=serializers.RegexField(VERSION), help_text="At which versions people changed its fields last."
    )


class PushReplyBody(serializers.Serializer):
    """A result for each mutation, and the things of the batch as they are now."""

    ackedThrough = serializers.IntegerField()
    serverTime = serializers.DateTimeField()
    results = ResultBody(many=True)
    rows = RowBody(many=True)
    gone = serializers.ListField(child=serializers.UUIDField(), help_text="Things that are not there (any more).")


class ChangesBody(serializers.Serializer):
    """A page of changes, ascending by version."""

    scope = serializers.RegexField(SCOPE)
    changes = RowBody(many=True)
    cursor = serializers.CharField(help_text="For the next page, or the next time. Keep it with the rows.")
    since = serializers.CharField(help_text="`cursor` of the request, so that a late answer is known as such.")
    hasMore = serializers.BooleanField(help_text="Ask on at once; put the rows in force when it is false.")


class KindDigestBody(serializers.Serializer):
    """Of one kind."""

    count = serializers.IntegerField()
    sum = serializers.CharField(
        help_text='Modulo 2^64, of the first 8 bytes (big-endian) of the MD5 of "type:id:version" of each thing.'
    )


class DigestBody(serializers.Serializer):
    """What a copy must be equal to, whose cursor has reached `version`."""

    scope = serializers.RegexField(SCOPE)
    version = serializers.RegexField(VERSION)
    types = serializers.DictField(child=KindDigestBody())


class HintsBody(serializers.Serializer):
    """Where all scopes stand. Pull those whose version is above that of your copy."""

    cursor = serializers.CharField(help_text="For the next `after=`.")
    scopes = ScopeBody(many=True)
    ended = serializers.ListField(child=serializers.RegexField(SCOPE))


class FailureBody(serializers.Serializer):
    """A mutation that was refused, and what to do."""

    mid = serializers.IntegerField()
    type = serializers.CharField()
    id = serializers.CharField()
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    detail = serializers.CharField()
    advice = serializers.CharField(help_text="What a person can do.")


class DeviceStatusBody(serializers.Serializer):
    """How a device stands."""

    deviceId = serializers.UUIDField()
    name = serializers.CharField()
    current = serializers.BooleanField(help_text="It is the one that asks.")
    ackedThrough = serializers.IntegerField()
    lastPushAt = serializers.DateTimeField(allow_null=True)
    lastPullAt = serializers.DateTimeField(allow_null=True)
    toPush = serializers.DictField(
        child=serializers.IntegerField(), help_text="Mutations that waited on it when it pushed last, by type."
    )
    toPull = serializers.DictField(
        child=serializers.IntegerField(), help_text="Changes that it has not asked for, by type."
    )
    scopesBehind = serializers.IntegerField()
    errors = FailureBody(many=True)  # type: ignore[assignment]


class StatusBody(serializers.Serializer):
    """Of all of one's devices."""

    devices = DeviceStatusBody(many=True)
    conflicts = serializers.IntegerField(help_text="Conflicts that wait for a person; see `sync/conflicts/`.")


class SideBody(serializers.Serializer):
    """One side of a conflict."""

    value = AnyField(
        allow_null=True, help_text="null, too, if what the other side wrote is not shared with you any more."
    )
    isMine = serializers.BooleanField()
    device = serializers.CharField(help_text="Empty: written on the server's pages.")
    at = serializers.DateTimeField(allow_null=True)


class ConflictBody(serializers.Serializer):
    """Two sides changed one field without knowing of each other."""

    id = serializers.UUIDField()
    type = serializers.CharField()
    objectId = serializers.UUIDField()
    field = serializers.CharField()
    title = serializers.CharField(help_text="What the thing is called.")
    mine = SideBody(help_text="What the device pushed.")
    theirs = SideBody(help_text="What the server had by then.")
    current = AnyField(allow_null=True, help_text="What the field says now.")
    state = serializers.ChoiceField(Conflict.State.choices)
    decision = serializers.ChoiceField(Conflict.Decision.choices, allow_blank=True)
    mayKeepBoth = serializers.BooleanField()
    madeAt = serializers.DateTimeField()
    decidedAt = serializers.DateTimeField(allow_null=True)
    copyId = serializers.UUIDField(allow_null=True)


class DecisionBody(RequestBody):
    """What shall count: `mine` is what the device pushed, `theirs` what the server had."""

    decision = serializers.ChoiceField(Conflict.Decision.choices)
