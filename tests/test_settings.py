"""Settings: typed reads, clear sentences, and that every variable is documented."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from photolala.lib.env import BadSetting, Environment, database_from_url
from photolala.lib.roots import allowed_roots, is_within

PROJECT = Path(__file__).resolve().parents[1]


def test_typed_reads():
    env = Environment({"A": " 7 ", "B": "Yes", "C": "", "D": "x, y,,z", "E": "~/photos"})
    assert env.integer("A", 1) == 7
    assert env.flag("B") is True and env.flag("C", True) is True and env.flag("F") is False
    assert env.words("D") == ["x", "y", "z"]
    assert env.folder("E", Path("/")).is_absolute()
    assert env.text("C", "default") == "default"


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ({"A": "many"}, lambda env: env.integer("A", 1)),
        ({"A": "0"}, lambda env: env.integer("A", 1, least=1, most=9)),
        ({"A": "perhaps"}, lambda env: env.flag("A")),
        ({"A": "loud"}, lambda env: env.choice("A", "low", ("low", "high"))),
        ({"A": "mysql://x"}, lambda env: env.url("A", ("postgresql",))),
    ],
)
def test_a_bad_value_names_its_variable(values, read):
    with pytest.raises(BadSetting, match=r"^A"):
        read(Environment(values))


def test_database_url_is_unquoted():
    env = Environment({"D": "postgresql://us%40er:p%2Fw@host:5433/my%20db"})
    database = database_from_url(env.url("D", ("postgresql",)), Path("x"))
    assert (database["USER"], database["PASSWORD"], database["HOST"]) == ("us@er", "p/w", "host")
    assert (database["PORT"], database["NAME"]) == ("5433", "my db")


def test_every_variable_is_documented_and_none_else():
    text = "".join(module.read_text() for module in (PROJECT / "photolala/settings").glob("*.py"))
    used = set(re.findall(r'"(PHOTOLALA_[A-Z0-9_]+)"', text))
    page = (PROJECT / "docs/settings.md").read_text()
    documented = set(re.findall(r"`(PHOTOLALA_[A-Z0-9_]+)`", page)) | {
        f"PHOTOLALA_S3{suffix}" for suffix in ("_REGION", "_ACCESS_KEY", "_SECRET_KEY") if f"`{suffix}`" in page
    }
    assert used | {"PHOTOLALA_ADMIN"} == documented


@pytest.mark.parametrize(("set_for_us", "zone"), [({}, "Europe/Berlin"), ({"PHOTOLALA_TIME_ZONE": "UTC"}, "UTC")])
def test_new_libraries_start_with_the_zone_of_the_machine(tmp_path, set_for_us, zone):
    done = subprocess.run(
        [sys.executable, "-c", "from photolala.settings import environment; print(environment.TIME_ZONE)"],
        env={"PATH": "/usr/bin:/bin", "PHOTOLALA_DATA": str(tmp_path), "TZ": "Europe/Berlin", **set_for_us},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == zone, done.stderr


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PHOTOLALA_DATABASE", "mysql://x", "PHOTOLALA_DATABASE must begin with"),
        ("PHOTOLALA_WORKERS", "none", "PHOTOLALA_WORKERS='none' is not a whole number"),
        ("PHOTOLALA_LEASE_SECONDS", "1", "ImproperlyConfigured: PHOTOLALA_LEASE_SECONDS"),
        ("PHOTOLALA_ROOTS", "photos", "photolala.E002"),
        ("PHOTOLALA_TIME_ZONE", "Mars/Olympus", "PHOTOLALA_TIME_ZONE"),
        ("PHOTOLALA_BROKER", "carrier-pigeon://x", "photolala.E005"),
        ("PHOTOLALA_CACHE", "s3://", "photolala.E006"),
        ("PHOTOLALA_CATALOG_COPIES", "s3://", "photolala.E007"),
        ("PHOTOLALA_CATALOG_COPIES", "backup", "photolala.E007"),
    ],
)
def test_a_start_with_a_bad_setting_says_so(tmp_path, name, value, sentence):
    done = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "check"],
        env={"PATH": "/usr/bin:/bin", "PHOTOLALA_DATA": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0 and sentence in done.stderr


def test_roots_of_a_user(tmp_path):
    (tmp_path / "all" / "alice").mkdir(parents=True)
    patterns = [str(tmp_path / "all" / "{username}"), str(tmp_path / "missing")]
    assert allowed_roots(patterns, "alice") == [tmp_path / "all" / "alice"]
    assert allowed_roots(patterns, "bob") == []
    assert allowed_roots(patterns, "..") == [] and allowed_roots(patterns, "a/b") == []
    assert is_within(tmp_path / "all" / "alice", tmp_path) and not is_within(tmp_path, tmp_path / "all")
