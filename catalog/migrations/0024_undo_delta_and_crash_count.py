"""Two columns of writes say in the words of the field what they hold: `way_back` is a delta, `deaths` counts crashes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("catalog", "0023_returned_photos")]

    operations = [
        migrations.RenameField("filewrite", "way_back", "undo_delta"),
        migrations.RenameField("filewrite", "deaths", "crash_count"),
    ]
