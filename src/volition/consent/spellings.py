"""Names as sources write them: which are nobody's, and which may be one and the same (record linkage by rule).

Nothing here knows a person. `identity` asks; this module answers from the letters alone:

- `is_nobody` and `is_nobody_id`: a placeholder ("Speaker 1", "iPhone", a telephone number, `null`) names nobody in
  particular, so it must never become one person across meetings.
- `plain`: the same name without what only typing adds: case is kept, width, invisible characters, wrapping brackets,
  emoji and chevrons go (Unicode UAX #15, NFKC).
- `sure_key`: equal for two spellings that say nothing different of a person: case, how accents are encoded, pronouns,
  "(Host)".
- `likely_keys`: one of them is shared by two spellings that may well be one person: titles, companies, "Lee, Ann",
  accents left out, "(Guest)".
- `may_be_short_for`: "Ann", "A. Lee" and "Ann M. Lee" may be Ann Lee.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PRONOUNS: Final = _words(
    "she her hers he him his they them their theirs ze zir hir xe xem ey em it its any all pronouns sie ihr "
    "er ihm elle lui il iel ella el él elles ils ela ele dela dele hen hon han zij haar hij hem"
)
_ROLES: Final = _words(
    "host co-host cohost co me you presenter organizer organiser gastgeber moderator ich moi yo ik io eu anfitrión hôte"
)
_OUTSIDE: Final = _words(
    "guest gast invité invitée invitado ospite convidado external extern externe externo ext unverified "
    "visitor contractor temp"
)
_TITLES: Final = _words(
    "dr prof professor mr mrs ms miss mx sir dame lady lord herr frau ing dipl mag rev hon honourable right "
    "dra señor señora sr sra monsieur madame mme mlle dott ir drs univ the"
)
_DEGREES: Final = _words(
    "phd ph.d md m.d msc m.sc bsc b.sc mba jd esq dds rn cpa mag ba ma dphil meng beng llm llb cissp pmp pe"
)

_NOBODY: Final = _words(
    "speaker spk spkr participant attendee caller unknown unidentified anonymous anon anonymized anonymised "
    "user guest host moderator interviewer interviewee person somebody someone nobody voice track channel "
    "unnamed none null nil undefined n/a iphone ipad ipod android galaxy macbook imac desktop laptop zoom "
    "dial-in dial-in call-in callin pstn unbekannt unbekannte unbekannter teilnehmer teilnehmerin "
    "teilnehmende sprecher sprecherin gast benutzer nutzer anrufer anonym person inconnu inconnue orateur "
    "locuteur intervenant participante invité utilisateur appelant anonyme desconocido desconocida hablante "
    "orador oradora invitado usuario anónimo interlocutor desconhecido falante convidado usuário anônimo "
    "deelnemer spreker onbekend onbekende gebruiker beller anoniem sconosciuto partecipante relatore ospite "
    "utente anonimo deltagare talare okänd okänt uczestnik mówca nieznany puhuja osallistuja tuntematon "
    "спикер участник говорящий неизвестный неизвестно аноним гость пользователь диктор 话者 話者 参加者 不明 "
    "匿名 発言者 ゲスト 说话人 发言人 参会者 未知 访客 用户 화자 참석자 참가자 익명 발언자 게스트 متحدث مجهول "
    "مشارك me myself you ich moi yo redacted hidden withheld speaker_unknown sprecher*in teilnehmer*in "
    "administrator system default nan untitled"
)
_BESIDE: Final = _words(  # words that make nobody's name with one of the words above, never by themselves
    "user users name no number phone room rooms conference meeting large small in dial call device mobile max "
    "pro plus mini air ultra note microsoft teams google meet webex former deleted member person this the a "
    "an by of via new from our - main left right first second third one two three"
)
_ROOMS: Final = re.compile(r"(?:(?:large|small|conference|meeting|board|huddle|zoom|video)\s+)+rooms?(?:\s+\S{1,4})?")
_DEVICES: Final = re.compile(
    r"(?:sm|gt|lm|cph|rmx|moto|redmi|oneplus|pixel|huawei|xiaomi|desktop|laptop|pc|win)[-_ ]?[a-z]*+\d[a-z0-9-]*+"
)
_NUMBERED: Final = re.compile(r"([^\W\d_]+(?:\*in)?)[\s_#.:-]*(?:\d{1,6}|[a-z]{1,2}\d{0,3})?")
_UUID: Final = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?")
_NO_ID: Final = _words(
    "null (null) <null> none nil undefined unknown anonymous anon anonymoususer anonymous_user anonymous-user "
    "n/a na nan (not_set) not_set notset unset missing empty guest default nobody no_user nouser "
    "unauthenticated unidentified user system false true redacted [redacted] <redacted> *** deleted hidden"
)
_NO_MAILBOX: Final = _words(
    "noreply no-reply donotreply do-not-reply unknown anonymous null none nobody guest undefined"
)

_BRACKETED: Final = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]|\{([^{}]*)\}|<([^<>]*)>")
_WRAPPED: Final = (("[", "]"), ("(", ")"), ("{", "}"), ("<", ">"), ('"', '"'), ("'", "'"), ("“", "”"), ("«", "»"))
_PRONOUN_TAIL: Final = re.compile(r"(?<![\s|,–—-])[\s|,–—-]++([^\W\d_]++(?:/[^\W\d_]++)++)\s*+$")  # noqa: RUF001
_CUTS: Final = re.compile(
    r"(?:(?<!\s)\s++)?+[|/@·•;:,_~]\s*+|(?<!\s)\s++(?:[-–—]++|from|at|of|von|bei|de|chez|via)\s++"  # noqa: RUF001
)
_OWNED: Final = re.compile(
    r"(.+?)['\u2019]?s?(?<!\s)\s++(?:iphone|ipad|macbook|phone|galaxy|laptop|android)\b.*+", re.IGNORECASE
)
_TOKEN: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # noqa: RUF001
# Letters of other scripts that look like Latin ones, as they are mixed in by accident or on purpose (Unicode UTS #39).
_LOOKALIKES: Final = str.maketrans(
    "авекмнорстухіїјѕԁɡαορνικτυ" + "øłđðþæœß",
    "abekmhopctyxiijsdgaopviktu" + "olddpaos",
)
_UMLAUTS: Final = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe", "ß": "ss"}


def plain(name: str) -> str:
    """Return a name without what only typing adds; its case stays. Empty if nothing is left.

    Wrapping brackets and quotes, chevrons and dashes before it, colons after it, emoji, invisible and directional
    characters go; full-width letters become ordinary ones (NFKC); white space becomes one blank.
    """
    text = unicodedata.normalize("NFKC", name) if not name.isascii() else name
    kept = (_kept(character) for character in text)
    text = " ".join("".join(kept).split())
    while True:
        before = text
        text = text.lstrip("> -–—•*#").rstrip(":;, -–—|").strip()  # noqa: RUF001
        for opening, closing in _WRAPPED:
            inside = text[1:-1]
            if len(text) > 2 and text[0] == opening and text[-1] == closing and not {opening, closing} & set(inside):
                text = inside.strip()
        if text == before:
            return text


def _kept(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else " "
    kind = unicodedata.category(character)
    if kind in ("Cf", "Co", "Cn", "Cs", "So", "Sk") or "\ufe00" <= character <= "\ufe0f" or character == "\u20e3":
        return ""
    return " " if kind[0] in "ZC" else character


def _fold(text: str) -> str:
    """Return a text without its case, accents composed (Unicode 3.13, D145), words one blank apart."""
    if text.isascii():
        return " ".join(text.casefold().split())
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    return " ".join(folded.split())


def is_nobody(name: str) -> bool:
    """Say whether a display name is nobody's in particular: a placeholder, a device, a number, no letters at all."""
    text = _fold(plain(name))
    if not any(map(str.isalpha, text)) or text in _NOBODY or _UUID.fullmatch(text.replace(" ", "")):
        return True
    if sum(map(str.isdigit, text)) >= 5 and not any(len(word) > 2 for word in re.findall(r"[^\W\d_]+", text)):
        return True  # a number with a few letters: "ext 4411" is longer, "x4155550100" and "1415XX" are not
    if re.fullmatch(r"[\d\s()+*#.xX-]{5,}", text) or len(text) == 1 or _ROOMS.fullmatch(text):
        return True
    if _DEVICES.fullmatch(text):
        return True
    words = re.split(r"[\s_/()\[\].,]+|(?<=\D)(?=\d)", text)
    words = [word.strip("-#:'\"") for word in words if word.strip("-#:'\"")]
    placed = [_is_placeholder(word) for word in words]
    beside = [
        bare or word in _BESIDE or word.isdigit() or len(word) == 1 for bare, word in zip(placed, words, strict=True)
    ]
    return any(placed) and all(beside)


def _is_placeholder(word: str) -> bool:
    match = _NUMBERED.fullmatch(word)
    return word in _NOBODY or (
        match is not None and match[1] in _NOBODY and len(match[1]) < len(word) and not word.isalpha()
    )


def is_nobody_id(identifier: str) -> bool:
    """Say whether an identifier or address stands for nobody: `null`, `anonymous`, zeros, the zero UUID, no-reply."""
    text = _fold(identifier).strip("\"'` ")
    if not any(map(str.isalnum, text)) or text.replace(" ", "_") in _NO_ID or text == "-1":
        return True
    mailbox, at, _ = text.partition("@")
    if at:
        return mailbox in _NO_MAILBOX
    letters = [character for character in text if character.isalnum()]
    if set(letters) == {"0"} or (_UUID.fullmatch(text) and len(set(letters)) == 1):
        return True
    tail = re.split(r"[:/|=]", text)[-1]
    return tail != text and (not tail or tail in _NO_ID)


def looks_like_address(text: str) -> bool:
    """Say whether a text is an e-mail address."""
    return re.fullmatch(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+", text) is not None


def main_address(address: str) -> str:
    """Return an address without its tag (`ann+zoom@x` is `ann@x`, RFC 5233), folded; at Gmail dots mean nothing."""
    text = _fold(plain(address)).removeprefix("mailto:")
    mailbox, _, domain = text.rpartition("@")
    mailbox = mailbox.partition("+")[0]
    if domain in ("gmail.com", "googlemail.com"):
        mailbox, domain = mailbox.replace(".", ""), "gmail.com"
    return f"{mailbox}@{domain}"


def without_marks(name: str) -> str:
    """Return a name without marks that say nothing of who it is: pronouns, and a role in the meeting."""
    text = plain(name)

    def drop(match: re.Match[str]) -> str:
        inside = next(group for group in match.groups() if group is not None)
        words = [word for word in re.split(r"[\s,/|;&.+]+", _fold(inside)) if word]
        return " " if words and all(word in _PRONOUNS or word in _ROLES for word in words) else match[0]

    text = _BRACKETED.sub(drop, text)
    tail = _PRONOUN_TAIL.search(text)
    if tail and all(_fold(word) in _PRONOUNS for word in tail[1].split("/")):
        text = text[: tail.start()]
    return plain(text) or plain(name)


def sure_key(name: str) -> str:
    """Return what two spellings share that say nothing different of a person."""
    return _fold(without_marks(name))


def likely_keys(name: str) -> frozenset[str]:
    """Return keys of a name; two names that share one may well be one person, and must both be asked."""
    keys: set[str] = set()
    for part in _parts(without_marks(name)):
        tokens = _tokens(part)
        for spelt in _spellings(tokens):
            keys.add(" ".join(spelt))
    return frozenset(keys - {""})


def _parts(text: str) -> Iterator[str]:
    """Yield what of a decorated name may be the name: all of it, without brackets, inside them, between separators."""
    yield text
    owner = _OWNED.fullmatch(text)
    if owner:
        yield owner[1]
    bare = " ".join(_BRACKETED.sub(" ", text).split())
    inside = [next(group for group in match.groups() if group is not None) for match in _BRACKETED.finditer(text)]
    for whole in (bare, *inside):
        yield whole
        cut = [part for part in _CUTS.split(whole) if part]
        if len(cut) > 1:
            yield from cut
            for first, second in pairwise(cut):
                yield f"{second} {first}"  # "Lee, Ann"
                yield f"{first} {second}"  # "ann_lee"


def _tokens(text: str) -> list[str]:
    """Return the words of a name without titles before it, and degrees, numbers and "guest" after it."""
    words = _fold(text).replace(".", " ").replace("_", " ").split()
    tokens = [token for word in words for token in _TOKEN.findall(word)]
    while len(tokens) > 1 and tokens[0] in _TITLES:
        tokens = tokens[1:]
    while len(tokens) > 1 and tokens[0] in _OUTSIDE:
        tokens = tokens[1:]
    while len(tokens) > 1 and (tokens[-1] in _DEGREES or tokens[-1] in _OUTSIDE or tokens[-1].isdigit()):
        tokens = tokens[:-1]
    return tokens


def _spellings(tokens: list[str]) -> Iterator[list[str]]:
    """Yield the words of a name as written, without accents, and with umlauts and the like written out."""
    yield tokens
    if not all(token.isascii() for token in tokens):
        yield [_bare(token) for token in tokens]
        yield [_bare("".join(_UMLAUTS.get(character, character) for character in token)) for token in tokens]


def _bare(token: str) -> str:
    decomposed = unicodedata.normalize("NFD", token)
    letters = "".join(character for character in decomposed if not unicodedata.combining(character))
    return letters.translate(_LOOKALIKES)


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name for `may_be_short_for`, without accents and decoration."""
    bare = " ".join(_BRACKETED.sub(" ", without_marks(name)).split())
    owner = _OWNED.fullmatch(bare)
    return tuple(_bare(token) for token in _tokens(owner[1] if owner else bare))


def may_be_short_for(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Say whether one name may be a shorter or longer form of the other: "Ann", "A. Lee", "Ann M. Lee", "annlee".

    Args:
        one: The words of a name, from `words_of`.
        other: Likewise.
    """
    if not one or not other:
        return False
    if "".join(one) == "".join(other):
        return True
    short, long = sorted((one, other), key=len)
    left = list(long)
    whole = 0
    for word in sorted(short, key=len, reverse=True):
        match = next((known for known in left if known == word), None)
        if match is None:
            match = next((known for known in left if min(len(known), len(word)) == 1 and known[0] == word[0]), None)
            if match is None:
                return False
        elif len(word) > 1:
            whole += 1
        left.remove(match)
    return whole > 0
