"""Every setting that is read stands on the page of settings, and nothing else does; what is wrong is named with its line."""

import json
import re
from pathlib import Path

import pytest

from volition.cli import main
from volition.consent.terms.toml_file import Section
from volition.learning.families.adapter.spec import SPEC as ADAPTER
from volition.server.settings import LogSettings, ServerLimits, ServerSettings
from volition.server.settings import read_settings as read_server
from volition.workspace.mail_settings import REMIND_DAYS
from volition.workspace.schedule_settings import ScheduleSettings
from volition.workspace.settings import DEFAULT_ENGINE, PUBLIC_ITEMS, read_settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
LEAST = 'origin = "log.example/acme"\ndue_days = 30\n'
KEY = "witness.example/n+f0a8a5f5+BGMCDn7CUXPWBGXbFrNXHMBV4NVH1+vK1hPzvhzAl8xC"
TABLES = {
    "audit.NAME": "[audit.benefit]\nbound = 0.0\n",
    "endpoint": '[endpoint]\nurl = "https://llm.example/v1"\nmodel = "m"\n',
    "otlp": "[otlp]\n",
    "mail": '[mail]\nhost = "localhost"\nfrom = "a@acme.example"\n',
    "schedule": "[schedule]\n",
    "controller": "[controller]\n",
    "adapter": '[adapter]\nbase = "b"\n[adapter.privacy]\n',
}
SERVER = """
[limits]
[site]
[server]
[sign_in]
[log]
[oidc]
issuer = "https://login.example"
client_id = "c"
client_secret_file = "a.secret"
[zoom]
secret_file = "a.secret"
account = "acme"
[[webhook]]
url = "https://acme.example/h"
secret_file = "a.secret"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.secret").write_text("s3cret")
    (tmp_path / "a.secret").chmod(0o600)
    return tmp_path


@pytest.fixture
def sections(monkeypatch):
    """Note the path and the keys of every table that is read."""
    found, read = [], Section.__init__

    def noting(self, value, path, required, optional):
        found.append((path, frozenset(required) | frozenset(optional), frozenset(required)))
        read(self, value, path, required, optional)

    monkeypatch.setattr(Section, "__init__", noting)
    return found


def page():
    """Return the keys of each table that the page has, with what it says of each."""
    text = PAGE.read_text(encoding="utf-8").partition("## Variables")[0]
    files = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        tables = files[part.split("\n", 1)[0]] = {}
        for section in re.split(r"^### ", part, flags=re.MULTILINE):
            name = re.match(r"\[+([\w.]+)\]+", section)
            rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.+) \|$", section, re.MULTILINE)
            tables[name[1] if name else ""] = {key: default for key, default, _ in rows}
    return files


def test_the_page_has_every_key_of_volition_toml_and_no_other(folder, sections):
    told = page()["volition.toml"]
    for name, text in TABLES.items():
        sections.clear()
        (folder / "volition.toml").write_text(LEAST + text)
        read_settings(folder).of_family(ADAPTER)
        (_, top, required), *below = [one for one in sections if one[1]]
        assert top | {"adapter"} == set(told[""]) | {table.partition(".")[0] for table in told if table}, name
        assert {key for key, default in told[""].items() if default.startswith("set by")} == required
        keys = next(keys for path, keys, _ in below if not name.startswith("audit") or path)
        assert set(told[name]) == keys, name
        assert {key for key, default in told[name].items() if default == "must be given"} <= keys
        if name == "adapter":
            assert set(told["adapter.privacy"]) == below[-1][1]


def test_the_page_has_every_key_of_server_toml_and_no_other(folder, sections):
    (folder / "server.toml").write_text(SERVER)
    read_server(folder)
    told = page()["server.toml"]
    for path, keys, required in sections:
        name = str(path[0]) if path else ""
        assert (set(told[name]) if path else set(told) - {""}) == keys, name
        assert {key for key, default in told[name].items() if default == "must be given"} == required, name
    assert {str(path[0]) for path, *_ in sections if path} == set(told) - {""}


def test_the_defaults_on_the_page_are_those_of_the_code():
    told = page()
    own, server = told["volition.toml"], told["server.toml"]
    assert own[""]["engine"] == f'`"{DEFAULT_ENGINE}"`'
    assert own[""]["public_items"] == f"`{json.dumps(list(PUBLIC_ITEMS))}`"
    assert own["mail"]["remind_days"] == f"`{list(REMIND_DAYS)}`"
    assert own["schedule"] == {key: str(getattr(ScheduleSettings(), key)) for key in own["schedule"]}
    assert server["site"]["name"] == f'`"{ServerSettings().site}"`'
    assert server["limits"] == {key: str(getattr(ServerLimits(), key)) for key in server["limits"]}
    assert server["sign_in"]["again_minutes"] == str(ServerSettings().again_minutes)
    assert (server["log"]["form"], server["log"]["level"]) == (
        f'`"{LogSettings().form}"`',
        f'`"{LogSettings().level}"`',
    )


# --- volition settings check ---


def check(folder, capsys):
    code = main(["settings", "check", "--workspace", str(folder), "--json"])
    return code, json.loads(capsys.readouterr().out)["faults"]


def test_settings_that_are_right_are_said_to_be(folder, capsys):
    (folder / "volition.toml").write_text(LEAST)
    assert check(folder, capsys) == (0, [])
    (folder / "server.toml").write_text(SERVER)
    assert check(folder, capsys) == (0, [])
    assert main(["settings", "check", "--workspace", str(folder)]) == 0
    assert "Nothing is wrong in volition.toml and server.toml." in capsys.readouterr().out


def test_what_is_wrong_in_both_files_is_named_at_once_with_file_and_line(folder, capsys):
    (folder / "volition.toml").write_text(f"{LEAST}lease = 5\n")
    (folder / "server.toml").write_text('[log]\nform = "xml"\n')
    code, faults = check(folder, capsys)
    assert code != 0
    assert faults == [
        f'{folder}/volition.toml:3: unknown key "lease". Did you mean "lease_ms"?',
        f'{folder}/server.toml:2: there is no form of a log line "xml". Use one of "text", "json".',
    ]


@pytest.mark.parametrize(
    ("own", "server", "said"),
    [
        ('origin = "x"\ndue_days = -1\n', None, 'volition.toml:2: "due_days" must be from 0 to 36500.'),
        (LEAST + TABLES["mail"], None, "volition.toml:3: each mail links to a page"),
        (LEAST, '[log]\nlevel = "loud"\n', 'server.toml:2: there is no level "loud".'),
        (LEAST, "[log]\nrequests = 1\n", 'server.toml:2: "requests" must be true or false'),
        (LEAST, '[log]\nrequests = true\nlevel = "error"\n', "server.toml:3: requests are logged at the level"),
        (LEAST, "[log]\nrequest = true\n", 'server.toml:2: unknown key "request". Did you mean "requests"?'),
    ],
)
def test_a_mistake_is_named_with_file_line_and_what_to_write(folder, capsys, own, server, said):
    (folder / "volition.toml").write_text(own)
    if server is not None:
        (folder / "server.toml").write_text(server)
    code, [fault] = check(folder, capsys)
    assert code != 0
    assert fault.removeprefix(f"{folder}/").startswith(said)


def test_the_environment_is_checked_too(folder, capsys, monkeypatch):
    (folder / "volition.toml").write_text(LEAST)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    _, [fault] = check(folder, capsys)
    assert fault.startswith("OTEL_EXPORTER_OTLP_PROTOCOL is")


def test_a_mail_password_that_others_can_read_is_found_before_the_first_mail(folder, capsys):
    (folder / "a.secret").chmod(0o644)
    more = 'user = "u"\npassword_file = "a.secret"\n'
    (folder / "volition.toml").write_text(LEAST + TABLES["mail"] + more)
    _, [fault] = check(folder, capsys)
    assert "chmod 600" in fault
