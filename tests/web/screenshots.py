"""Pictures of the main pages, as each role sees them: `make screenshots`.

    python tests/web/screenshots.py [--workspace FOLDER] [--out docs/screenshots] [--only NAME ...]

Without a workspace the demo's is made first, which takes some two minutes. It is served on a free port of this machine,
and Chromium, which must be there, signs in with the demo's click. Add a line to `SHOTS` for a page that is missing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, sync_playwright

from volition.access import Role
from volition.demo import let_in
from volition.server import Server

SHOTS = [  # name, role, path; {model}, {snapshot}, {run} stand for the newest of the workspace
    ("settings", Role.PERSON, "/settings"),
    ("console", Role.OPERATOR, "/console"),
    ("ledger", Role.OPERATOR, "/console/ledger"),
    ("lake", Role.OPERATOR, "/console/lake"),
    ("snapshots", Role.OPERATOR, "/console/snapshots"),
    ("snapshot", Role.OPERATOR, "/console/snapshots/{snapshot}"),
    ("runs", Role.ENGINEER, "/console/runs"),
    ("run", Role.ENGINEER, "/console/runs/{run}"),
    ("models", Role.AUDITOR, "/console/models"),
    ("model", Role.AUDITOR, "/console/models/{model}"),
    ("forgettings", Role.OPERATOR, "/console/forgettings"),
]
WIDTHS = (1280, 390)
LARGEST = 150_000  # bytes of one picture
TALLEST = 2_400  # pixels: what lies further down is cut off
CHROMIUM = "/usr/bin/chromium"


@contextmanager
def served(folder: Path) -> Iterator[tuple[Server, str]]:
    """Serve a workspace of the demo on a free port; yield the server and its address."""
    server = Server(folder, is_demo=True)
    let_in(server.access)
    running = uvicorn.Server(uvicorn.Config(server, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        if not thread.is_alive():
            sys.exit("The server did not start.")
        time.sleep(0.05)
    try:
        yield server, f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()
        server.close()


def newest(server: Server) -> dict[str, str]:
    """Return the newest of what the paths name; a run is begun, so that there is one to see."""
    with server.workspaces.borrow() as workspace:
        status = workspace.status()
    working = [model["id"] for model in status["models"] if model["state"] == "at work"]
    run = server.jobs.start(
        "snapshot train/recommend", lambda workspace, told: workspace.snapshot("train/recommend", progress=told).id
    )
    *_, over = server.jobs.follow(run.id)
    return {"model": working[-1] if working else "", "snapshot": over.result, "run": run.id}


def take(browser: Browser, server: Server, url: str, out: Path, only: list[str]) -> list[dict[str, object]]:
    """Take every picture; return what was taken."""
    named = newest(server)
    users = {role: who.user for who in server.access.users() for role in who.roles if who.user.startswith("demo-")}
    taken: list[dict[str, object]] = []
    for width in WIDTHS:
        for name, role, path in SHOTS:
            if (only and name not in only) or role not in users:
                continue
            context = browser.new_context(viewport={"width": width, "height": 844}, reduced_motion="reduce")
            secret = server.access.begin_session(users[role])
            context.add_cookies([{"name": "volition", "value": secret, "url": url}])
            page = context.new_page()
            answer = page.goto(url + path.format(**named))
            if answer is None or not answer.ok:
                sys.exit(f"{path} as {role} answered {answer and answer.status}; no picture was taken of it.")
            page.evaluate("document.fonts.ready")
            tall = min(TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
            file = out / f"{name}-{width}.png"
            while True:
                clip = {"x": 0, "y": 0, "width": width, "height": tall}
                picture = page.screenshot(path=file, clip=clip, full_page=True)
                if len(picture) <= LARGEST:
                    break
                tall = tall * 9 // 10  # its end is cut off, rather than its colours
            taken.append({"file": file.name, "bytes": file.stat().st_size})
            context.close()
    return taken


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, help="a workspace of the demo; by default one is made")
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", choices=[name for name, _, _ in SHOTS])
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = asked.workspace
        if folder is None:
            folder = Path(made) / "demo" / "workspace"
            command = [sys.executable, "-m", "volition", "demo", "--no-serve", "--keep", str(folder.parent)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        with served(folder) as (server, url):
            taken = take(browser, server, url, asked.out, asked.only)
        browser.close()
    json.dump(taken, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
