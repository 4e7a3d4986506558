"""The JavaScript client: its own tests under Node against a real server, and its types against the OpenAPI document."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from volition.server.app import Server
from volition.server.auth import Role, Scope

ROOT = Path(__file__).parents[2]
JAVASCRIPT = ROOT / "javascript"
NODE = shutil.which("node")


def types_of(document):
    spec = importlib.util.spec_from_file_location("js_types", ROOT / "scripts" / "js_types.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.types_of(document)


@pytest.mark.slow
@pytest.mark.skipif(NODE is None, reason="there is no node: apt-get install nodejs")
def test_the_client_does_under_node_what_its_own_tests_say(served):
    with served.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(
                party, yes=True, data=["content", "service"], purpose=["feature", "train"], covers="past"
            )
    token = served.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=list(Scope))[1]
    environment = {**os.environ, "VOLITION_URL": served.url, "VOLITION_TOKEN": token}
    command = [NODE, "--test", "--test-reporter=tap", str(JAVASCRIPT / "test") + "/"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# skipped 0$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.slow
def test_its_types_are_those_of_the_openapi_document(world):
    server = Server(world, has_worker=False)
    try:
        document = TestClient(server).get("/v1/openapi.json").json()
    finally:
        server.close()
    declared = (JAVASCRIPT / "volition.d.ts").read_text(encoding="utf-8")
    assert types_of(document) == declared, "run scripts/js_types.py"
    named = set(re.findall(r"^export (?:interface|type|class|const) (\w+)", declared, re.MULTILINE))
    used = set(re.findall(r"\b([A-Z]\w+(?:In|Out|Said|Details|Line|Off))\b", declared))
    assert used <= named


def test_the_types_declare_what_the_module_gives():
    declared = (JAVASCRIPT / "volition.d.ts").read_text(encoding="utf-8")
    source = (JAVASCRIPT / "volition.js").read_text(encoding="utf-8")
    inside = source.partition("export class Volition ")[2].partition("\n}\n")[0]
    methods = set(re.findall(r"^  (?:async )?\*?(\w+)\(", inside, re.MULTILINE))
    told = set(
        re.findall(r"^  (\w+)\(", declared.partition("export class Volition ")[2].partition("\n}\n")[0], re.MULTILINE)
    )
    assert methods == told
    assert "import " not in source.replace("// ", ""), "it depends on nothing"
