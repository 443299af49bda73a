"""The browser's modules: their own tests, run by Node, and what they ask of others."""

import re
import shutil
import subprocess
from pathlib import Path

from scripts.fetch_frontend import npm_command

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "static"
LINKS = {"https://www.openstreetmap"}
"""Where a link leads that a person clicks: a page asks nothing of it by itself."""


def own_files() -> list[Path]:
    """Return our own style sheets and scripts, without what others wrote."""
    found = [path for kind in ("*.css", "*.js") for path in STATIC.rglob(kind) if "vendor" not in path.parts]
    assert len(found) > 10
    return found


def test_the_modules_own_tests_pass():
    files = sorted(str(path) for path in Path(__file__).parent.glob("*.test.mjs"))
    node = shutil.which("node") or npm_command()[0]
    run = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_nothing_is_asked_of_another_host():
    for path in own_files():
        hosts = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}", path.read_text())
        assert set(hosts) <= LINKS, f"{path.name}: {hosts}"
