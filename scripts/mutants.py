"""Do the tests notice? Changes the heart of Volition in one place at a time and counts the changes that no test saw.

    python scripts/mutants.py                    # every group, every mutant; goes on where it was stopped
    python scripts/mutants.py permits gate       # these groups alone
    python scripts/mutants.py --sample 150       # of each group 150 mutants, drawn by a seed
    python scripts/mutants.py --again            # those once more that survived: after tests were added
    python scripts/mutants.py --quick            # without the tests that take seconds, and time-outs as they come
    python scripts/mutants.py --figures          # only the figures so far, and what nobody has explained

Mutation testing, by mutmut, in one process. A group is some modules and the quick tests that watch over them; of these
mutmut runs, for each mutant, those that reach the changed function, the shortest first, until one fails. What has been
tried stands in `.mutants/`, and is tried anew when the function changes.

A survivor that behaves like the original has a line in `tests/mutants/equal.toml` that says why. The others are
printed: they want a test. The figures go into `docs/mutants.md` once every group has some.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from math import sqrt
from pathlib import Path
from typing import Final

from mutmut import configuration
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

PROJECT: Final = Path(__file__).resolve().parent.parent
EXPLAINED: Final = PROJECT / "tests" / "mutants" / "equal.toml"
PAGE: Final = PROJECT / "docs" / "mutants.md"
SEED: Final = 14
LONGEST_S: Final = 900
VERDICTS: Final = {0: "survived", 1: "killed", None: "no end"}

QUIET: Final = {"HYPOTHESIS_PROFILE": "mutants", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
GROUPS: Final = tomllib.loads((PROJECT / "tests" / "mutants" / "groups.toml").read_text(encoding="utf-8"))

SETTINGS: Final = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = {modules}
pytest_add_cli_args = ["-m", "not slow", "-k", "{quick}"]
pytest_add_cli_args_test_selection = {tests}
also_copy = ["docs", "bench"]
do_not_mutate_patterns = ['raise \\w+\\(', '\\bcast\\(', 'TypeVar\\('] # the words of messages, and what only mypy reads
timeout_multiplier = 8.0
timeout_constant = 20.0
track_dependencies = false
use_git_change_detection = false
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change, and what became of it.

    Attributes:
        name: As mutmut knows it.
        path: The module's file.
        function: Dotted name of the changed function or method.
        status: As mutmut says: "killed", "survived", "timeout", "no tests", "not checked".
        change: The lines taken out ("- ...") and put in ("+ ..."), of a survivor.
    """

    name: str
    path: Path
    function: str
    status: str
    change: tuple[str, ...] = ()

    @property
    def survived(self) -> bool:
        """Whether no test failed: none saw it, or none went there."""
        return self.status in {"survived", "no tests"}


def prepare(group: str) -> None:
    """Go into a group's folder, and write its mutants there beside what they need."""
    folder = PROJECT / ".mutants" / group
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("src", "tests", "docs", "bench"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(PROJECT / name)
    settings = SETTINGS.format(
        modules=[f"src/volition/{one}" for one in GROUPS[group]["modules"]],
        tests=[f"tests/{one}" for one in GROUPS[group]["tests"]],
        quick=f"not ({GROUPS[group]['long']})" if "long" in GROUPS[group] else "",
    )
    (folder / "pyproject.toml").write_text((PROJECT / "pyproject.toml").read_text() + settings)
    os.chdir(folder)
    configuration.reset_config()
    Path("mutants").mkdir(exist_ok=True)
    with redirect_stdout(StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(1)


def mutants() -> Iterator[Mutant]:
    """Yield the mutants of the group in whose folder we are, in order."""
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            status = status_by_exit_code[code]
            function, owner = orig_function_and_class_names_from_key(name)
            dotted = ".".join(filter(None, [name.rpartition(".")[0], owner, function]))
            change: list[str] = []
            if status in {"survived", "no tests"}:
                lines = get_diff_for_mutant(name, path=path).splitlines()[2:]
                change = [f"{line[0]} {line[1:].strip()}" for line in lines if line[0] in "-+"]
            yield Mutant(name=name, path=path, function=dotted, status=status, change=tuple(change))


def drawn(found: Sequence[Mutant], sample: int | None) -> list[Mutant]:
    """Return the mutants to try: all, or some drawn by the seed; a larger sample has the smaller one in it."""
    order = list(found)
    random.Random(SEED).shuffle(order)  # noqa: S311 - a sample, not a secret
    return order[:sample]


def try_out(group: str, *, sample: int | None, again: bool, quick: bool) -> None:
    """Let mutmut try those mutants of a group that have not been tried, or also those that survived unexplained."""
    explained = Explanations.read()
    for last in (False, True):  # twice, since mutmut forgets what it has tried when a group's tests are others
        waiting = [
            one
            for one in drawn(list(mutants()), sample)
            if one.status == "not checked" or (again and not last and one.survived and not explained.cover(one))
        ]
        print(f"{group}: {len(waiting)} to try", flush=True)
        if not waiting:
            break
        command = [Path(sys.executable).parent / "mutmut", "run", "--max-children", "1"]
        done = subprocess.run([*command, *(one.name for one in waiting)], env=os.environ | QUIET, check=False)
        if done.returncode:
            sys.exit(f"{group}: mutmut stopped. Started again, it goes on where it was.")
    if not quick:
        try_long(group)


def try_long(group: str) -> None:
    """Let all tests try what survived the quick ones and nobody has explained, and the quick ones what took too long.

    On a busy machine a test may run out of its time for no other reason, which shows nothing of the change.
    """
    explained = Explanations.read()
    survivors = [one for one in mutants() if one.survived and not explained.cover(one)]
    left = [*survivors, *(one for one in mutants() if one.status == "timeout")]
    tests = [f"tests/{one}" for one in [*GROUPS[group]["tests"], *GROUPS[group].get("more", [])]]
    for number, one in enumerate(left, start=1):
        which = [] if one.survived else ["-m", "not slow"]
        command = [sys.executable, "-m", "pytest", "-qx", *which, *tests]
        env = os.environ | QUIET | {"MUTANT_UNDER_TEST": one.name, "PYTHONPATH": "src"}
        try:
            code = subprocess.run(
                command, cwd="mutants", env=env, check=False, capture_output=True, timeout=LONGEST_S
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        print(f"{group}: {number} of {len(left)} in the end: {VERDICTS.get(code, code)}", flush=True)
        if code in {0, 1}:
            data = SourceFileMutationData(path=one.path)
            data.load()
            data.exit_code_by_key[one.name] = code
            data.save()


@dataclass(frozen=True, slots=True)
class Explanations:
    """What `equal.toml` says: which changes no test can see.

    Attributes:
        changes: By function and change.
        kinds: Patterns; a change inside what one matches is explained wherever it is.
    """

    changes: frozenset[tuple[str, tuple[str, ...]]]
    kinds: tuple[re.Pattern[str], ...]

    @classmethod
    def read(cls) -> "Explanations":
        """Read the file."""
        told = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))
        changes = {(one["function"], tuple(change)) for one in told["equal"] for change in one["changes"]}
        return cls(frozenset(changes), tuple(re.compile(one["pattern"]) for one in told["kind"]))

    def cover(self, mutant: Mutant) -> bool:
        """Return whether a survivor is explained."""
        if (mutant.function, mutant.change) in self.changes:
            return True
        before, after = (" ".join(line[2:] for line in mutant.change if line[0] == sign) for sign in "-+")
        return any(kind.sub("", before) == kind.sub("", after) for kind in self.kinds)


def figures(group: str, found: Sequence[Mutant], explained: Explanations) -> str:
    """Return a group's line of the table, and print the survivors that nobody has explained."""
    tried = [one for one in found if one.status != "not checked"]
    counts = Counter(one.status for one in tried)
    survivors = [one for one in tried if one.survived]
    unexplained = [one for one in survivors if not explained.cover(one)]
    for one in unexplained:
        print(
            f'\n[[equal]] # {one.status}\nfunction = "{one.function}"\nchanges = [{json.dumps(one.change)}]\nwhy = ""'
        )
    equal = len(survivors) - len(unexplained)
    noticed, able = counts["killed"] + counts["timeout"], len(tried) - equal
    share = f"{noticed / able:.1%}" if able else "not tried"
    if able and len(tried) < len(found):
        low, high = interval(noticed, able)
        share += f" ({low:.1%} to {high:.1%})"
    for function, change in sorted(explained.changes - {(one.function, one.change) for one in survivors}):
        if any(one.function == function for one in tried):
            print(f"\n{function}: explained, but there is no such survivor: {json.dumps(change)}")
    return (
        f"| {group} | {len(found)} | {len(tried)} | {counts['killed']} | {counts['timeout']} | {equal}"
        f" | {len(unexplained)} | {share} |"
    )


def interval(hits: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    z, share = 1.96, hits / total
    middle, half = share + z * z / (2 * total), z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return tuple((middle + sign * half) / (1 + z * z / total) for sign in (-1, 1))


def main() -> None:
    """Try, count, print."""
    parser = argparse.ArgumentParser(description="Do the tests notice? See the head of this file.")
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], help="groups of modules; all by default")
    parser.add_argument("--sample", type=int, help="how many mutants of each group, drawn by a seed")
    parser.add_argument("--again", action="store_true", help="those that survived, too")
    parser.add_argument("--quick", action="store_true", help="leave the long tests out, and believe time-outs")
    parser.add_argument("--figures", action="store_true", help="try nothing, print the figures")
    asked = parser.parse_args()
    table = []
    for group in asked.groups or GROUPS:
        prepare(group)
        if not asked.figures:
            try_out(group, sample=asked.sample, again=asked.again, quick=asked.quick)
        table.append(figures(group, list(mutants()), Explanations.read()))
    head = "| group | changes | tried | killed | time-outs | equal | unexplained | noticed |\n|---|" + "---:|" * 7
    figures_of_all = "\n".join([head, *table])
    print(f"\n{figures_of_all}")
    if not asked.groups:
        before, start, rest = PAGE.read_text(encoding="utf-8").partition("<!-- figures -->\n")
        end = "<!-- end of figures -->"
        PAGE.write_text(f"{before}{start}\n{figures_of_all}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
