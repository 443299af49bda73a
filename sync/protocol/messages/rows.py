"""A row: what the server says of one thing in one scope."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..problems import Malformed
from ..values import JsonValue, Reader
from ..versions import version_from


@dataclass(frozen=True)
class Row:
    """The state of a thing at `version` of its scope. `data` is None if it is deleted or in the trash."""

    scope: str
    type: str
    id: str
    version: int
    data: Mapping[str, JsonValue] | None
    field_versions: Mapping[str, int] = field(default_factory=dict)
    """Versions at which people last changed fields; fields that nobody changed are left out."""

    @property
    def deleted(self) -> bool:
        """Whether the thing is gone, for good or into the trash."""
        return self.data is None

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {
            "scope": self.scope,
            "type": self.type,
            "id": self.id,
            "version": str(self.version),
            "deleted": self.deleted,
            "data": None if self.data is None else dict(self.data),
            "fieldVersions": {name: str(version) for name, version in self.field_versions.items()},
        }

    @classmethod
    def read(cls, value: JsonValue, scope: str = "") -> "Row":
        """Return the row that `value` says; `scope` is that of the request, where the row does not say its own."""
        reader = Reader.of(value, "A row")
        scope = reader.text("scope") if reader.has("scope") or not scope else scope
        kind, id, version = reader.text("type"), reader.text("id"), reader.version("version")
        deleted = reader.flag("deleted")
        data = None if deleted else reader.members("data")
        fields = reader.members("fieldVersions") if reader.has("fieldVersions") else {}
        try:
            versions = {name: version_from(str(text)) for name, text in fields.items()}
        except ValueError:
            raise Malformed(f"{kind} {id}: `fieldVersions` must give a version for each field.") from None
        return cls(scope, kind, id, version, data, versions)
