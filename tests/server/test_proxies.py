"""The proxies of docs/how-to/proxy.md, as they stand there, before a real server; skipped where one is not installed."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

import httpx2
import pytest

import volition
from volition.server.auth import Role, Scope
from waiting import until

DOCS = Path(volition.__file__).parents[2] / "docs" / "how-to" / "proxy.md"
NO = {"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def nginx(folder, port, upstream):
    [text] = blocks("nginx")
    text = re.sub(r"\n *ssl_\S+ .*", "", text).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8080", upstream).replace("privacy.acme.example", "_")
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\nhttp {{ access_log off; client_body_buffer_size 4m;\n{paths}{text}}}\n"
    (folder / "nginx.conf").write_text(whole)
    return ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]


def caddy(folder, port, upstream):
    site, shared = blocks("caddy")
    site = site.replace("privacy.acme.example", f"http://127.0.0.1:{port}").replace("127.0.0.1:8080", upstream)
    (folder / "Caddyfile").write_text(shared.replace("{\n", "{\n    admin off\n", 1) + site)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@pytest.mark.slow
@pytest.mark.parametrize("served", ['[server]\ntrusted_proxies = ["127.0.0.1"]\n'], indirect=True, ids=[""])
@pytest.mark.parametrize("make", [nginx, caddy], ids=lambda make: make.__name__)
def test_a_proxy_hands_everything_on_and_believes_no_client(served, tmp_path, make):
    if shutil.which(make.__name__) is None:
        pytest.skip(f"{make.__name__} is not installed: apt-get install {make.__name__}")
    port = free_port()
    command = make(tmp_path, port, served.url.removeprefix("http://"))
    environment = {"HOME": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/bin"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, cwd=tmp_path) as running:
        try:
            check_proxy(served, f"http://127.0.0.1:{port}")
        finally:
            running.terminate()


def check_proxy(served, url):
    def answers():
        try:
            return httpx2.get(f"{url}/healthz").status_code == 200
        except httpx2.HTTPError:
            return False

    until(answers, patience_s=30)
    _, secret = served.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    with httpx2.Client(base_url=url, headers={"authorization": f"Bearer {secret}"}, timeout=30) as client:
        assert client.post("/v1/decisions", json=NO).status_code == 201
        assert client.post("/v1/logs", json={"resourceLogs": []}).status_code == 200
        served.kinds["train"] = lambda _workspace, _run: "done"
        job = served.jobs.start("train", "search", by="engineer")
        with client.stream("GET", f"/v1/runs/{job.id}/events") as told:
            assert '"state": "done"' in [line for line in told.iter_lines() if line][-1]
        page = client.get("/sign-in", headers={"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"})
        assert page.status_code == 200
        assert "strict-transport-security" not in page.headers  # the proxy was asked by plain HTTP, and says so
        assert client.post("/v1/decisions", content=bytes(2 << 20)).status_code == 413
