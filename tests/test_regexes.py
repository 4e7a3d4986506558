"""Every regular expression of the package takes time in proportion to what it reads, whatever somebody writes.

They are found, not listed: compiled ones in every module, and those that functions make as they go. Each is run as the
package runs it (`match`, `fullmatch`, or over a whole text) on texts made from its own parts: what comes before one of
its repetitions, then that repetition again and again, then what does not fit. A text eight times as long may take three
times eight times as long, in processor time and the best of several; what takes next to nothing is not measured.
"""

import ast
import importlib
import re
import re._constants as kind
import re._parser as parser
import time
from collections import deque
from pathlib import Path

import pytest

import volition

PACKAGE = Path(volition.__file__).parent
SMALL, TIMES = 300, 8
WORST = 3 * TIMES
NOTHING_S = 0.003
ENDS = ("", "\x00")
ALWAYS = (
    " ",
    "\t",
    "\n",
    "a",
    "A",
    "1",
    ".",
    ",",
    "-",
    ":",
    "@",
    "<",
    "[",
    "(",
    "`",
    '"',
    "\\",
    "/",
    "é",
    "a ",
    "a.",
    "1,",
    "[1]",
    " ,",
)
METHODS = {"match", "fullmatch", "search", "finditer", "findall", "sub", "subn", "split"}
OPTIONAL = {"volition.records.engines.spark"}  # what an extra brings


def sources():
    return {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


SOURCES = sources()


def dotted(path):
    return ".".join(("volition", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def compiled(value, depth=0):
    """Yield the compiled expressions in a value: it, or what a tuple, list or mapping holds."""
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 3 and isinstance(value, tuple | list | frozenset | set):
        for one in value:
            yield from compiled(one, depth + 1)
    elif depth < 3 and isinstance(value, dict):
        yield from compiled(list(value.values()), depth + 1)


def found_in_modules():
    for path, text in SOURCES.items():
        if "re.compile" not in text or path.name == "__main__.py":
            continue
        try:
            module = importlib.import_module(dotted(path))
        except ModuleNotFoundError:
            continue  # an extra that is not installed
        for name, value in vars(module).items():
            for pattern in compiled(value):
                if isinstance(pattern.pattern, str):
                    uses = {use for use in re.findall(rf"\b{name}(?:\[[^]]*\])?\.(\w+)\(", text) if use in METHODS}
                    yield f"{dotted(path)}.{name}", pattern, uses


def found_in_functions():
    for path, text in SOURCES.items():
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            of, method = node.func.value, node.func.attr
            if not (isinstance(of, ast.Name) and of.id == "re" and method in METHODS and node.args):
                continue
            if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                flags = re.DOTALL if "DOTALL" in ast.unparse(node) else 0
                yield f"{dotted(path)}:{node.lineno}", re.compile(node.args[0].value, flags), {method}


def is_anchored(uses):
    return bool(uses) and uses <= {"match", "fullmatch"}


def run(pattern, uses, text):
    if is_anchored(uses):
        for use in uses:
            getattr(pattern, use)(text)
    else:
        deque(pattern.finditer(text), maxlen=0)


def sample(tree):
    """Return a short text that a part of an expression probably matches."""
    return "".join(one(op, of) for op, of in tree)


def one(op, of):
    if op is kind.LITERAL:
        return chr(of)
    if op is kind.NOT_LITERAL:
        return "a" if of != ord("a") else "b"
    if op is kind.ANY:
        return "a"
    if op is kind.IN:
        return within(of)
    if op in {kind.MAX_REPEAT, kind.MIN_REPEAT, kind.POSSESSIVE_REPEAT}:
        least, _, body = of
        return sample(body) * max(least, 1)
    if op is kind.SUBPATTERN:
        return sample(of[-1])
    if op is kind.ATOMIC_GROUP:
        return sample(of)
    if op is kind.BRANCH:
        return sample(of[1][0])
    return ""


def within(of):
    if of[0][0] is kind.NEGATE:
        return next((char for char in "a1 .-é" if not re.match(as_class(of[1:]), char)), "~")
    op, value = of[0]
    if op is kind.LITERAL:
        return chr(value)
    if op is kind.RANGE:
        return chr(value[0])
    return {kind.CATEGORY_DIGIT: "1", kind.CATEGORY_SPACE: " ", kind.CATEGORY_NOT_SPACE: "a"}.get(value, "a")


def as_class(of):
    parts = []
    for op, value in of:
        if op is kind.LITERAL:
            parts.append(re.escape(chr(value)))
        elif op is kind.RANGE:
            parts.append(f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}")
        else:
            names = {
                "DIGIT": r"\d",
                "SPACE": r"\s",
                "WORD": r"\w",
                "NOT_DIGIT": r"\D",
                "NOT_SPACE": r"\S",
                "NOT_WORD": r"\W",
            }
            parts.append(names[str(value).removeprefix("CATEGORY_")])
    return f"[{''.join(parts)}]"


def pumps(tree, before=""):
    """Yield what comes before each repetition of an expression, and what it repeats."""
    for op, of in tree:
        if op in {kind.MAX_REPEAT, kind.MIN_REPEAT, kind.POSSESSIVE_REPEAT}:
            yield before, sample(of[2]) or "a"
            yield from pumps(of[2], before)
        elif op is kind.SUBPATTERN:
            yield from pumps(of[-1], before)
        elif op is kind.ATOMIC_GROUP:
            yield from pumps(of, before)
        elif op is kind.BRANCH:
            for branch in of[1]:
                yield from pumps(branch, before)
        elif op in {kind.ASSERT, kind.ASSERT_NOT}:
            yield from pumps(of[1], before)
        before += one(op, of)


def texts(pattern):
    """Yield functions from a length to a text that may be hard for an expression."""
    own = [*pumps(parser.parse(pattern.pattern, pattern.flags))]
    befores = ["", *dict.fromkeys(before for before, _ in own)]
    repeated = dict.fromkeys([*(pump for _, pump in own), *ALWAYS])
    pairs = dict.fromkeys(
        [*own, *(("", pump) for pump in repeated), *((before, pump) for before in befores[:2] for pump in repeated)]
    )
    for before, pump in pairs:
        for end in ENDS:
            yield lambda size, b=before, p=pump, e=end: b + (p * (size // len(p) + 1))[:size] + e
        if before:
            yield lambda size, b=before, p=pump: ((b + p) * (size // len(b + p) + 1))[:size]


def seconds(pattern, uses, text, of=1):
    best = float("inf")
    for _ in range(of):
        began = time.thread_time()
        run(pattern, uses, text)
        best = min(best, time.thread_time() - began)
    return best


def grows_too_fast(pattern, uses):
    """Return a text on which an expression takes more than its length explains; none where there is none."""
    for text in texts(pattern):
        large = text(SMALL * TIMES)
        if seconds(pattern, uses, large) < NOTHING_S:
            continue
        if seconds(pattern, uses, large, 3) > WORST * seconds(pattern, uses, text(SMALL), 5):
            return large[:40]
    return None


ALL = {name: (pattern, uses) for name, pattern, uses in (*found_in_functions(),)}
for number, (name, pattern, uses) in enumerate(found_in_modules()):
    ALL[f"{name}#{number}"] = (pattern, uses)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_an_expression_takes_time_in_proportion_to_what_it_reads(name):
    pattern, uses = ALL[name]
    assert grows_too_fast(pattern, uses) is None, pattern.pattern


@pytest.mark.parametrize("pattern", [r"[ \t]+(?=\n|\Z)", r"\s+\Z", r"<v(?:\s+([^<>]*))?>", r"\S.*?(?:[.!?]+(?=\s)|$)"])
def test_one_that_does_not_is_found(pattern):
    assert grows_too_fast(re.compile(pattern, re.DOTALL), {"search"}) is not None


def test_every_module_that_compiles_one_is_looked_at():
    named = {name.rpartition(".")[0] for name in ALL}
    own = re.compile(r"^\w+(?:: Final)? = re\.compile\(\s*rf?\"", re.MULTILINE)  # texts, not bytes, of a module's own
    assert {dotted(path) for path, text in SOURCES.items() if own.search(text)} <= named | OPTIONAL
