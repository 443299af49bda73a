from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_device_stable_id"),
    ]

    operations = [
        migrations.CreateModel(
            name="FailedSignIns",
            fields=[
                ("key", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failed_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["failures", "failed_at"], name="failed_sign_ins_light")],
            },
        ),
        migrations.AddField(
            model_name="user",
            name="signed_out_count",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="How often this person signed out everywhere; sessions of before are worthless.",
            ),
        ),
    ]
