"""Views: from a command's JSON document to what people read. Every figure shown is in the document, too."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from volition.canonical import us_to_text

if TYPE_CHECKING:
    from volition.cli.demo.story import Step

Value = Mapping[str, Any]

_STYLES: Final = {
    "yes": "green",
    "permitted": "green",
    "holds": "green",
    "at work": "green",
    "no": "red",
    "FAILS": "bold red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A paragraph, and how it looks on a terminal."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table.

    Attributes:
        columns: Headings.
        rows: Cells, as many in each row as there are headings; none is shown as a dash.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]

    @staticmethod
    def style(cell: object) -> str:
        """Return how a cell looks on a terminal."""
        return _STYLES.get(cell, "") if isinstance(cell, str) else ""


Block = Line | Grid


def _line(text: str) -> Line:
    return Line(text=text)


def _heading(text: str) -> Line:
    return Line(text=f"\n{text}", style="bold")


def _list(values: Iterable[str]) -> str:
    return ", ".join(values) or "-"


def _instant(text: str | None) -> str | None:
    """Shorten an instant: whole seconds are enough to read by, and the document has the rest."""
    return f"{text[:19]}Z" if text and text.endswith("Z") else text


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


# --- set up --------------------------------------------------------------------------------------------------------


def init(value: Value) -> Iterator[Block]:
    """Show a new workspace."""
    yield _line(f"A workspace in {value['workspace']}, with the terms: {_list(value['terms'])}.")
    yield _line(f"Its public key, for those who check its evidence: {value['key']}")
    yield _line("Back up master.key and signing.key, apart from the rest: nothing opens without them.")
    yield _line("Next: volition account add ID --name NAME")


def terms_published(value: Value) -> Iterator[Block]:
    """Show a version that was published."""
    yield _line(f"Published {value['terms']} ({value['title']}).")
    for change in value["changes"]:
        yield _line(f"  {change}")
    if value["acceptance"] == "explicit":
        yield _line(f"It binds an account that accepts it, from {_instant(value['binds'])} on.")
    else:
        yield _line(f"It binds from {_instant(value['binds'])} on.")
    if value["notices"]:
        yield _line(f"Announced to {_count(value['notices'], 'account')}.")


def terms_list(value: Value) -> Iterator[Block]:
    """Show the published versions."""
    if not value["terms"]:
        yield _line("No terms were published yet. Publish some: volition terms publish FILE_OR_PROFILE")
        return
    rows = [
        (terms["id"], terms["title"], terms["acceptance"], _instant(terms["published"]), _instant(terms["binds"]))
        for terms in value["terms"]
    ]
    yield Grid(columns=("id", "title", "acceptance", "published", "binds from"), rows=rows)


def terms(value: Value) -> Iterator[Block]:
    """Show one version."""
    yield Line(text=f"{value['title']} ({value['id']})", style="bold")
    effective = _instant(value["effective"])
    yield _line(f"effective {effective}; acceptance {value['acceptance']}; notice {value['notice_days']} days")
    rows = [
        (
            _list(rule["data"]),
            _list(rule["purpose"]),
            _list(rule.get("region", ())),
            rule["basis"],
            _list(rule.get("asks", ())),
            _list(rule.get("refusable_by", ())),
            rule.get("max_age"),
        )
        for rule in value["rule"]
    ]
    columns = ("data", "purpose", "region", "basis", "asks", "refusable by", "no older than")
    yield Grid(columns=columns, rows=rows)
    if value["switch"]:
        yield _heading("Switches")
        yield Grid(
            columns=("switch", "title", "off refuses", "off disables"),
            rows=[
                (
                    switch["name"],
                    switch["title"],
                    _list(switch["off"]["refuses"]),
                    _list(switch["off"].get("disables", ())),
                )
                for switch in value["switch"]
            ],
        )
    for name, signal in value["signal"].items():
        yield _line(f"The signal {name} counts as a no for: {_list(signal['refuses'])}")
    yield _heading("In words")
    for line in value["in_words"]:
        yield _line(line)
    if value["text"]:
        yield _heading("Text")
        yield _line(value["text"].strip())


def terms_diff(value: Value) -> Iterator[Block]:
    """Show what a version changes."""
    if value["changes"]:
        for change in value["changes"]:
            yield _line(change["text"])
    elif value["same_words"]:
        yield _line("Nothing changes.")
    else:
        yield _line("Only the wording changes: the same uses are allowed, and the same people are asked.")
    if value["newly_allows"]:
        yield _line("It newly allows something, so it binds nobody before its notice period is over.")


def account(value: Value) -> Iterator[Block]:
    """Show an account that was added."""
    yield _line(f"Added the account {value['account']} ({value['name']}).")
    yield _line(f"Next: volition account accept {value['account']}")


def acceptance(value: Value) -> Iterator[Block]:
    """Show an acceptance."""
    yield _line(f"The account {value['account']} accepted the terms {value['terms']} at {_instant(value['at'])}.")


def person(value: Value) -> Iterator[Block]:
    """Show a person who was added."""
    where = f"of the account {value['account']}" if value["account"] else "a guest"
    yield _line(f"Added {value['person']}, {where}. The log names them {value['pseudonym']}.")


# --- data, and who says yes ----------------------------------------------------------------------------------------


def collected(value: Value) -> Iterator[Block]:
    """Show what became of an input."""
    rows = [
        (
            file["file"],
            file["stored"],
            file["known"],
            sum(file["not_kept"].values()),
            sum(file["skipped"].values()),
            len(file["rejected"]),
        )
        for file in value["files"]
        if "error" not in file
    ]
    total = value["total"]
    yield Grid(columns=("collected", "stored", "known", "not kept", "skipped", "set aside"), rows=rows)
    for reason, number in total["not_kept"].items():
        yield _line(f"{number:,} not kept: no purpose could permit them ({reason})")
    for why, number in total["skipped"].items():
        yield _line(f"{number:,} skipped: {why}")
    if total["rejected"]:
        yield _heading("Set aside")
        pieces = [piece for file in value["files"] for piece in file.get("rejected", ())]
        alike = Counter((piece["source"], piece["why"]) for piece in pieces)
        first = {(piece["source"], piece["why"]): piece["where"] for piece in reversed(pieces)}
        yield Grid(
            columns=("pieces", "source", "why", "the first at"),
            rows=[(number, source, why, first[source, why]) for (source, why), number in alike.most_common(_SHOWN)],
        )
        if len(alike) > _SHOWN:
            yield _line(f"and {len(alike) - _SHOWN:,} other faults; --json lists every piece")


_SHOWN: Final = 20
_MANY_FILES: Final = 1000  # beyond one for each category and bucket: reading them begins to cost


def decision(value: Value) -> Iterator[Block]:
    """Show a decision, and what it obliges to."""
    covers = "" if value["covers"] is None else f", covering {_instant(value['covers'])}"
    yield _line(
        f"Recorded at {_instant(value['at'])} (entry {value['seq']}): {value['party']} says {value['answer']} to "
        f"{_list(value['data'])} for {_list(value['purpose'])}{covers}."
    )
    if value["owed"]:
        yield _heading("These models must forget")
        yield from owed(value)


def limited(value: Value) -> Iterator[Block]:
    """Show a limit that was set or lifted, and what it obliges to."""
    whole = f"all of {value['group']}" if value["group"] else "the whole account"
    whom = _list(value["people"]) if value["people"] else whole
    yield _line(
        f"Recorded at {_instant(value['at'])} (entry {_list(map(str, value['entries']))}): {value['account']} "
        f"{'limits' if value['limited'] else 'lifts its limit of'} {_list(value['data'])} for "
        f"{_list(value['purpose'])}, for {whom}."
    )
    if value["owed"]:
        yield _heading("These models must forget")
        yield from owed(value)


def limits(value: Value) -> Iterator[Block]:
    """Show the limits of an account that stand."""
    if not value["limits"]:
        yield _line(f"{value['account']} limits nothing.")
        return
    rows = [
        (
            one["group"] or "the whole account",
            use["people"] or None,
            use["purpose"],
            _list(use["data"]),
            _instant(use["since"]),
            use["entry"],
        )
        for one in value["limits"]
        for use in one["limited"]
    ]
    yield Grid(columns=("group", "people", "purpose", "data", "since", "entry"), rows=rows)


def answer(value: Value) -> Iterator[Block]:
    """Show a verdict and every party's part in it."""
    if value["permitted"]:
        yield Line(text=f"yes: {value['purpose']} may use it, from {_instant(value['since'])} on.", style="green")
    else:
        yield Line(text=f"no: {value['reason']}, {value['party']}.", style="red")
    rows = [
        (
            "no" if party["reason"] else "yes",
            party["party"],
            party["role"],
            party["say"],
            party["reason"],
            _instant(party["since"]),
            _rule(party["rule"]),
            party["terms"],
        )
        for party in value["parties"]
    ]
    yield Grid(columns=("answer", "party", "role", "say", "reason", "since", "rule", "terms"), rows=rows)
    remedies = dict.fromkeys(f"{party['party']}: {party['remedy']}" for party in value["parties"] if party["remedy"])
    if remedies:
        yield _heading("What would change it")
        for remedy in remedies:
            yield _line(remedy)


def _rule(rule: Value | None) -> str:
    if rule is None:
        return "none speaks of it"
    region = f" in {_list(rule['region'])}" if rule["region"] else ""
    return f"{_list(rule['data'])} for {_list(rule['purpose'])}{region}: {rule['basis']}"


# --- learn ---------------------------------------------------------------------------------------------------------


def snapshot(value: Value) -> Iterator[Block]:
    """Show a snapshot."""
    kept = sum(rows["kept"] for rows in value["rows"].values())
    yield _line(
        f"{value['snapshot']}: {kept:,} rows of {value['people']:,} people in {len(value['accounts'])} accounts, "
        f"frozen for {value['purpose']} at {_instant(value['at'])}."
    )
    yield Grid(
        columns=("category", "read", "kept", "dropped, by reason"),
        rows=[
            (
                category,
                rows["read"],
                rows["kept"],
                _list(f"{reason} {total:,}" for reason, total in rows["dropped"].items()),
            )
            for category, rows in value["rows"].items()
        ],
    )


def base(value: Value) -> Iterator[Block]:
    """Show a base model that was made."""
    of = f" ({value['licence']})" if value["licence"] else ""
    yield _line(f"{value['name']}{of}, {value['weights']:,} weights, is in {value['folder']}.")
    yield _line(f"Name it in volition.toml, under [adapter]: base = {json.dumps(value['folder'])}")


def trained(value: Value) -> Iterator[Block]:
    """Show a model that was trained."""
    yield _line(
        f"{value['model']}: learned from {value['rows']:,} rows of {value['people']:,} people "
        f"({_list(value['accounts'])}), snapshot {value['snapshot']}."
    )
    yield _line(f"Next: volition audit {value['model']}, then volition release {value['model']}")


def findings(value: Value) -> Iterator[Block]:
    """Show what the audits found."""
    yield Grid(
        columns=("audit", "measure", "value", "95 % interval", "bound", "verdict", "units"),
        rows=[
            (
                finding["audit"],
                finding["metric"],
                finding["value"],
                _interval(finding["low"], finding["high"]),
                finding["bound"],
                finding["verdict"],
                finding["units"],
            )
            for finding in value["findings"]
        ],
    )
    for finding in value["findings"]:
        yield _heading(f"{finding['audit']}: {finding['metric']}")
        yield _line(finding["how"])
        yield from _accounts(finding["detail"].get("by_account", {}))
        yield from _groups(finding["detail"].get("groups", {}))


def _interval(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:+.3f} to {high:+.3f}"


def _accounts(accounts: Value) -> Iterator[Block]:
    shown = {account: told for account, told in accounts.items() if isinstance(told, Mapping) and "value" in told}
    own = [told.get("marginal") or {} for told in shown.values()]
    if shown:
        yield Grid(
            columns=("account", "value", "95 % interval", "units", "its own data", "95 % interval"),
            rows=[
                (
                    account,
                    told.get("value"),
                    _interval(told.get("low"), told.get("high")),
                    told.get("units"),
                    marginal.get("value"),
                    _interval(marginal.get("low"), marginal.get("high")),
                )
                for (account, told), marginal in zip(shown.items(), own, strict=True)
            ],
        )


def _groups(groups: Value) -> Iterator[Block]:
    if groups:
        yield Grid(
            columns=("group", "value", "95 % interval", "units", "people"),
            rows=[
                (name, told["value"], _interval(told["low"], told["high"]), told["units"], told["people"])
                for name, told in groups.items()
            ],
        )


def release(value: Value) -> Iterator[Block]:
    """Show a release."""
    yield _line(f"{value['model']} is at work since {_instant(value['released'])}. Its card: {value['folder']}/card.md")
    if value["override"]:
        yield _line(f"{value['override']['by']} answers for it beyond its bounds: {value['override']['why']}")


# --- use -----------------------------------------------------------------------------------------------------------


def found(value: Value) -> Iterator[Block]:
    """Show what a search found."""
    rows = [(_when(hit), hit["speaker"], hit["source"], hit["text"]) for hit in value["hits"]]
    if rows:
        yield Grid(columns=("at", "speaker", "where", "text"), rows=rows)
    else:
        yield _line("Nothing was found.")
    if value["note"]:
        yield _line(value["note"])


def opened(value: Value) -> Iterator[Block]:
    """Show what became of an opened hit."""
    refused = ", ".join(value["not_kept"])
    yield _line(f"Not kept: {refused}." if refused else "Recorded. Search learns from it where usage may train search.")


def _when(hit: Value) -> str:
    """Write when something was said: the time within the meeting, the instant of a message, the place in a file."""
    if hit["start_ms"] is not None:
        return _clock(hit["start_ms"])
    if hit["kind"] == "passage":
        return f"passage {hit['place']}"
    return us_to_text(int(hit["place"].partition(".")[0]) * 1_000_000)[:16]


def summary(value: Value) -> Iterator[Block]:
    """Show a meeting in quotes."""
    rows = [(_clock(moment["start_ms"]), moment["speaker"], moment["quote"]) for moment in value["moments"]]
    yield Grid(columns=("at", "speaker", f"{value['meeting']}, in quotes"), rows=rows)
    if value["note"]:
        yield _line(value["note"])
    if value["topics"]:
        rows = [
            (f"{_clock(topic['start_ms'])} to {_clock(topic['end_ms'])}", topic["speaker"], ", ".join(topic["words"]))
            for topic in value["topics"]
        ]
        yield Grid(columns=("at", "begun by", "topic, by its words"), rows=rows)
    for kind in ("decisions", "questions"):
        if value[kind]:
            rows = [(_clock(moment["start_ms"]), moment["speaker"], moment["quote"]) for moment in value[kind]]
            yield Grid(columns=("at", "speaker", kind if kind == "decisions" else "open questions"), rows=rows)
    if value["actions"]:
        tasks = [
            (_clock(task["moment"]["start_ms"]), task["who"] or "unassigned", task["what"], _due(task), _quoted(task))
            for task in value["actions"]
        ]
        yield Grid(columns=("at", "who", "task", "due", "said"), rows=tasks)
    if "prose" in value:
        yield from _prose(value["prose"])


def _prose(value: Value) -> Iterator[Block]:
    """Show sentences with the moments that they cite, counted in the order above, and what does not hold."""
    if value["sentences"]:
        rows = [(told["text"], told["cites"], told["unsupported"] or "holds") for told in value["sentences"]]
        cells = [(text, " ".join(f"[{number}]" for number in cites), check) for text, cites, check in rows]
        yield Grid(columns=("in prose", "moments", "check"), rows=cells)
    yield _line(value["note"])


def written(value: Value) -> Iterator[Block]:
    """Show what a model wrote."""
    yield _line(value["text"])
    yield _line(value["note"])


def _due(task: Value) -> str | None:
    """Write when a task is due, as it was said and as a day."""
    return f"{task['due']} ({task['due_date']})" if task["due_date"] else task["due"]


def _quoted(task: Value) -> str:
    return f"{task['moment']['speaker']}: {task['moment']['quote']}"


def _clock(at_ms: int) -> str:
    """Write a time within a meeting as mm:ss."""
    minutes, seconds = divmod(at_ms // 1000, 60)
    return f"{minutes:02}:{seconds:02}"


def suggestions(value: Value) -> Iterator[Block]:
    """Show recommendations."""
    if not value["suggestions"]:
        yield _line("Nothing to recommend yet.")
        return
    rows = [(found["item"], found["because"]) for found in value["suggestions"]]
    yield Grid(columns=("item", "because"), rows=rows)


def completions(value: Value) -> Iterator[Block]:
    """Show how a message may go on."""
    if not value["completions"]:
        yield _line("Nothing to suggest here.")
        return
    rows = [(found["phrase"], found["insert"], found["people"]) for found in value["completions"]]
    yield Grid(columns=("goes on", "to insert", "people who wrote it"), rows=rows)


def replies(value: Value) -> Iterator[Block]:
    """Show short replies."""
    if not value["replies"]:
        yield _line("Nothing to suggest here.")
        return
    yield Grid(
        columns=("reply", "people who wrote it"), rows=[(one["text"], one["people"]) for one in value["replies"]]
    )


def gone_on(value: Value) -> Iterator[Block]:
    """Show how a message may go on."""
    yield _line(f"{value['text']}{value['written']}")
    yield _line("A model wrote the end, and it may invent: read it before you use it.")


def edited(value: Value) -> Iterator[Block]:
    """Show an edited message."""
    yield _line(value["edited"])


def diagnosed(value: Value) -> Iterator[Block]:
    """Show which sessions are at risk, and why."""
    rows = [
        (
            session["session"],
            _instant(session["last"]),
            session["state"],
            f"{session['risk']:.0%}",
            "; ".join(_cause(cause) for cause in session["causes"]) or None,
        )
        for session in value["sessions"]
    ]
    if rows:
        yield Grid(columns=("session", "last heard of", "state", "risk", "likely causes"), rows=rows)
    else:
        yield _line("There are no sessions that may be looked at.")
    if value["note"]:
        yield _line(value["note"])


def _cause(cause: Value) -> str:
    odds = f", odds of failing x {cause['factor']:g}" if cause["factor"] is not None else ""
    return f"{cause['words']}{odds}"


# --- undo ----------------------------------------------------------------------------------------------------------


def owed(value: Value) -> Iterator[Block]:
    """Show the forgettings that are owed."""
    if not value["owed"]:
        yield _line("Nothing is owed: no model learned from anything that is not permitted any more.")
        return
    rows = [
        (
            owed["model"],
            owed["rows"],
            _list(f"{party} ({reason})" for party, reason in owed["parties"].items()),
            _instant(owed["since"]),
            _instant(owed["due"]),
        )
        for owed in value["owed"]
    ]
    yield Grid(columns=("model", "rows", "parties", "since", "due"), rows=rows)
    for owed in value["owed"]:
        if owed["blocked"]:
            yield _line(f"{owed['model']} waits: {owed['blocked']}")
    yield _line("Next: volition forget")


def forgotten(value: Value) -> Iterator[Block]:
    """Show the forgettings that were done."""
    for owed in value["waiting"]:
        yield _line(f"{owed['model']} waits until {_instant(owed['due'])} and is then erased. {owed['blocked']}")
    if not value["forgotten"]:
        yield _line("Nothing else was owed." if value["waiting"] else "Nothing was owed.")
        return
    rows = [
        (done["model"], done["rows"], _list(done["parties"]), done["successor"] or "none")
        for done in value["forgotten"]
    ]
    yield Grid(columns=("forgotten", "rows", "parties", "successor"), rows=rows)
    for done in value["forgotten"]:
        if done["waits"]:
            yield _line(
                f"{done['waits']} never saw them and misses a bound: until somebody answers for it, the feature goes "
                f"without a model. What it misses: volition release {done['waits']}"
            )


def compacted(value: Value) -> Iterator[Block]:
    """Show a compaction."""
    if value["rows"]:
        yield _line(f"{value['before']:,} files are {value['after']:,} now; {value['rows']:,} rows were moved.")
    else:
        yield _line(f"There was nothing to compact: {value['after']:,} files.")


def erased(value: Value) -> Iterator[Block]:
    """Show an erasure."""
    yield _line(f"{value['party']} is erased, with {value['records']:,} records.")
    if value["owed"]:
        yield _heading("These models must forget")
        yield from owed(value)


# --- prove, look ---------------------------------------------------------------------------------------------------


def proved(value: Value) -> Iterator[Block]:
    """Show an evidence bundle."""
    yield _line(f"{value['file']}: the log's {value['entries']:,} entries and the evidence for every model.")
    yield _line(f"Anyone checks it with: volition verify {value['file']} --key KEY")


def proved_person(value: Value) -> Iterator[Block]:
    """Show the proofs of a person."""
    rows = [
        (proof["model"], "learned from them" if proof["present"] else "never saw them", proof["rows"])
        for proof in value["proofs"]
    ]
    yield Grid(columns=("model", value["person"], "rows"), rows=rows)
    yield _line(
        f"The proofs, and receipts for {value['receipts']} answers, are in {value['file']}. "
        f"Anyone checks them with: volition verify {value['file']} --key KEY"
    )


def verified(value: Value) -> Iterator[Block]:
    """Show what verifying gave."""
    rows = [("holds" if check["holds"] else "FAILS", check["name"], check["detail"]) for check in value["checks"]]
    yield Grid(columns=("", "what", "detail"), rows=rows)
    yield _line(f"Checked with the key of {value['key_from']}: {value['key']}")
    yield (
        Line(text="Everything holds.", style="green")
        if value["holds"]
        else Line(text="It does NOT hold.", style="bold red")
    )


def key(value: Value) -> Iterator[Block]:
    """Show the public key, alone, so that it can be sent into a file."""
    yield _line(value["key"])


def step(step: "Step") -> Iterator[Block]:
    """Show a step of the demo."""
    yield _heading(step.title)
    for block in step.blocks:
        yield _line(block) if isinstance(block, str) else Grid(columns=block.columns, rows=block.rows)


def status(value: Value) -> Iterator[Block]:
    """Show what there is."""
    ledger = value["ledger"]
    yield Grid(
        columns=("workspace", value["workspace"]),
        rows=[
            ("log", f"{value['origin']}: {ledger['size']:,} entries, the last at {_instant(ledger['last']) or '-'}"),
            ("terms", _list(value["terms"])),
            ("accounts", _list(value["accounts"])),
            ("people", f"{value['people']:,}"),
            ("snapshots", f"{len(value['snapshots']):,}"),
            ("encoder", value["encoder"]),
        ],
    )
    yield _heading("Records")
    yield Grid(columns=("category", "records"), rows=[*value["records"].items()])
    if value["small_files"] >= _MANY_FILES:
        yield _line(f"{value['small_files']:,} files wait to be made fewer: `volition compact`.")
    if value["models"]:
        yield _heading("Models")
        yield Grid(
            columns=("model", "family", "state", "snapshot"),
            rows=[(model["id"], model["family"], model["state"], model["snapshot"]) for model in value["models"]],
        )
    for why in value["families_missing"].values():
        yield _line(why)
    if value["owed"]:
        yield _heading("Owed")
        yield from owed(value)
