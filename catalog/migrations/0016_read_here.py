"""Which bytes of a photo were read here. What was catalogued before is looked at by scans (`catalog.entries.read_here`), not now."""

from typing import Any

from django.db import migrations, models


class AddColumn(migrations.AddField):
    """Add a column with a constant default. SQLite needs no copy of a table of millions for that, which Django would make."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Add it, at once."""
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.name)
        definition, parameters = schema_editor.column_sql(model, field)
        table, column = (schema_editor.quote_name(name) for name in (model._meta.db_table, field.column))
        schema_editor.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}", parameters)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0015_uploads_are_remembered")]

    operations = [
        AddColumn(
            model_name="photo",
            name="read_md5",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="Photo MD5 of the bytes that this server last read of it: only what has that MD5 is shared with "
                "others' photos.",
                max_length=32,
            ),
        ),
        migrations.AddIndex(
            model_name="photo",
            index=models.Index(
                condition=models.Q(("read_md5", models.F("photo_md5")), _negated=True),
                fields=["library", "id"],
                name="photo_unread",
            ),
        ),
    ]
