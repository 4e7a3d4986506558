"""Long lists: no page grows with what there is, its parts together show each item once, and others see none of it."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from volition.canonical import datetime_to_us
from volition.errors import InvalidInputError
from volition.progress import silent
from volition.records.ingest.webvtt import read_webvtt
from volition.server.app import Server
from volition.server.auth import Role
from volition.server.web.lists import cut
from volition.workspace import Workspace

MANY = 105
LINES = 650
LARGEST_BYTES = 150_000
MOST_ELEMENTS = 2_500
GUEST = "Zoe Guest"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


# --- a list, by itself ---


def visit(**query):
    return SimpleNamespace(query={name.replace("_", "-"): value for name, value in query.items()})


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95, 1000])
def test_the_parts_of_a_list_together_have_each_item_once_in_order(count):
    items, seen, after = list(range(count)), [], "?page=1#whole-list"
    for _ in range(count + 1):
        part = cut(visit(page=re.search(r"page=(\d+)", after)[1]), items, of="thing", size=10)
        seen += part
        assert len(part.links) <= 9, "the links do not grow either"
        assert [link.number for link in part.links if link.is_here] in ([], [len(seen) // 10 + bool(len(seen) % 10)])
        if not part.after:
            break
        after = part.after
    assert seen == items


def test_what_is_looked_for_stays_while_one_turns_the_pages_and_lists_do_not_disturb_each_other():
    items = [f"meeting {number}" for number in range(300)]
    part = cut(visit(find=" MEETING 1 ", days_page="3"), items, of="meeting", size=10, find=str)
    assert part.detail == "1 to 1 of 1 meeting with “MEETING 1”" or part.total == 111
    assert "find=MEETING+1" in part.after
    assert "days-page=3" in part.after
    assert "days-page=3" in part.finder.everything
    assert "find=" not in part.finder.everything
    assert [*cut(visit(days_page="3"), items, of="day", size=10, name="days")] == items[20:30]


def test_an_address_leads_to_the_part_that_has_an_item():
    items = [str(number) for number in range(100)]
    part = cut(visit(turn="57"), items, of="line", size=10, place=("turn", str))
    assert [*part] == items[50:60]
    assert "turn=" not in part.after
    assert [*cut(visit(turn="none"), items, of="line", size=10, place=("turn", str))] == items[:10]


def test_a_part_beyond_the_last_is_the_last_and_what_is_no_number_is_refused():
    items = list(range(25))
    assert [*cut(visit(page="99"), items, of="thing", size=10)] == items[20:]
    for text in ("0", "-1", "x", "1.5", ""):
        with pytest.raises(InvalidInputError, match="counted from 1"):
            cut(visit(page=text), items, of="thing", size=10)
    with pytest.raises(InvalidInputError, match="too long"):
        cut(visit(find="x" * 201), items, of="thing", size=10, find=str)


# --- pages with much on them ---


@pytest.fixture(scope="module")
def crowded(template, tmp_path_factory):
    """Serve a workspace with many of each kind; yield its server and what there is."""
    import shutil  # noqa: PLC0415 - a copy for this module alone

    folder = shutil.copytree(template, tmp_path_factory.mktemp("crowded") / "workspace")
    began = datetime(2025, 6, 10, 9, tzinfo=UTC)
    names = [f"crowd-{number:03}" for number in range(MANY)]
    with Workspace.open(folder) as workspace:
        guest = workspace.parties.guest("acme", GUEST).id
        fill(workspace, names, began)
        for number in range(24):
            workspace.consent.decide(
                f"person:{guest}", yes=bool(number % 2), data=["content"], purpose=["feature/search"]
            )
            workspace.consent.decide("person:ada", yes=bool(number % 2), data=["content"], purpose=["feature/search"])
        for name in names[:45]:
            workspace.exclusions.exclude(name, account="acme", purpose=("train/search",), excluded=True)
    server = Server(folder, is_demo=True, has_worker=False)
    for _ in range(MANY):
        server.access.links.make_guest_link(person=guest, account="acme")
    for _ in range(40):
        server.access.sessions.begin("demo-person")
    for number in range(MANY):
        server.jobs.cancel(server.jobs.start("audit", f"m-{number}", by="engineer").id)
    yield SimpleNamespace(server=server, names=names, guest=guest)
    server.close()


def fill(workspace, names, began):
    """Collect a meeting under each name, and one of many lines, all at once."""
    pieces = []
    for number, name in enumerate(names):
        text = f"WEBVTT\n\n00:01.000 --> 00:04.000\nAda Byron: {name} began.\n\n"
        text += f"00:05.000 --> 00:06.000\n{GUEST}: I agree with {name}.\n"
        pieces += read(text, name, began + timedelta(days=number))
    cues = [
        f"{clock_of(number)}.000 --> {clock_of(number)}.900\nAda Byron: line {number}.\n" for number in range(LINES)
    ]
    pieces += read("WEBVTT\n\n" + "\n".join(cues), "long", began)
    assert workspace.records.take_in(pieces, "acme", silent).stored == 2 * MANY + LINES


def read(text, meeting, started):
    start_us = datetime_to_us(started)
    return read_webvtt(text.encode(), source="x.vtt", account="acme", meeting=meeting, start_us=start_us)


def clock_of(seconds):
    return f"{seconds // 60:02}:{seconds % 60:02}"


def client_of(crowded, user):
    client = TestClient(crowded.server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
    if user is not None:
        client.cookies.set("volition", crowded.server.access.sessions.begin(user))
    return client


def walked(client, path, name=""):
    """Return every page of a list, following the link to the next."""
    pages, at = [], path
    while at:
        page = client.get(at)
        assert page.status_code == 200, (at, page.status_code)
        pages.append(page.text)
        assert len(page.content) <= LARGEST_BYTES, (at, len(page.content))
        assert len(re.findall(r"<[a-z]", page.text)) <= MOST_ELEMENTS, at
        field = f"{name}-page=" if name else "page="
        following = [
            unescape(href)
            for href in re.findall(r'rel="next" href="([^"]*)"', page.text)
            if re.search(rf"[?&]{field}\d+#", unescape(href))  # a list's own page comes last
        ]
        at = f"{path.partition('?')[0]}{following[0]}" if following else ""
    return pages


LISTS = [  # who, where, the list's name, what an item looks like, and how many there are
    (f"demo-{Role.PERSON}", "/meetings", "", r'<h2><a href="[^"]*">([^<]*)</a>', MANY + 2),
    (f"demo-{Role.PERSON}", "/meetings/long", "", r'<li id="(t-\d+)"', LINES),
    (f"demo-{Role.PERSON}", "/sign-in/own", "sessions", r'aria-label="(End the sign-in)', 40),
    (f"demo-{Role.GUEST}", "/guest", "", r'<article class="card" id="(meeting-\d+)"', MANY),
    (f"demo-{Role.GUEST}", "/guest", "answers", r'href="(/guest/receipts/\d+)"', 24),
    (f"demo-{Role.ADMINISTRATOR}", "/account", "left-out", r'id="(left-out-\d+)"', 45),
    (f"demo-{Role.OPERATOR}", "/console/guests", "", r'action="(/console/guests/[0-9a-f]+/revoking)"', MANY),
    (f"demo-{Role.OPERATOR}", "/console/runs", "", r'href="(/console/runs/[0-9a-f]+)"', MANY),
]


@pytest.mark.slow
@pytest.mark.xdist_group("crowded")
def test_no_page_grows_beyond_a_bound_and_its_parts_show_each_item_once(crowded):
    for user, path, name, item, count in LISTS:
        pages = walked(client_of(crowded, user), path, name)
        found = [one for page in pages for one in re.findall(item, page)]
        assert len(pages) > 1, path
        if path == "/sign-in/own":
            assert count <= len(found), path
            continue
        assert len(set(found)) == len(found), (path, name)
        assert abs(len(found) - count) <= 1, (path, name, len(found))
        assert 'aria-current="page"' in pages[0]


@pytest.mark.slow
@pytest.mark.xdist_group("crowded")
def test_every_page_that_has_no_list_of_its_own_is_bounded_too(crowded):
    paths = {
        Role.PERSON: ["/holdings", "/looked", "/models", "/receipts", "/requests", "/chat", "/terms", "/search"],
        Role.OPERATOR: ["/console", "/console/ledger", "/console/lake", "/console/people", "/console/snapshots"],
    }
    for role, of_role in paths.items():
        client = client_of(crowded, f"demo-{role}")
        for path in of_role:
            page = client.get(path)
            assert page.status_code == 200, path
            assert len(page.content) <= LARGEST_BYTES, (path, len(page.content))
            assert len(re.findall(r"<[a-z]", page.text)) <= MOST_ELEMENTS, path


@pytest.mark.slow
@pytest.mark.xdist_group("crowded")
def test_something_is_found_by_name_and_a_link_leads_to_its_part(crowded):
    client = client_of(crowded, f"demo-{Role.PERSON}")
    page = client.get("/meetings?find=Crowd-097").text
    assert re.findall(r'<h2><a href="[^"]*">([^<]*)</a>', page) == ["crowd-097"]
    assert "1 meeting with “Crowd-097”" in page
    assert "There is no meeting with “nowhere”." in client.get("/meetings?find=nowhere").text
    assert 'id="t-500"' not in client.get("/meetings/long").text
    assert 'id="t-500"' in client.get("/meetings/long?turn=500").text
    assert client.get("/meetings?page=x").status_code == 400


@pytest.mark.slow
@pytest.mark.xdist_group("crowded")
def test_a_stranger_a_guest_and_nobody_see_none_of_a_list_that_is_not_theirs(crowded):
    asked = ["/meetings?page=2", "/meetings?find=crowd", "/meetings/long?turn=500", "/console/guests?page=2"]
    for user in ("demo-stranger", f"demo-{Role.GUEST}", None):
        client = client_of(crowded, user)
        for path in asked:
            page = client.get(path).text
            assert not re.search(r"crowd-\d", page), (user, path)
            assert "revoking" not in page, (user, path)


@pytest.mark.slow
@pytest.mark.xdist_group("crowded")
def test_the_api_s_lists_come_in_pages_that_together_have_each_item_once(crowded):
    asked = [
        (f"demo-{Role.OPERATOR}", "/v1/runs", "run", MANY),
        (f"demo-{Role.ADMINISTRATOR}", "/v1/exclusions", "entry", 45),
    ]
    for user, path, field, count in asked:
        client, found, after = client_of(crowded, user), [], ""
        while after is not None:
            page = client.get(f"{path}?limit=20{after and f'&cursor={after}'}").json()
            assert len(page["items"]) <= 20
            found += [item[field] for item in page["items"]]
            after = page["next"]
        assert len(found) == len(set(found)) == count
    assert client.get("/v1/exclusions?cursor=x").status_code == 400


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_list_is_turned_and_searched_by_hand_and_without_script(served, new_page, sign_in, check_access):
    with served.workspaces.borrow() as workspace:
        fill(workspace, [f"crowd-{number:03}" for number in range(MANY)], datetime(2025, 6, 10, 9, tzinfo=UTC))
    for script, viewport in ((True, WIDE), (False, PHONE)):
        page = sign_in(new_page(script=script, viewport=viewport))
        page.goto("/meetings")
        pages = page.get_by_role("navigation", name="Pages of meetings")
        assert page.get_by_text("1 to 50 of 107 meetings").is_visible()
        pages.get_by_role("link", name="Next").click()
        page.wait_for_url("**/meetings?page=2#whole-list")
        assert page.get_by_text("51 to 100 of 107 meetings").is_visible()
        assert pages.locator("[aria-current=page]").inner_text().split()[-1] == "2"
        if script:
            check_access(page)
        page.get_by_role("searchbox", name="Find a meeting").fill("crowd-097")
        page.get_by_role("button", name="Find").click()
        page.wait_for_url("**/meetings?find=crowd-097#whole-list")
        assert page.locator(".places li").count() == 1
        page.get_by_role("link", name="Show all").click()
        page.goto("/meetings/long?turn=500#t-500")
        assert page.locator("#t-500").is_visible()
        if script:
            check_access(page)
