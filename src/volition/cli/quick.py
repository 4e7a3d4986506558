"""What makes a command start quickly, where a package would load much that no command uses.

LightGBM loads scikit-learn, pandas and others where they are installed, so as to take their tables and to look like
their models; that takes longer than a search. Nothing here hands it such a table, so within a command it finds none of
them. A program of somebody else's that uses this package is left as it is.
"""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

_ASKING: Final = "lightgbm.compat"  # the module in which it looks for them
_HIDDEN: Final = frozenset({"dask", "matplotlib", "pandas", "sklearn"})


class _Hiding:
    """Finds nothing, and says so for some packages while LightGBM looks for them."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Refuse to find a package; leave every other to the finders that follow."""
        del path, target
        if name in _HIDDEN and _is_loading(_ASKING):
            raise ModuleNotFoundError(f"{name} is not needed here", name=name)
        return None


def _is_loading(name: str) -> bool:
    module = sys.modules.get(name)
    return bool(module is not None and getattr(module.__spec__, "_initializing", False))


def start_quickly() -> None:
    """Let what is loaded from now on load no more than commands need. Called again, it changes nothing."""
    if _Hiding not in sys.meta_path:
        sys.meta_path.insert(0, _Hiding)


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for garbage in cycles a hundred times less often in the block, which reads records by the thousand.

    They are many and hold no cycles: looking at them took an eighth of the time.
    """
    before = gc.get_threshold()
    gc.set_threshold(100 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
