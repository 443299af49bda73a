"""An export is told when it expires as it is finished: those of earlier versions never do."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0002_downloads"),
    ]

    operations = [
        migrations.AddField(
            model_name="export",
            name="expires_at",
            field=models.DateTimeField(
                blank=True, help_text="When its files are deleted; empty: by hand only.", null=True
            ),
        ),
    ]
