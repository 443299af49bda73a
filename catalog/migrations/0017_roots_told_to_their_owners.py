"""Take the paths of libraries' folders out of what operations told people who do not own these libraries."""

from typing import Any

from django.db import migrations

from photolala.lib.hiding import hide_folder

THE_FOLDER = "the library's folder"


def hide(apps: Any, schema_editor: Any) -> None:
    """Rewrite the texts of operations whose owner is not that of the library they name."""
    libraries = apps.get_model("catalog", "Library")
    operations = apps.get_model("operations", "Operation")
    for library in libraries.objects.exclude(source="device").only("pk", "root", "owner"):
        others = operations.objects.filter(params__library=str(library.pk)).exclude(owner=library.owner_id)
        for operation in others.only("pk", "error", "error_detail", "result", "token").iterator(chunk_size=100):
            texts = {name: getattr(operation, name) for name in ("error", "error_detail", "result")}
            hidden = {name: hide_folder(value, library.root, THE_FOLDER) for name, value in texts.items()}
            if hidden != texts:
                operations.objects.filter(pk=operation.pk, token=operation.token).update(**hidden)


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0016_read_here"),
        ("operations", "0003_hearing"),
    ]
    operations = [migrations.RunPython(hide, migrations.RunPython.noop, elidable=True)]
