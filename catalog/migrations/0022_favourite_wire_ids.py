"""The ids by which devices name favourites get a column, so that one is found without looking at all."""

import uuid
from typing import Any

from django.db import migrations, models

_BATCH = 2_000


def write_ids(apps: Any, schema_editor: Any) -> None:
    """Give every favourite the UUIDv5 of its user's id and its photo's; some rows at a time."""
    rows = apps.get_model("catalog", "Favourite").objects.order_by("pk")
    last = 0
    while some := list(rows.filter(pk__gt=last).only("pk", "user_id", "photo_id")[:_BATCH]):
        for row in some:
            row.wire_id = uuid.uuid5(row.user_id, str(row.photo_id))
        rows.bulk_update(some, ["wire_id"], batch_size=500)
        last = some[-1].pk


class Migration(migrations.Migration):
    dependencies = [("catalog", "0021_changes")]

    operations = [
        migrations.AddField(
            model_name="favourite",
            name="wire_id",
            field=models.UUIDField(
                db_index=True,
                editable=False,
                help_text="`favourite_id` of user and photo: devices name it so.",
                null=True,
            ),
        ),
        migrations.RunPython(write_ids, migrations.RunPython.noop, elidable=False),
    ]
