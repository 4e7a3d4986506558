"""Environments of their own, for packages that would not go into the tests' one: made once from a lock, and kept."""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from volition.files import turn

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"


def python_of(name):
    """Return the Python of the environment of NAME.lock, with this Volition in it; skip where it cannot be made.

    It lies in `.venv-NAME`, and is made anew when the lock changes.
    """
    folder, lock = ROOT / f".venv-{name}", ROOT / f"{name}.lock"
    stamp = folder / ".stamp"
    known = sha256(lock.read_bytes()).hexdigest()
    with turn(ROOT):  # another process of the tests may want it, too
        if not stamp.exists() or stamp.read_text() != known:
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--quiet", "--python", sys.executable, folder)
            _uv("pip", "install", "--quiet", "--require-hashes", "-r", lock, environment=folder)
            stamp.write_text(known)
        wheels = folder / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)]
        subprocess.run(build, check=True, capture_output=True, cwd=ROOT)
        _uv("pip", "install", "--quiet", "--no-deps", "--reinstall", *wheels.iterdir(), environment=folder)
    return folder / "bin" / "python"


def _uv(*arguments, environment=None):
    if not UV.exists():
        _lacking("uv is not there: make setup")
    given = {**os.environ, **({} if environment is None else {"VIRTUAL_ENV": str(environment)})}
    done = subprocess.run([str(UV), *map(str, arguments)], capture_output=True, text=True, check=False, env=given)
    if done.returncode:
        _lacking(f"uv {arguments[0]} did not do it: {done.stderr[-1000:]}")


def _lacking(why):
    say = pytest.fail if os.environ.get("VOLITION_ENVIRONMENTS") == "required" else pytest.skip
    say(why)


def ran(python, script, *arguments, **environment):
    """Run a script there; return what it printed on its last line."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), str(script), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**given, **environment}, timeout=600
    )
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    return (done.stdout.splitlines() or [""])[-1]
