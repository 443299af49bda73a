"""Who downloaded which export, and how far."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ExportDownload",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("export_name", models.CharField(help_text="The name of its folder.", max_length=100)),
                ("address", models.CharField(blank=True, help_text="Where it was sent to.", max_length=64)),
                ("first_byte", models.PositiveBigIntegerField(default=0, help_text="Where in the ZIP it began.")),
                ("sent_bytes", models.PositiveBigIntegerField(default=0)),
                ("size_bytes", models.PositiveBigIntegerField(help_text="Of the whole ZIP.")),
                ("server", models.CharField(blank=True, help_text="The process that sends it.", max_length=200)),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "export",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="downloads",
                        to="exports.export",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="export_downloads",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-started_at", "-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)), fields=["user"], name="export_download_under_way"
                    ),
                    models.Index(fields=["started_at"], name="export_download_age"),
                ],
            },
        ),
    ]
