"""Vocabulary: the kinds of data and the purposes that can be named, what each is called, and which data is content.

Every terms version has the names of `vocabulary.toml`, and those that it declares itself, in the same form:

    [[category]]
    name = "crm/tickets"
    words = "support tickets"
    content = true                    # the default: encrypted, scrubbed and gated as what people said and wrote is

    [[purpose]]
    name = "train/churn"
    title = "Train churn prediction"

A name is one or two lower-case segments. One with others below it ("content", "crm") is a root: it stands for all of
them, and a purpose and a category never share one. A workspace knows what any published version declares.

    >>> BUILT_IN.leaves_of_data(["service"])
    ('service/usage', 'service/telemetry', 'service/diagnostics')
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from volition.consent.terms.toml_file import FaultError, Section, at, check_words, name_lines, parse_toml, suggest
from volition.errors import InvalidInputError

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}(/[a-z0-9][a-z0-9_-]{0,31})?")
_MOST_WORDS: Final = 200
_MOST_DECLARED: Final = 100
_RESERVED: Final = frozenset({"account", "person", "signal"})
"""Roots that would be mistaken for something else in the ledger."""

_CONTENT, _SERVICE = "content", "service"  # the roots that say themselves whether what is below them is content


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A kind of data, or a root of several.

    Attributes:
        name: Its name.
        words: What it is, as words within a sentence: "support tickets".
        content: Whether it is what people said, wrote or made. A root's own says nothing.
        briefly: What a comparison of terms calls it; by default its words.
    """

    name: str
    words: str
    content: bool = True
    briefly: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a category.

        Raises:
            InvalidInputError: The name or a text is not one, or its root says otherwise whether it is content.
        """
        _check_name(self.name)
        _check_line("words", self.words)
        object.__setattr__(self, "briefly", self.briefly or self.words)
        _check_line("briefly", self.briefly)
        if root_of(self.name) in {_CONTENT, _SERVICE} and self.content != (root_of(self.name) == _CONTENT):
            what = "content" if root_of(self.name) == _CONTENT else "no content"
            raise FaultError(
                ("content",), f'all that is below "{root_of(self.name)}" is {what}. Remove the key, or name a new root.'
            )

    def to_json(self) -> dict[str, Any]:
        """Return it as the file says it, with every key."""
        return {key: getattr(self, key) for key in ("name", "words", "content", "briefly")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What data is used for, or a root of several such uses.

    Attributes:
        name: Its name.
        title: Its name on pages: "Train churn prediction".
        does: What happens with a yes, as one sentence.
        without: What is no longer there, or no longer done, with a no.
        briefly: What a comparison of terms calls it; by default its title within a sentence.
    """

    name: str
    title: str
    does: str = ""
    without: str = ""
    briefly: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a purpose.

        Raises:
            InvalidInputError: The name or a text is not one.
        """
        _check_name(self.name)
        _check_line("title", self.title)
        for key, usual in (
            ("does", f"Your data is used for this: {self.in_words}."),
            ("without", f"Your data is not used for this: {self.in_words}."),
            ("briefly", self.in_words),
        ):
            object.__setattr__(self, key, getattr(self, key) or usual)
            _check_line(key, getattr(self, key))

    @property
    def in_words(self) -> str:
        """Its title within a sentence: "training search"."""
        if self.title.startswith("Train "):
            return f"training {self.title.removeprefix('Train ')}"
        is_acronym = self.title[1:2].isupper()
        return self.title if is_acronym else self.title[0].lower() + self.title[1:]

    def to_json(self) -> dict[str, Any]:
        """Return it as the file says it, with every key."""
        return {key: getattr(self, key) for key in ("name", "title", "does", "without", "briefly")}


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What can be named: the built-in names, then declared ones in the order in which they were declared.

    Attributes:
        categories: The kinds of data, as leaves.
        purposes: What data is used for, as leaves.
        content: Those of the categories that are content.
        named: What is known of each name, of leaves and roots alike.
    """

    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    content: frozenset[str]
    named: Mapping[str, Category | Purpose]

    @classmethod
    def of(cls, declared: Iterable[Category | Purpose]) -> "Vocabulary":
        """Return the vocabulary of some declarations; of several of one name the last gives the words.

        It is content as soon as one says so.
        """
        named: dict[str, Category | Purpose] = {}
        content: set[str] = set()
        for one in declared:
            named[one.name] = one
            if isinstance(one, Category) and one.content:
                content.add(one.name)
        roots = {root_of(name) for name in named if "/" in name}
        categories = tuple(name for name, one in named.items() if isinstance(one, Category) and name not in roots)
        purposes = tuple(name for name, one in named.items() if isinstance(one, Purpose) and name not in roots)
        return cls(categories, purposes, frozenset(content & set(categories)), named)

    def joined(self, declared: Sequence[Category | Purpose]) -> "Vocabulary":
        """Return what can be named once more is declared; itself where nothing is."""
        if not declared:
            return self
        known = [
            Category(name=name, words=one.words, content=name in self.content, briefly=one.briefly)
            if isinstance(one, Category) and "/" in name
            else one
            for name, one in self.named.items()
        ]
        return Vocabulary.of([*known, *declared])

    def leaves_of_data(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the categories that names cover, in the vocabulary's order.

        Raises:
            InvalidInputError: A name covers none.
        """
        return leaves(names, self.categories)

    def leaves_of_use(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the purposes that names cover, in the vocabulary's order.

        Raises:
            InvalidInputError: A name covers none.
        """
        return leaves(names, self.purposes)

    @property
    def all_data(self) -> tuple[str, ...]:
        """The names that cover every category: roots, and what stands by itself."""
        return tuple(dict.fromkeys(map(root_of, self.categories)))

    @property
    def all_uses(self) -> tuple[str, ...]:
        """The names that cover every purpose, likewise."""
        return tuple(dict.fromkeys(map(root_of, self.purposes)))

    def category(self, name: str) -> Category:
        """Return what is known of a kind of data or a root of several; one that nobody described is called by its name.

        Raises:
            InvalidInputError: It is none.
        """
        found = self.named.get(name)
        return (
            found if isinstance(found, Category) else Category(name=name, words=name, content=root_of(name) != _SERVICE)
        )

    def purpose(self, name: str) -> Purpose:
        """Return what is known of a purpose or a root of several; one that nobody described is called by its name.

        Raises:
            InvalidInputError: It is none.
        """
        found = self.named.get(name)
        return found if isinstance(found, Purpose) else Purpose(name=name, title=name, briefly=name)

    def is_content(self, category: str) -> bool:
        """Return whether a kind of data is content; one that is not known is."""
        return category in self.content or category not in self.categories

    def to_json(self) -> dict[str, Any]:
        """Return every category and purpose with its words, and of each category whether it is content."""
        return {
            "categories": [
                {"name": name, "words": self.category(name).words, "content": self.is_content(name)}
                for name in self.categories
            ],
            "purposes": [
                {key: getattr(self.purpose(name), key) for key in ("name", "title", "does", "without")}
                for name in self.purposes
            ],
        }

    def check_category(self, name: str) -> None:
        """Refuse what is no single kind of data.

        Raises:
            InvalidInputError: It is none; the message lists them all.
        """
        if name not in self.categories:
            msg = f"{name!r} is not a single category. They are: {', '.join(self.categories)}."
            raise InvalidInputError(msg)

    def check_purpose(self, name: str) -> None:
        """Refuse what is no single purpose.

        Raises:
            InvalidInputError: It is none; the message lists them all.
        """
        if name not in self.purposes:
            msg = f"There is no purpose {name!r}. The purposes are: {', '.join(self.purposes)}."
            raise InvalidInputError(msg)

    def check_joined(self, declared: Sequence[Category | Purpose]) -> None:
        """Refuse to declare what other versions declared otherwise.

        Raises:
            InvalidInputError: What was content would be none, or a name or root is of the other kind, or was a single
                one and would be a root, or the other way round.
        """
        single = {*self.categories, *self.purposes}
        later = Vocabulary.of([*BUILT_IN.named.values(), *declared])
        for one in declared:
            for name in {one.name, root_of(one.name)}:
                others = [known for known in self.named.values() if name in {known.name, root_of(known.name)}]
                if any(type(known) is not type(one) for known in others):
                    raise InvalidInputError(
                        f'"{name}" names a {_kind(others[0])} in terms published before, and cannot name a '
                        f"{_kind(one)} now. Choose another name."
                    )
            is_single = one.name in {*later.categories, *later.purposes}
            if root_of(one.name) in single - {one.name} or (
                is_single and any(root_of(known) == one.name != known for known in single)
            ):
                raise InvalidInputError(
                    f'"{root_of(one.name)}" names a single {_kind(one)} in one version and several in another. '
                    "Choose another name."
                )
            if isinstance(one, Category) and not one.content and one.name in self.content:
                raise InvalidInputError(
                    f'"{one.name}" is content in terms published before, and stays content: what people gave as such '
                    "is kept as such. Remove content = false, or choose another name."
                )


def root_of(name: str) -> str:
    """Return the root of a name: what stands before its slash, or the name itself."""
    return name.partition("/")[0]


def covers(name: str, leaf: str) -> bool:
    """Return whether a name covers a leaf: it is the leaf, or lies above it ("service" covers "service/usage")."""
    return leaf == name or leaf.startswith(name + "/")


def leaves(names: Iterable[str], universe: Sequence[str]) -> tuple[str, ...]:
    """Return the leaves of a universe (a vocabulary's categories or purposes) that the names cover, in its order.

    Raises:
        InvalidInputError: A name covers nothing: silently, a mistyped no would refuse nothing.
    """
    return _leaves(tuple(names), tuple(universe))


@lru_cache(maxsize=4_096)  # a ledger says the same few names in most of its entries
def _leaves(names: tuple[str, ...], universe: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not any(covers(name, leaf) for leaf in universe):
            msg = f"There is no {name!r} among what can be named here. {suggest(name, names_of(universe))}"
            raise InvalidInputError(msg)
    return tuple(leaf for leaf in universe if any(covers(name, leaf) for name in names))


def names_of(universe: Sequence[str]) -> tuple[str, ...]:
    """Return what can be named in a universe of leaves: the roots, then the leaves."""
    return tuple(dict.fromkeys(root_of(leaf) for leaf in universe if "/" in leaf)) + tuple(universe)


def widened(said: frozenset[str], before: Sequence[str], after: Sequence[str]) -> frozenset[str]:
    """Return what a no reaches once more is declared: below each root all of whose leaves it named, all that is new.

    One that named all there was reaches all that is new. A yes is never widened: nobody agrees to what was not there.

    Args:
        said: The leaves that it reached.
        before: All leaves that there were.
        after: All leaves that there are now.
    """
    open_roots = {root_of(leaf) for leaf in before} - {root_of(leaf) for leaf in before if leaf not in said}
    is_all = bool(before) and said.issuperset(before)
    known = frozenset(before)
    return said | {leaf for leaf in after if leaf not in known and (is_all or root_of(leaf) in open_roots)}


def check_category(name: str, known: Sequence[str], *path: str, what: str) -> None:
    """Check a category in a file that is read before any terms are: it is one that is known, or terms could declare it.

    What is but a letter away from a known one is a slip. Whether terms declare the rest, a vocabulary says.

    Raises:
        FaultError: It is neither.
    """
    is_slip = bool(difflib.get_close_matches(name, known, n=1, cutoff=0.9))
    is_taken = name in BUILT_IN.named or root_of(name) in map(root_of, BUILT_IN.purposes)
    if is_slip or is_taken or "/" not in name or not is_name(name):
        check_words([name], known, *path, what=what)


def is_name(name: str) -> bool:
    """Return whether something could name a category or a purpose."""
    return _NAME.fullmatch(name) is not None


# --- reading -------------------------------------------------------------------------------------------------------


def read_declared(top: Section, *, is_entry: bool) -> tuple[tuple[Category, ...], tuple[Purpose, ...]]:
    """Read the tables `[[category]]` and `[[purpose]]` of a file, or of a ledger entry, where every key is there.

    Raises:
        FaultError: A key is missing or not known, or a value is not what it must be.
    """
    categories, purposes = [], []
    needed, usual = {"name", "words"}, {"content", "briefly"}
    for section in top.sections("category", needed | usual if is_entry else needed, usual):
        name = section.text("name")
        content = section.boolean("content", default=root_of(name) != _SERVICE)
        words, briefly = section.text("words"), section.optional_text("briefly") or ""
        with at(*section.path):
            categories.append(Category(name=name, words=words, content=content, briefly=briefly))
    needed, usual = {"name", "title"}, {"does", "without", "briefly"}
    for section in top.sections("purpose", needed | usual if is_entry else needed, usual):
        texts = {key: section.optional_text(key) or "" for key in ("does", "without", "briefly")}
        name, title = section.text("name"), section.text("title")
        with at(*section.path):
            purposes.append(Purpose(name=name, title=title, **texts))
    return tuple(categories), tuple(purposes)


def check_declared(categories: Sequence[Category], purposes: Sequence[Purpose]) -> None:
    """Refuse what terms cannot declare beside the built-in names.

    Raises:
        FaultError: A name is built in, stands twice, is taken by the other kind, or is a root with nothing below it.
    """
    declared: list[tuple[str, int, Category | Purpose]] = [
        *(("category", place, one) for place, one in enumerate(categories)),
        *(("purpose", place, one) for place, one in enumerate(purposes)),
    ]
    if len(declared) > _MOST_DECLARED:
        raise FaultError((), f"these terms declare {len(declared)} names; {_MOST_DECLARED} is the most.")
    seen: dict[str, str] = {root_of(name): _kind(one) for name, one in BUILT_IN.named.items()}
    single = {name for name in (*BUILT_IN.categories, *BUILT_IN.purposes) if "/" not in name}
    names: set[str] = set()
    for kind, place, one in declared:
        path, root = (kind, place, "name"), root_of(one.name)
        if one.name in BUILT_IN.named:
            raise FaultError(path, f'"{one.name}" is there already, in every version. Remove this table.')
        if one.name in names:
            raise FaultError(path, f'"{one.name}" is declared twice. Remove one.')
        if root in single:
            raise FaultError(path, f'"{root}" is a {seen[root]} by itself, and has none below it. Name another root.')
        if root in _RESERVED:
            raise FaultError(path, f'"{root}" means something else here. Name another root.')
        if seen.setdefault(root, kind) != kind:
            raise FaultError(path, f'"{root}" names a {seen[root]}. A {kind} needs a root of its own.')
        names.add(one.name)
    for place, one in enumerate(categories):
        if "/" not in one.name and not any(other.startswith(f"{one.name}/") for other in names):
            fix = f'Declare what is below it, like "{one.name}/tickets".'
            raise FaultError(("category", place, "name"), f'"{one.name}" is a root with nothing below it. {fix}')


def _kind(one: Category | Purpose) -> str:
    return "category" if isinstance(one, Category) else "purpose"


def _check_name(name: str) -> None:
    if not is_name(name):
        raise FaultError(
            ("name",),
            f'"{name}" is no name. Write one or two segments of lower-case letters, digits, "-" and "_", such as '
            '"crm/tickets" or "train/churn".',
        )


def _check_line(key: str, text: str) -> None:
    if not text.strip() or len(text) > _MOST_WORDS or not text.isprintable():
        raise FaultError((key,), f'"{key}" is one line of 1 to {_MOST_WORDS} characters.')


def _built_in() -> Vocabulary:
    data = (resources.files(__package__) / "vocabulary.toml").read_bytes()
    document = parse_toml(data, source="vocabulary.toml")
    with name_lines(document):
        categories, purposes = read_declared(
            Section(document.value, (), {"category", "purpose"}, set()), is_entry=False
        )
    return Vocabulary.of([*categories, *purposes])


BUILT_IN: Final = _built_in()
"""What every terms version can name without declaring it."""
