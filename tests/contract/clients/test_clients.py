"""Clients that are generated from the schema of a running site do the main job of an app there: Python and TypeScript.

Nothing that is generated is kept. The tools are pinned in requirements-dev.in and typescript/package.json.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.fetch_frontend import npm_command
from tests.contract.site import Site, running_site
from tests.photos import make_jpeg

HERE = Path(__file__).parent
TYPESCRIPT = HERE / "typescript"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with a worker."""
    with running_site(tmp_path / "site", with_worker=True) as site:
        yield site


@pytest.fixture
def schema(site: Site, tmp_path: Path) -> Path:
    """The schema, as the site serves it."""
    path = tmp_path / "schema.json"
    with urllib.request.urlopen(f"{site.address}/api/v1/schema/") as answer:
        path.write_bytes(answer.read())
    return path


def run(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[0]}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def new_picture(folder: Path) -> Path:
    """Return a JPEG that no library has."""
    return make_jpeg(folder / "new.jpg", seed=4711, taken="2023:01:02 03:04:05")


@pytest.mark.slow
@pytest.mark.repeated
def test_a_generated_python_client_does_the_main_job(site: Site, schema: Path, tmp_path: Path) -> None:
    generator = str(Path(sys.executable).with_name("openapi-python-client"))
    options = ["--meta", "none", "--output-path", "photolala_client", "--config", str(HERE / "python_client.yml")]
    said = run([generator, "generate", "--path", str(schema), "--fail-on-warning", *options], tmp_path)
    assert "WARNING" not in said  # every operation has its method
    command = [sys.executable, str(HERE / "main_job.py"), site.address, str(new_picture(tmp_path))]
    assert run(command, tmp_path, PYTHONPATH=str(tmp_path)).strip() == "done"


@pytest.mark.slow
@pytest.mark.repeated
def test_a_generated_typescript_client_does_the_main_job(site: Site, schema: Path, tmp_path: Path) -> None:
    if not (TYPESCRIPT / "node_modules" / "typescript").exists():
        run([*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], TYPESCRIPT)
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    for name in ("main_job.ts", "tsconfig.json", "package.json"):
        shutil.copy(TYPESCRIPT / name, folder)
    node = shutil.which("node") or npm_command()[0]
    tools = TYPESCRIPT / "node_modules"
    run(
        [
            node,
            str(tools / "openapi-typescript" / "bin" / "cli.js"),
            str(schema),
            "-o",
            "schema.ts",
            "--default-non-nullable=false",
        ],
        folder,
    )
    run([node, str(tools / "typescript" / "bin" / "tsc"), "-p", "."], folder)
    picture = new_picture(tmp_path).read_bytes()
    variables = {
        "ADDRESS": site.address,
        "PICTURE": base64.b64encode(picture).decode(),
        "MD5": hashlib.md5(picture).hexdigest(),
    }
    assert run([node, "out/main_job.js"], folder, **variables).strip() == "done"
