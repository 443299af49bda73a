"""An index of the photos of which only the file's time is known: the timeline counts and shows them apart."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0027_search_facets")]

    operations = [
        migrations.AddIndex(
            "photo",
            models.Index(
                fields=["library", "-taken_local", "id", "taken_day"],
                condition=models.Q(is_shown=True, taken_source="file"),
                name="photo_estimated",
            ),
        ),
    ]
