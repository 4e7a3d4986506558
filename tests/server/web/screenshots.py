"""Pictures of the main pages, as each role sees them: `make screenshots`.

    python tests/server/web/screenshots.py [--workspace FOLDER] [--out docs/screenshots] [--only NAME ...]

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
from itertools import product
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright
from small_png import small_png

from volition.cli.demo.cast import GUEST_WHO_WAS_NOT_ASKED, let_in
from volition.features.conversations import ConversationKind
from volition.server.app import Server, web_server
from volition.server.auth import Role

SHOTS = [  # name, role, path; {model}, {released}, {snapshot}, {run}, {meeting} and {channel} stand for some of the workspace
    ("sign-in", None, "/sign-in"),
    ("settings", Role.PERSON, "/settings"),
    ("weigh", Role.PERSON, "/weigh"),
    ("holdings", Role.PERSON, "/holdings"),
    ("looked", Role.PERSON, "/looked"),
    ("learned", Role.PERSON, "/models"),
    ("card", Role.PERSON, "/models/{released}"),
    ("receipts", Role.PERSON, "/receipts"),
    ("consistency", Role.PERSON, "/receipts/consistency"),
    ("requests", Role.PERSON, "/requests"),
    ("erase", Role.PERSON, "/requests/erase"),
    ("terms", Role.PERSON, "/terms"),
    ("meetings", Role.PERSON, "/meetings"),
    ("meeting", Role.PERSON, "/meetings/{meeting}"),
    ("chat", Role.PERSON, "/chat/{channel}"),
    ("search", Role.PERSON, "/search?q=launch"),
    ("recommendations", Role.PERSON, "/recommendations"),
    ("guest", None, "{guest}"),
    ("account", Role.ADMINISTRATOR, "/account"),
    ("account-people", Role.ADMINISTRATOR, "/account/people"),
    ("people", Role.OPERATOR, "/console/people"),
    ("guest-links", Role.OPERATOR, "/console/guests"),
    ("console", Role.OPERATOR, "/console"),
    ("ledger", Role.OPERATOR, "/console/ledger"),
    ("evidence", Role.AUDITOR, "/console/evidence"),
    ("lake", Role.OPERATOR, "/console/lake"),
    ("snapshots", Role.OPERATOR, "/console/snapshots"),
    ("snapshot", Role.OPERATOR, "/console/snapshots/{snapshot}"),
    ("runs", Role.ENGINEER, "/console/runs"),
    ("run", Role.ENGINEER, "/console/runs/{run}"),
    ("models", Role.AUDITOR, "/console/models"),
    ("model", Role.AUDITOR, "/console/models/{model}"),
    ("forgettings", Role.OPERATOR, "/console/forgettings"),
]
DARK = {"settings", "weigh", "meeting", "console"}  # these are taken in the dark as well, wide
WIDTHS = (1280, 390)
LARGEST = 70_000  # bytes of one picture
TALLEST = {1280: 1_500, 390: 1_700}  # pixels: what lies further down is cut off
CHROMIUM = "/usr/bin/chromium"


@contextmanager
def served(folder: Path) -> Iterator[tuple[Server, str]]:
    """Serve a workspace of the demo on a free port; yield the server and its address."""
    server = Server(folder, is_demo=True)
    let_in(server.access)
    running = web_server(server, grace_s=1, port=0)
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


def named(server: Server) -> dict[str, str]:
    """Return what the paths name; search is trained once more, so that there is a run to see."""
    person = server.access.users.find("demo-person")
    if person is None or person.person is None or person.account is None:
        sys.exit("The workspace is none of the demo's: nobody there is the person who looks.")
    with server.workspaces.borrow() as workspace:
        working = [model["id"] for model in workspace.status()["models"] if model["state"] == "at work"]
        meetings, channels = (
            workspace.features.conversations(kind, person=person.person)
            for kind in (ConversationKind.MEETING, ConversationKind.CHANNEL)
        )
        learned = [trace.model.id for trace in workspace.proofs.traces(person.person) if trace.at_work and trace.rows]
        snapshot = next(one for one in reversed(workspace.snapshots.ids()) if one.startswith("train-summary"))
        organisation, name, _ = GUEST_WHO_WAS_NOT_ASKED
        guest = workspace.parties.guest(organisation, name).id
    run = server.jobs.start("train", "search", by="engineer")
    while not server.jobs.job(run.id).is_over:
        time.sleep(0.1)
    return {
        "model": working[-1],
        "released": (learned or working)[-1],
        "snapshot": snapshot,
        "run": run.id,
        "meeting": quote(next(one for one in meetings if one.was_there).name, safe=""),
        "channel": quote(channels[0].name, safe=""),
        "guest": f"/guest/{server.access.links.make_guest_link(person=guest, account=organisation)}",
    }


def take(browser: Browser, server: Server, url: str, out: Path, only: list[str]) -> list[dict[str, object]]:
    """Take every picture; return what was taken."""
    paths = named(server)
    users = {role: f"demo-{role}" for role in Role}
    taken: list[dict[str, object]] = []
    blank = browser.new_page()
    looks = [(width, is_dark) for width in WIDTHS for is_dark in (False, True)]
    for (width, is_dark), (name, role, path) in product(looks, SHOTS):
        if (only and name not in only) or (is_dark and (name not in DARK or width != WIDTHS[0])):
            continue
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if is_dark else "light",
            reduced_motion="reduce",
        )
        if role is not None:
            secret = server.access.sessions.begin(users[role])
            context.add_cookies([{"name": "volition", "value": secret, "url": url}])
        page = context.new_page()
        page.set_default_timeout(60_000)  # the first search or summary loads the sentence encoder
        answer = page.goto(url + path.format(**paths))
        if answer is None or not answer.ok:
            sys.exit(f"{path} as {role} answered {answer and answer.status}; no picture was taken of it.")
        if name == "guest":
            page.get_by_role("button", name="Continue as a guest").click()
        page.evaluate("document.fonts.ready")
        tall = min(TALLEST[width], int(page.evaluate("document.documentElement.scrollHeight")))
        file = out / f"{name}-{width}{'-dark' if is_dark else ''}.png"
        while True:
            clip = {"x": 0, "y": 0, "width": width, "height": tall}
            picture = small_png(page.screenshot(clip=clip, full_page=True), blank)
            if len(picture) <= LARGEST:
                break
            tall = tall * 9 // 10  # its end is cut off, rather than its colours
        file.write_bytes(picture)
        taken.append({"file": file.name, "bytes": len(picture)})
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
