"""The public summary of training content, in the sections of the AI Office's template (AI Act, article 53(1)(d)).

The law asks it of providers of general-purpose models. These are none, and the summary says that it is voluntary. No
section is left empty; every date is dd/mm/yyyy; the version, the one before and what has changed are named.
"""

from collections.abc import Iterator
from typing import Final

from volition.learning.documents.facts import NOT_APPLICABLE, UNKNOWN, Facts, day

_BILLION: Final = 1_000_000_000
_NO_OTHERS: Final = f"{NOT_APPLICABLE} Nothing but the provider's own customers' data was used."


def training_content(facts: Facts) -> bytes:
    """Return the summary as Markdown."""
    return "\n".join([*_opening(facts), *_general(facts), *_sources(facts), *_processing(facts)]).encode()


def _opening(facts: Facts) -> Iterator[str]:
    yield from (f"# Public summary of training content: {facts.card['model']}", "")
    yield "This summary is voluntary: article 53(1)(d) of Regulation (EU) 2024/1689 asks it of providers of"
    yield "general-purpose AI models, and this is a small model for one purpose."
    yield from ("", "| | |", "|---|---|")
    yield f"| Version of the summary | {facts.version} |"
    yield f"| Last update | {facts.released_on} |"
    earlier = facts.earlier
    yield f"| Earlier version | {'none' if earlier is None else f'{facts.version - 1}, of {earlier.model}'} |"
    yield f"| What has changed | {_changes(facts)} |"
    yield ""


def _changes(facts: Facts) -> str:
    if facts.earlier is None:
        return "This is the first version."
    before = facts.earlier.card
    if before is None:
        return "The earlier version's card is not kept, so it cannot be compared."
    old, new = before["learned_from"], facts.card["learned_from"]
    kept_before = {category: counts["kept"] for category, counts in old["rows"].items() if counts["kept"]}
    changes = [f"people {old['people']} to {new['people']}"]
    for category in sorted(kept_before.keys() | facts.kept.keys()):
        pair = kept_before.get(category, 0), facts.kept.get(category, 0)
        if pair[0] != pair[1]:
            changes.append(f"records of {category} {pair[0]} to {pair[1]}")
    return f"{'; '.join(changes)}."


def _general(facts: Facts) -> Iterator[str]:
    card = facts.card
    yield from ("## 1. General information", "", "### 1.1 Provider identification", "")
    yield from ("| | |", "|---|---|", f"| Provider | {facts.provider} |")
    yield f"| Contact | {facts.controller.contact or UNKNOWN} |"
    yield f"| Address | {facts.controller.address or UNKNOWN} |"
    yield f"| Authorised representative | {NOT_APPLICABLE} |"
    yield from ("", "### 1.2 Model identification", "", "| | |", "|---|---|")
    yield f"| Versioned name | {card['model']} |"
    base = card.get("base")
    yield f"| Depends on | {NOT_APPLICABLE if base is None else base['name']} |"
    since = f"In use in the provider's own service since {facts.released_on}."
    yield f"| Date of placement on the Union market | {NOT_APPLICABLE} {since} |"
    yield from ("", "### 1.3 Modalities, size and characteristics", "", "| | |", "|---|---|")
    yield f"| Modalities | {_modalities(facts)} |"
    yield f"| Training data size | {_size(facts)} |"
    yield f"| Types of content | {', '.join(facts.kept) or 'none'} |"
    latest = UNKNOWN if facts.last_us is None else day(facts.last_us)
    yield f"| Latest date of data | {latest} The model does not learn while it is used. |"
    yield "| Languages | Those of the provider's customers; they are not recorded. |"
    yield ""


def _modalities(facts: Facts) -> str:
    named = {"content": "text", "service": "usage events"}
    found = dict.fromkeys(named.get(category.partition("/")[0], category) for category in facts.kept)
    return ", ".join(found) or "none"


def _size(facts: Facts) -> str:
    total = sum(facts.kept.values())
    if not total:
        return "No records."
    return (
        f"{total:,} records, not counted in tokens; under 1 billion tokens unless a record has more than "
        f"{_BILLION // total:,} on average."
    )


def _sources(facts: Facts) -> Iterator[str]:
    learned = facts.card["learned_from"]
    yield from ("## 2. List of data sources", "")
    for heading in (
        "2.1 Publicly available datasets",
        "2.2 Private non-publicly available datasets obtained from third parties",
        "2.2.1 Commercially licensed",
        "2.2.2 Other private datasets",
        "2.3 Data crawled and scraped",
    ):
        yield from (f"{'####' if heading.startswith('2.2.') else '###'} {heading}", "", _NO_OTHERS, "")
    yield from ("### 2.4 User data", "", "**From interactions with the model**: none was used as such.", "")
    yield f"**From the provider's other services**: records of {', '.join(facts.kept) or 'nothing'}, of"
    yield f"{learned['people']} people in {len(learned['accounts'])} organisations ({_modalities(facts)}), collected"
    yield f"{_period(facts)}. Each record passed a gate that asks the terms whose consent its use takes; without it, or"
    yield f"after a refusal, it was left out. Terms in force: {', '.join(facts.card['terms']) or 'none'}."
    yield from ("", "| category | read | used | left out, by reason |", "|---|---:|---:|---|")
    for category, counts in learned["rows"].items():
        reasons = ", ".join(f"{reason}: {total}" for reason, total in counts["dropped"].items()) or "none"
        yield f"| {category} | {counts['read']} | {counts['kept']} | {reasons} |"
    yield from ("", "### 2.5 Synthetic data", "", _NO_OTHERS, "")
    yield from ("### 2.6 Other sources", "")
    base = facts.card.get("base")
    yield _NO_OTHERS if base is None else f"What the base model {base['name']} was trained on: see its own summary."
    yield ""


def _period(facts: Facts) -> str:
    if facts.first_us is None or facts.last_us is None:
        return "at no time"
    return f"from {day(facts.first_us)} to {day(facts.last_us)}"


def _processing(facts: Facts) -> Iterator[str]:
    yield from ("## 3. Data processing aspects", "", "### 3.1 Reservation of rights", "")
    yield f"{NOT_APPLICABLE} Nothing was mined from public sources; each customer's own terms apply."
    yield from ("", "### 3.2 Removal of illegal content", "")
    yield "No filter for illegal content was applied to customers' own records."
    yield from ("", "### 3.3 Other information", "")
    yield "- Every record is judged anew when a training set is frozen, and again before the release."
    yield "- Names, addresses and numbers of people are scrubbed from content unless the terms say otherwise."
    yield f"- {facts.forgetting()}"
    yield f"- All of this can be checked with `volition verify`; the card's digest is `{facts.card_digest}`."
    yield ""
