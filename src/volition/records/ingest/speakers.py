"""Who says what in a transcript: its cues' texts cut into voices (speaker attribution), never past what is certain.

The first form that a file shows decides, so its cues are looked at twice:

1. Voice tags, `<v Name>text</v>` (Teams): the tag names the speaker, and colons in the text mean nothing. What stands
   outside of every tag is nobody's whom we know.
2. `Name: text` (Zoom), with any colon, and `[Name] text`. What stands before the first colon is a label. It is a
   speaker if it is a participant; or, unless it is a word such as "Note", if it comes again, is written like a name (no
   word of it begins with a small letter), is a placeholder such as "Speaker 1" or a telephone number, or if every cue
   of the file begins with a label, so that the file evidently labels all of them.
3. A name on a line of its own above the text, bare or in parentheses (Meet): only if every cue of several lines begins
   with one, and one of them comes again, is a participant or stands in parentheses.

A cue without a name is spoken by whoever spoke before it, but only where nothing hints at somebody else. Hints are a
label that cannot be read for certain as prose, a line that begins with a chevron (`>>`), a dash or a name in brackets,
a second label on the same line, and a noise such as [Applause] that stands alone. After a hint nobody knows who speaks
until the next name. A noise is nobody's words.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from volition.consent.spellings import is_nobody


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAG: Final = re.compile(r"<v(?:\.[^\s<>]*+)?+(?:\s++([^<>]*+))?+>|(</v>)")
_VOICE: Final = re.compile(r"<v(?:\.[^\s<>]*+)?+(?:\s++([^<>]*+))?+>")
_OTHER_TAG: Final = re.compile(r"</?(?:c|i|b|u|v|ruby|rt|lang)(?:\.[^\s<>]*)?(?:\s[^<>]*)?>|<[0-9:.]+>")
_OPEN_VOICE: Final = re.compile(r"<v(?:[\s.]|$)")

_COLON: Final = re.compile(r":+(?=\s|$)|[：﹕︓꞉∶]+")  # noqa: RUF001 - colons of other widths
_CLOSING: Final = {"(": ")", "[": "]", "（": "）", "【": "】"}  # noqa: RUF001 - as Japanese exports write them
_BRACKET: Final = re.compile(r"\s*[\[(（【]([^\[\]()（）【】]{1,120})[\])）】]\s*(.*)", re.DOTALL)  # noqa: RUF001
_CHEVRONS: Final = re.compile(r"(?:^|(?<=\s))(?:>{2,}|»+)\s*|^>\s+")
_DASH: Final = re.compile(r"^\s*[-–—‐―•]+(?:\s+|$)")  # noqa: RUF001 - every dash that opens a turn
_DASHED: Final = re.compile(r"(\S.{0,79}?)(?:\s[-–—]+|\s?[|>])\s+(?=\S)|([^\s「」]{1,12})「")  # noqa: RUF001
_TIGHT: Final = re.compile(r"([^\W\d_][^:/]{0,60}):(?=[^\s\d/\\:])")
_ALOUD: Final = frozenset(("crosstalk", "overlapping", "overlap"))  # several speak, so nobody knows whose words follow
_INNERMOST: Final = re.compile(r"[\[(（【][^\[\]()（）【】]*[\])）】]")  # noqa: RUF001
_SENTENCE_END: Final = re.compile(r"(?<!\S)(\S+?)([.?!…]{1,8}+)[\"')\]]*+\s++(?=\S)")
_SECOND: Final = re.compile(r"(?<=[.?!…])[\"')\]]*\s+(?=[^.?!…:]{1,80}:\s)")
_CLOCK: Final = re.compile(r"(?:[0-9]{1,2}:)?[0-9]{1,2}:[0-9]{2}(?:[.,][0-9]+)?")

_LONGEST_LABEL: Final = 200
_MOST_WORDS: Final = 5
_LONGEST_ABBREVIATION: Final = 5
_PARTICLES: Final = frozenset(
    ("al", "bin", "da", "de", "del", "den", "der", "di", "do", "dos", "du", "el", "la", "le", "of", "ter", "van", "von")
)
# English only: in another language such a label passes for a name, which is the safe mistake.
_LABELS: Final = frozenset(
    re.split(
        r",\s*",
        """a, action, action item, action items, agenda, also, and, answer, but, decision, edit, example, first,
        for example, important, link, next, note, notes, ps, q, question, quote, reminder, second, so, summary, third,
        tip, to do, todo, update, url, warning""",
    )
)
# Words by which something is prose for certain, where no word of it is written like a name.
_FUNCTION_WORDS: Final = _words(
    """i you he she it we they me him us them my your his her its our their mine this that these those there here what
    which who whom whose when where why how is am are was were be been being have has had do does did will would can
    could shall should may might must not no yes if so but or and because as than then just like let lets let's it's
    that's there's here's i'm i'll i've we're we'll you're the a an one two three some any every all each both other
    mm mhm hm hmm uh um ah oh eh er ha huh yeah yes yep nope
    another first second third last next only also now well okay ok right said says say saying think mean means want
    know see look go going got get make made about to in on at for with from by into over of out up
    ich du er sie es wir ihr der die das ein eine ist sind war und oder aber nicht auch noch nur was wie wer warum dass
    je tu il elle nous vous ils elles le la les un une des est sont et ou mais pas que qui dans pour avec sur
    yo ella nosotros el los las una es son y o pero no que en por para con lo se ha
    ik jij hij zij wij het een zijn en maar niet ook dat wat"""
)
_PROSE_WORDS: Final = _words(
    """action actions agenda answer answers bottom caveat concern concerns example examples fact goal goals idea ideas
    issue issues item items key line list main message news note notes number options part plan point points problem
    problems quick question questions reason reasons reminder result results rule rules status step steps summary
    takeaway takeaways task tasks thing things time times tip title today tomorrow topic topics update updates view
    word words side short long story case total cost date deadline owner"""
)
_NOISES: Final = _words(
    """music musik musique música applause applaus applaudissements laughter laughs laughing laugh chuckles chuckling
    giggles cheering cheers crosstalk inaudible unintelligible indistinct silence pause pauses noise noises background
    static coughs coughing cough sighs sigh sneezes clears throat gasps breathing breath ringing rings phone beep beeps
    beeping bell doorbell knocking typing clicks click audio video playing plays blank_audio foreign speech no sound
    sounds overlapping overlap intro outro jingle theme song singing hums humming whistling barking dog clapping claps
    rustling footsteps door opens closes gelächter lachen klatschen stille pause rires silence risas aplausos ruido
    音楽 拍手 笑い 笑 音乐 掌声 笑声 음악 박수 웃음 музыка аплодисменты смех bleep censored end of recording transcript
    recording stopped started audience group all soft loud upbeat dramatic gentle"""
)


@dataclass(frozen=True, slots=True)
class Voice:
    """What one voice says in a cue.

    Attributes:
        name: Who; None: whoever spoke before, "": nobody knows who.
        text: What, on one line; empty for a name alone.
        noise: Whether it is a noise and nobody's words.
    """

    name: str | None
    text: str
    noise: bool = False


def is_unclosed(text: str) -> bool:
    """Say whether a voice tag of a cue is not closed, so that nobody can tell what of it is the name."""
    return bool(_OPEN_VOICE.search(_VOICE.sub("", text)))


def voices_of(texts: Sequence[str], participants: Sequence[str]) -> list[list[Voice]]:
    """Cut each cue's text into voices.

    Args:
        texts: Text of each cue, lines joined by newlines, tags still inside.
        participants: Names of people who are known to have been there.

    Returns:
        The voices of each cue, in their order; a cue without any text has one without words.
    """
    if any(_VOICE.search(text) for text in texts):
        tagged = [list(_tagged(text)) for text in texts]
        names = {_key(name) for voices in tagged for name, _ in voices if name} | {_key(name) for name in participants}
        return [_joined(_untangled(voices, names)) for voices in tagged]
    plain = [html.unescape(_OTHER_TAG.sub("", text)) for text in texts]
    cut = _cutter(plain, {_key(name) for name in participants})
    return [_joined(cut(text)) for text in plain]


def one_line(text: str) -> str:
    """Return a text with its white space as single blanks."""
    return " ".join(text.split())


def name_key(name: str) -> str:
    """Return what is equal for two ways in which a transcript writes one name: whatever the case and the blanks."""
    return _key(name)


def _key(name: str) -> str:
    return one_line(name).casefold()


def _joined(voices: Iterator[Voice]) -> list[Voice]:
    """Put together what one voice says on several lines; a cue without anything has one voice without words."""
    found: list[Voice] = []
    for voice in voices:
        before = found[-1] if found else None
        if before and not before.noise and not voice.noise and (voice.name is None or voice.name == before.name):
            found[-1] = Voice(before.name, one_line(f"{before.text} {voice.text}"))
        else:
            found.append(Voice(voice.name, one_line(voice.text), voice.noise))
    return found or [Voice(None, "")]


# --- voice tags -----------------------------------------------------------------------------------------------------


def _tagged(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, words) of a cue of a file with voice tags; outside of a tag the name is empty."""
    name, start = "", 0
    for match in _TAG.finditer(text):
        yield name, _clean(text[start : match.start()])
        name = "" if match[2] else one_line(html.unescape(match[1] or ""))
        start = match.end()
    yield name, _clean(text[start:])


def _clean(words: str) -> str:
    return html.unescape(_OTHER_TAG.sub("", words))


def _untangled(voices: Sequence[tuple[str, str]], names: set[str]) -> Iterator[Voice]:
    """Yield the voices of a cue with tags; where a tag's words hint at somebody else, nobody knows who goes on."""
    for name, words in voices:
        if not words.strip():
            continue
        if _is_noise(words):
            yield Voice(name, words, noise=True)
            continue
        speaker = name
        for number, line in enumerate(words.split("\n")):
            label, _ = _label(line)
            another = label is not None and _key(label) in names and _key(label) != _key(name)
            if another or (number and (_CHEVRONS.match(line.strip()) or _DASH.match(line))):
                speaker = ""
            yield Voice(speaker, line)


# --- labels ---------------------------------------------------------------------------------------------------------


def _label(line: str) -> tuple[str | None, str]:
    """Return what stands before the first colon of a line, if that may be a label, and the rest of the line.

    Colons inside of brackets ("Bo Berg (00:12): yes"), in times and addresses are none.
    """
    depth = 0
    for place, character in enumerate(line[: _LONGEST_LABEL + 1]):
        if character in _CLOSING:
            depth += 1
        elif character in _CLOSING.values():
            depth = max(0, depth - 1)
        elif not depth and (match := _COLON.match(line, place)):
            label = line[:place].strip()
            return (_unwrapped(label), line[match.end() :]) if label and not _is_sentence(label) else (None, line)
    return None, line


def _unwrapped(label: str) -> str:
    """Return "SPEAKER_00" for "[SPEAKER_00]"."""
    inside = label[1:-1]
    wrapped = len(label) > 2 and _CLOSING.get(label[0]) == label[-1] and not set(inside) & set("()[]（）【】")  # noqa: RUF001
    return inside.strip() if wrapped else label


def _is_sentence(label: str) -> bool:
    """Say whether a sentence ends inside of a label, brackets aside; an abbreviation such as "Hon." ends none."""
    bare = label
    while (shorter := _INNERMOST.sub(" ", bare)) != bare:
        bare = shorter
    for match in _SENTENCE_END.finditer(bare.strip()):
        word, mark = match[1], match[2]
        if mark[0] != "." or len(word) > _LONGEST_ABBREVIATION or not word[0].isupper():
            return True
    return "?" in bare or "!" in bare


def _is_short(name: str) -> bool:
    words = name.split("(", 1)[0].split()
    return 0 < len(words) <= _MOST_WORDS and any(map(str.isalpha, name))


def _is_written_like_a_name(name: str) -> bool:
    """Say whether no word before a parenthesis begins with a small letter; scripts without case always pass."""
    words = name.split("(", 1)[0].split()
    return bool(words) and not any(word[0].islower() and word not in _PARTICLES for word in words)


def _is_long_name(name: str) -> bool:
    """Say whether a label of many words is written like a name, and no sentence with capitals."""
    words = [word.strip(".,|()") for word in name.split()]
    function_words = [word for word in words if word.casefold() in _FUNCTION_WORDS and word not in _PARTICLES]
    return any(map(str.isalpha, name)) and _is_written_like_a_name(name) and not function_words


def _is_number(name: str) -> bool:
    """Say whether a label is a telephone number, whole or masked."""
    return not any(map(str.isalpha, name.replace("x", "").replace("X", ""))) and (
        len(re.sub(r"[^0-9*xX#]", "", name)) >= 5
    )


def _is_prose(label: str) -> bool:
    """Say whether a label is prose for certain: it has a sentence's words, and none that is written like a name."""
    words = [word.strip(".,;'\"()[]–—-") for word in label.split()]  # noqa: RUF001
    words = [word for word in words if word]
    content = [word for word in words if word.casefold() not in _FUNCTION_WORDS]
    if _key(label) in _LABELS or (words and not content):
        return True
    if all(word.casefold() in _PROSE_WORDS for word in content) and content[0][0].islower():
        return True
    functions = len(words) - len(content)
    capitals = [word for word in content if not word[0].islower()]
    if not capitals or (capitals == [words[0]] and words[0].casefold() in _PROSE_WORDS):
        return functions > 0
    if words[0].casefold() in _FUNCTION_WORDS:  # "My question goes to Ann: ...", but not "The Acting Chair: ..."
        return functions > 1 and len(capitals) < len(content)
    return functions > 1 and capitals == [words[0]]  # "Alternatively we could say: ..."


def _is_noise(text: str) -> bool:
    """Say whether a text is a noise and nothing else: [Music], (applause), notes."""
    rest = text.strip()
    if not rest:
        return False
    if rest[0] in "♪♫♬":
        return True  # a song
    while rest:
        match = _BRACKET.fullmatch(rest) or re.fullmatch(r"\s*\*([^*]{1,60})\*\s*(.*)", rest, re.DOTALL)
        if match is None or not _is_noise_word(match[1]):
            return False
        rest = match[2].strip(" .♪♫♬")
    return True


def _is_noise_word(inside: str) -> bool:
    words = re.findall(r"[\w'-]+", inside.casefold())
    return not words or all(word in _NOISES for word in words)


# --- plain text -----------------------------------------------------------------------------------------------------


def _cutter(texts: Sequence[str], known: set[str]) -> Callable[[str], Iterator[Voice]]:
    """Look at the whole file once and return how a cue's text is cut into voices."""
    spoken = [text for text in texts if text.strip() and not _is_noise(text)]
    speakers = _labelled_speakers(spoken, known)
    if speakers:
        nested = _nested_labels(spoken, speakers)
        return lambda text: _cut_at_labels(text, speakers, nested)
    speakers = _heading_speakers(spoken, known)
    if speakers:
        return lambda text: _cut_at_headings(text, speakers)
    return lambda text: iter([Voice(None, text, _is_noise(text))])


def _bare(line: str) -> str:
    """Return a line without chevrons and dashes before it."""
    return _DASH.sub("", _CHEVRONS.sub("", line.strip(), count=1), count=1)


def _first_label(text: str) -> str | None:
    return _label(_bare(text.strip().split("\n", 1)[0]))[0]


def _labelled_speakers(texts: Sequence[str], known: set[str]) -> set[str]:
    """Return the speakers of `Name: text` and `[Name] text`, as keys."""
    firsts = [_first_label(text) for text in texts]
    brackets = Counter(_key(name) for text in texts if (name := _bracketed(_bare(text.strip().split("\n", 1)[0]))))
    later = {label for text in texts for line in text.split("\n")[1:] if (label := _label(_bare(line))[0])}
    counts = Counter(_key(name) for name in firsts if name)
    all_labelled = None not in firsts
    found = {name for name, count in brackets.items() if count > 1 or name in known}
    for name in filter(None, firsts):
        key = _key(name)
        if key in known or _is_number(name):
            found.add(key)
        elif key in _LABELS or not any(map(str.isalpha, name)):
            continue
        elif all_labelled or counts[key] > 1:
            if _is_short(name) or not _is_prose(name):
                found.add(key)
        elif (_is_short(name) and _is_written_like_a_name(name)) or _is_long_name(name) or is_nobody(name):
            found.add(key)
    for name in later:
        if _key(name) in known or (found and _key(name) not in _LABELS and _is_long_name(name)):
            found.add(_key(name))
    return found


def _nested_labels(texts: Sequence[str], speakers: set[str]) -> set[str]:
    """Return the labels, as keys, after which always another comes: "Team A: Bo Berg: no" is not said by a team."""
    inner: dict[str, list[bool]] = {}
    for text in texts:
        label, rest = _label(_bare(text.strip().split("\n", 1)[0]))
        if label and _key(label) in speakers:
            second, _ = _label(rest)
            named = second is not None and _key(second) not in _LABELS and _is_long_name(second)
            inner.setdefault(_key(label), []).append(named and len((second or "").split()) > 1)
    return {label for label, found in inner.items() if all(found)}


def _bracketed(line: str) -> str | None:
    """Return the name in brackets at the start of a line before some text; none for a noise, a time, or prose."""
    match = _BRACKET.fullmatch(line)
    if match is None or not match[2].strip() or _is_noise_word(match[1]) or _CLOCK.fullmatch(match[1].strip()):
        return None
    return None if _is_aside(match[1].strip()) else one_line(match[1])


def _cut_at_labels(text: str, speakers: set[str], nested: set[str]) -> Iterator[Voice]:
    """Yield the voices of a cue of a file whose cues are labelled."""
    if _is_noise(text):
        yield Voice("", text, noise=True)
        return
    lines = text.strip().split("\n")
    for number, line in enumerate(lines):
        if number + 1 < len(lines) and _is_name_alone(line, speakers):
            yield Voice(one_line(line) if _key(line) in speakers else "", "" if _key(line) in speakers else line)
            continue
        start = 0
        marks = [match for match in _CHEVRONS.finditer(line) if match.end() > match.start()]
        for mark in marks:
            if line[start : mark.start()].strip():
                yield from _line_voices(line[start : mark.start()], speakers, nested, changed=start > 0)
            start = mark.end()
        yield from _line_voices(line[start:], speakers, nested, changed=bool(marks))


def _is_name_alone(line: str, speakers: set[str]) -> bool:
    """Say whether a line above others is a name and nothing else: of one word only that of a known speaker."""
    words = line.split()
    return _key(line) in speakers or (len(words) > 1 and _heading(line) is not None and _is_long_name(line))


def _line_voices(line: str, speakers: set[str], nested: set[str], *, changed: bool) -> Iterator[Voice]:
    """Yield the voices of a line; `changed` says that a chevron before it hints at somebody else."""
    bare = _DASH.sub("", line.strip(), count=1)
    changed = changed or bare != line.strip()
    if (match := _BRACKET.fullmatch(bare)) and _CLOCK.fullmatch(match[1].strip()):
        bare = match[2]  # a time before the words hints at nobody
    label, rest = _label(bare)
    if label is not None and _key(label) in speakers:
        second, _ = _label(rest)
        again = second is not None and _key(second) in speakers and _key(second) != _key(label)
        name = "" if again or _key(label) in nested else one_line(label)
        if _is_noise(rest):
            yield Voice(name, "")
            yield Voice(name, rest, noise=True)
            return
        pieces = _at_second_label(bare if name == "" else rest, speakers)
        yield Voice(name, pieces[0])
        yield from (Voice("", piece) for piece in pieces[1:])
        return
    if label is None and (match := _BRACKET.fullmatch(bare)) and _key(match[1]) in speakers:
        yield Voice(one_line(match[1]), match[2])
        return
    pieces = _at_second_label(bare, speakers)
    yield Voice("" if changed or _hints_at_somebody(bare, label, speakers) else None, pieces[0])
    yield from (Voice("", piece) for piece in pieces[1:])


def _hints_at_somebody(line: str, label: str | None, speakers: set[str]) -> bool:
    """Say whether a line that names no speaker whom we know begins with what may be somebody's name."""
    if label is not None:
        return not _is_prose(label)
    if match := _BRACKET.fullmatch(line):
        inside = match[1].strip()
        if _is_noise_word(inside):
            return bool(_ALOUD & set(inside.casefold().split()))
        return not (_CLOCK.fullmatch(inside) or _is_aside(inside))
    if match := _DASHED.match(line):
        before = match[1] or match[2]
        if line[match.end() :].casefold().startswith(before.casefold()):
            return False  # "Th - there is": somebody begins again
        return _is_written_like_a_name(before) and not _is_prose(before) and not _is_sentence(before)
    if match := _TIGHT.match(line):
        return _key(match[1]) in speakers or (_is_long_name(match[1]) and _key(match[1]) not in _LABELS)
    return False


def _at_second_label(text: str, speakers: set[str]) -> list[str]:
    """Cut a line where a sentence ends and the label of another speaker follows: "Shall we? Bo Berg: No."."""
    for match in _SECOND.finditer(text):
        label = _label(text[match.end() :])[0]
        if label and _key(label) in speakers:
            return [text[: match.start()], text[match.end() :]]
    return [text]


def _is_aside(inside: str) -> bool:
    """Say whether brackets hold for certain no name: small letters, and words of prose or of manner ("whispering")."""
    words = inside.split()
    return (
        inside.endswith((".", "?", "!"))
        or _is_prose(inside)
        or all(word[0].islower() and word.endswith(("ing", "ly", "s")) for word in words)
    )


# --- names on lines of their own ------------------------------------------------------------------------------------


def _heading_speakers(texts: Sequence[str], known: set[str]) -> set[str]:
    """Return the speakers of names on their own lines, as keys; empty if the file is not written so."""
    firsts = [text.strip().split("\n", 1)[0] for text in texts if "\n" in text.strip()]
    names = [_heading(line) for line in firsts]
    if not names or not all(names):
        return set()
    counts = Counter(_key(name) for name in names if name)
    wrapped = all(_BRACKET.fullmatch(line) for line in firsts)
    evident = wrapped or any(count > 1 or name in known for name, count in counts.items())
    return set(counts) if evident else set()


def _heading(line: str) -> str | None:
    """Return the name that a line is, if it may be one and nothing else."""
    name = _unwrapped(one_line(line))
    if is_nobody(name) and any(map(str.isalnum, name)):
        return name
    written = _is_short(name) and _is_written_like_a_name(name) and name[-1] not in ".?!,;:"
    return name if written and not _is_noise_word(name) else None


def _cut_at_headings(text: str, speakers: set[str]) -> Iterator[Voice]:
    """Yield the voices of a cue of a file in which names stand on lines of their own."""
    if _is_noise(text):
        yield Voice("", text, noise=True)
        return
    lines = text.strip().split("\n")
    for number, line in enumerate(lines):
        bare = line.strip()
        name = _unwrapped(one_line(bare))
        wrapped = name != one_line(bare)
        if bare and (_key(name) in speakers or (wrapped and number and _heading(bare))):
            yield Voice(name, "")
        elif _DASH.fullmatch(line) or _DASH.match(bare) or _CHEVRONS.match(bare):
            yield Voice("", _bare(bare))
        elif bare:
            yield Voice("" if _hints_at_somebody(bare, _label(bare)[0], speakers) else None, bare)
