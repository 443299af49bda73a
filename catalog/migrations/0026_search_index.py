from django.db import migrations, models

from catalog.words import tables


def uninstall(apps, schema_editor):
    """Triggers on tables that stay must not refer to the queue once it is gone. They are put in place after `migrate`."""
    tables.uninstall(schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0025_takeout_parts"),
    ]

    operations = [
        migrations.CreateModel(
            name="SearchQueue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(choices=[("photo", "Photo"), ("album", "Album"), ("note", "Note")], max_length=10),
                ),
                ("object_id", models.UUIDField()),
            ],
            options={
                "verbose_name_plural": "search queue",
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="SearchText",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(choices=[("photo", "Photo"), ("album", "Album"), ("note", "Note")], max_length=10),
                ),
                ("object_id", models.UUIDField()),
                ("text", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("object_id", "kind"), name="one_search_text_per_object")
                ],
            },
        ),
        migrations.RunPython(migrations.RunPython.noop, uninstall, elidable=False),
    ]
