"""Whether every command outlives a kill, a torn write, a full disk and a failing disk. `python -m bench faults`.

A library that is loaded before libc (shim.c) counts each change below a workspace: files made and written, folders,
fsync, rename, unlink, of SQLite's too. A story of commands (commands.py) is told once; then each command is run again
and again on what lay there before it, and at its n-th change

- it is killed (kill), or killed with half of that write done (tear);
- the disk is full from there on (full);
- that one change fails with EIO (fail).

Afterwards (checks.py) the workspace must open and hold all that was acknowledged before; nothing may be half there; the
command is run again, without a fault, and must lead to what an undisturbed run leads to, with nothing left lying about;
the log and a bundle of evidence must verify. A fault that a command outlives must be told as an error of a disk, with
exit code 6: never as a traceback, and never as success that is none.

Every command runs in a fork of one process that has imported everything (runner.py), so a case takes a fraction of a
second. `--only A,B` takes some commands, `--rows N` so many points of each, spread evenly. It needs a C compiler.
"""

from bench.faults.run import run

__all__ = ["run"]
