from django.db import migrations, models

from catalog.words import tables


def uninstall(apps, schema_editor):
    """The triggers watch more columns than before: they are put in place anew after `migrate`, and all is indexed again."""
    tables.uninstall(schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0029_given_dates_beside_xmp"),
    ]

    operations = [
        migrations.RunPython(uninstall, uninstall, elidable=False),
        migrations.AddField(
            model_name="searchtext",
            name="day",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Of a photo that is shown: its taken_day, so that days are counted from here.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="searchtext",
            name="library_id",
            field=models.UUIDField(blank=True, help_text="Of a photo: its library.", null=True),
        ),
    ]
