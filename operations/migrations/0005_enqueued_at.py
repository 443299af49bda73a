"""What was "rung for" is enqueued: the column takes the word of the field."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("operations", "0004_stored_answers")]
    operations = [migrations.RenameField("operation", "rung_at", "enqueued_at")]
