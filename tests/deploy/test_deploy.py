"""What deploy/ holds agrees with the commands and with one another; what can be checked without containers is checked."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from volition.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
PROGRAM = "/opt/volition/bin/volition"
ANYWHERE = "0.0.0.0"  # noqa: S104 - within a container
TREE = typer.main.get_command(app)


def parse(words):
    """Parse a command line as the program would, and do nothing; return the command's name and its options."""
    command, left = TREE, list(words)
    while commands := getattr(command, "commands", None):
        command = commands[left.pop(0)]
    return command.name, command.make_context(command.name, left).params


def unit(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [tuple(line.split("=", 1)) for line in lines if "=" in line]


def containerfile():
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line and not line.startswith(("#", " "))]


@pytest.fixture(scope="module")
def compose():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_commands_that_there_are(path):
    started = [value for key, value in unit(path) if key.startswith("Exec")]
    assert len(started) == 2
    for line in started:
        program, *words = shlex.split(line)
        assert program == PROGRAM
        parse(words)


def test_the_units_differ_only_in_what_they_start():
    def said(path):
        return {(key, value) for key, value in unit(path) if key not in {"Description", "ExecStart", "TimeoutStopSec"}}

    server, worker = UNITS[1], UNITS[0]
    assert (server.stem, worker.stem) == ("volition", "volition-worker")
    assert said(server) == said(worker)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_takes_a_unit_and_finds_it_well_hardened(path, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    copied = tmp_path / path.name
    copied.write_text(path.read_text().replace(PROGRAM, sys.executable))  # which is there
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copied)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if path.name in line]) == (0, [])
    judged = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(copied)]
    done = subprocess.run(judged, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_image_and_the_compose_file_start_commands_that_there_are(compose):
    told = dict(containerfile())
    assert json.loads(told["ENTRYPOINT"]) == ["volition"]
    assert parse(json.loads(told["CMD"])) == parse(compose["services"]["server"]["command"])
    name, options = parse(compose["services"]["server"]["command"])
    assert (name, options["host"], options["behind_proxy"], options["no_worker"]) == ("serve", ANYWHERE, True, True)
    assert parse(compose["services"]["worker"]["command"])[0] == "worker"


def test_ports_and_folders_agree(compose):
    told = dict(containerfile())
    [published] = compose["services"]["server"]["ports"]
    host, _, port = published.rsplit(":", 2)
    assert host == "127.0.0.1", "the proxy alone reaches it"
    assert port == told["EXPOSE"] == str(parse(json.loads(told["CMD"]))[1]["port"])
    assert f":{port}/healthz" in (DEPLOY / "Containerfile").read_text()
    assert "VOLITION_WORKSPACE=/workspace" in (DEPLOY / "Containerfile").read_text()
    for service in compose["services"].values():
        assert service["volumes"] == [f"workspace:{told['VOLUME']}"]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "ports" not in service or "worker" not in service["command"]


def test_the_image_runs_as_nobody_special_and_copies_what_is_there():
    lines = containerfile()
    assert dict(lines)["USER"] == "volition"
    copied = [word for key, rest in lines if key == "COPY" and "--from" not in rest for word in rest.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_image_installs_extras_that_there_are():
    tomllib = pytest.importorskip("tomllib")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for path in (DEPLOY / "Containerfile", *UNITS):
        for named in re.findall(r"(?:\.|volition)\[([\w,]+)\]", path.read_text()):
            assert set(named.split(",")) <= set(extras), path.name


def test_every_stop_is_given_more_time_than_the_server_takes(compose):
    from volition.server.app import GRACE_S  # noqa: PLC0415 - the server's packages, here alone

    seconds = [int(value) for path in UNITS for key, value in unit(path) if key == "TimeoutStopSec"]
    seconds += [int(service["stop_grace_period"].removesuffix("s")) for service in compose["services"].values()]
    assert len(seconds) == 4
    assert min(seconds) >= GRACE_S + 30
