"""The gate's SQL on Apache Spark: the same text, the same rows, on one machine or on many.

- `SparkEngine` is a `gate.Engine`: a bucket at a time, streamed to this process. A workspace uses it like any other.
- `permitted_frame` and `count_reasons` judge many buckets in one job and leave the rows where they are: on a cluster.

Both bind `records` and `effective_permits` with `_bound` and run `gate.permitted_sql` or `gate.reasons_sql` over them
(a broadcast or shuffle hash join), so what a test shows for the first holds for the second. Dense ids start from 0 in
each bucket, so for many buckets at once they are made unique: a record's `circle` (its party set) becomes the number of
its part in the upper 32 bits and the party set in the lower.

`docs/spark.md` explains how to run it on a cluster, and what that costs.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volition.consent.gate import EffectivePermits, permitted_sql, reason_of, reasons_sql
from volition.consent.permits import Reason
from volition.errors import BackendError, InvalidInputError, require_extra

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

JAVA: Final = 17
"""The oldest Java that Spark 4.2 starts on."""

BROADCAST_PERMITS: Final = 2_000_000
"""The most effective permits that are copied to every executor (a broadcast join). More are spread over the executors,
which sends the records over the network as well (a shuffle)."""

_INSTALL_JAVA: Final = "`apt-get install openjdk-17-jre-headless`"
_WILD: Final = re.compile(r"[][{}*?\\]")
_VERSION: Final = re.compile(r'version "(\d+)')
_BATCH_ROWS: Final = 65_536
_LOCALLY: Final = "file://"
_LOWER: Final = 0xFFFF_FFFF

_LOCAL: Final = {  # one process on this machine that nobody else can reach
    "spark.app.name": "volition",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Record files of one bucket and one category, and the effective permits that judge them.

    Attributes:
        category: The category.
        files: Where the Parquet files lie, as Spark's executors name them: paths, or addresses such as s3a://...
        effective_permits: The effective permits of the bucket's party sets for the category.
    """

    category: str
    files: Sequence[str]
    effective_permits: EffectivePermits


class PartCollector:
    """A `gate.Engine` that judges nothing: it collects what it is asked to judge, so that one job can judge it all.

    A lake that is opened with it returns no rows, and counts none.

    Attributes:
        parts: What it was asked to judge so far.
    """

    def __init__(self, category: str, *, place: Callable[[str], str] = str) -> None:
        """Begin with nothing.

        Args:
            category: The category that will be asked about.
            place: Maps this process's path of a file to the one under which Spark's executors find it.
        """
        self.parts: list[Part] = []
        self._category = category
        self._place = place

    def permitted(
        self,
        files: Sequence[str],
        effective_permits: EffectivePermits,
        *,
        derived: Sequence[str] = (),
        source: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Note the question; yield nothing."""
        del derived
        self.reasons(files, effective_permits, source=source)
        return iter(())

    def reasons(
        self, files: Sequence[str], effective_permits: EffectivePermits, *, source: str | None = None
    ) -> dict[Reason | None, int]:
        """Note the question; count nothing."""
        del source
        if files:
            placed = tuple(self._place(file) for file in files)
            self.parts.append(Part(category=self._category, files=placed, effective_permits=effective_permits))
        return {}


class SparkEngine:
    """Runs `gate.permitted_sql` and `gate.reasons_sql` over Parquet files. Implements `gate.Engine`."""

    def __init__(self, session: "SparkSession | None" = None, *, scratch: Path | None = None) -> None:
        """Make an engine.

        Args:
            session: Where the SQL runs; without one, in this process's own session, which is started when it is first
                needed, and ends with the process.
            scratch: A folder that this process and Spark's executors share, for permitted records on their way here;
                none for the system's temporary folder, which is enough if Spark runs on this machine alone.

        Raises:
            BackendError: No session is given, and pyspark or Java is missing.
            InvalidInputError: The session is a cluster's, and there is no scratch folder.
        """
        if session is None:
            check_installed()
        elif scratch is None and not session.sparkContext.master.startswith("local"):
            msg = (
                f"Spark runs on {session.sparkContext.master}: name a scratch folder that its executors share with us."
            )
            raise InvalidInputError(msg)
        self._session = session
        self._scratch = scratch

    def permitted(
        self,
        files: Sequence[str],
        effective_permits: EffectivePermits,
        *,
        derived: Sequence[str] = (),
        source: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the permitted records of one bucket as Arrow record batches, in no particular order.

        Spark writes them to the scratch folder, with all cores, and they are read from there a batch at a time, so the
        set may be larger than memory. The folder is removed once the last batch has been read.

        Args:
            files: Parquet files of records, with at least `record_id`, `circle` (the party set) and `collected_us`.
            effective_permits: The party sets' effective permits for the files' category.
            derived: Parquet files with `record_id` and `embedding`; given any, each record gets an `embedding` or null.
            source: Only the records of this meeting or channel.

        Raises:
            BackendError: Spark cannot start, cannot read a file, or the scratch folder is full.
        """
        if not files:
            return
        session = self._started()
        with tempfile.TemporaryDirectory(prefix="volition-", dir=self._scratch) as scratch:
            written = Path(scratch) / "permitted"
            with _reported(files):
                frame = permitted_frame(session, [_alone(files, effective_permits)], source=source).drop(
                    "category", "part"
                )
                if derived:
                    embeddings = _read(frame.sparkSession, derived).select("record_id", "embedding")
                    frame = frame.join(embeddings, "record_id", "left").select(*frame.columns, "embedding")
                frame.write.parquet(_LOCALLY + str(written))
            for path in sorted(written.glob("part-*.parquet")):
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(_BATCH_ROWS):
                        yield batch.replace_schema_metadata(None)

    def reasons(
        self, files: Sequence[str], effective_permits: EffectivePermits, *, source: str | None = None
    ) -> dict[Reason | None, int]:
        """Count the records of one bucket by reason; none stands for permitted.

        Raises:
            BackendError: Spark cannot start, or cannot read a file.
        """
        if not files:
            return {}
        return count_reasons(self._started(), [_alone(files, effective_permits)], source=source)

    def _started(self) -> "SparkSession":
        if self._session is None:
            self._session = own_session()
        return self._session


def _alone(files: Sequence[str], effective_permits: EffectivePermits) -> Part:
    return Part(category="", files=files, effective_permits=effective_permits)


# --- many buckets, one job -----------------------------------------------------------------------------------------


def permitted_frame(
    session: "SparkSession",
    parts: Sequence[Part],
    *,
    source: str | None = None,
    stage: str | None = None,
    broadcast: bool | None = None,
) -> "DataFrame":
    """Return the permitted records of many parts as one Spark DataFrame: the files' columns, `category` and `part`.

    Nothing runs yet (lazy evaluation). What Spark runs later is judged by the effective permits passed here, that is,
    by the permits at their instant.

    Args:
        session: Where it runs.
        parts: What to judge; `part` numbers them from 0. All are asked about one instant.
        source: Only the records of this meeting or channel.
        stage: A folder, new and readable by every executor, for the effective permits: then this process holds those of
            one part at a time, not of all. It can be removed once the frame was used. None: they travel with the job.
        broadcast: Copy the effective permits to every executor, and leave the records where they are; or shuffle both.
            None: copy up to `BROADCAST_PERMITS` of them.

    Raises:
        InvalidInputError: There are no parts, or they are asked about different instants.
        BackendError: Spark cannot read a file.
    """
    from pyspark.sql import functions  # noqa: PLC0415

    sql = permitted_sql(_instant(parts), source=source, excluded=_excludes(parts))
    with _reported(parts[0].files):
        frame = _bound(session, parts, sql, stage=stage, broadcast=broadcast)
    key = functions.col("circle")
    part = functions.shiftright(key, 32).cast("int")
    return frame.withColumn("part", part).withColumn("circle", key.bitwiseAND(functions.lit(_LOWER)).cast("int"))


def count_reasons(
    session: "SparkSession",
    parts: Sequence[Part],
    *,
    source: str | None = None,
    stage: str | None = None,
    broadcast: bool | None = None,
) -> dict[Reason | None, int]:
    """Count the records of many parts by reason, in one job; none stands for permitted.

    Args: as of `permitted_frame`.

    Raises:
        InvalidInputError: There are no parts, or they are asked about different instants.
        BackendError: Spark cannot read a file.
    """
    sql = reasons_sql(_instant(parts), source=source, excluded=_excludes(parts))
    with _reported(parts[0].files):
        found = _bound(session, parts, sql, stage=stage, broadcast=broadcast).collect()
    return {reason_of(row["reason"]): row["total"] for row in found}


def _instant(parts: Sequence[Part]) -> int:
    instants = {part.effective_permits.at_us for part in parts}
    if len(instants) != 1:
        msg = f"All parts of a job need one instant; these have {len(instants)}. Fold them from permits of one instant."
        raise InvalidInputError(msg)
    return instants.pop()


def _excludes(parts: Sequence[Part]) -> bool:
    return any(part.effective_permits.excluded for part in parts)


def _excluded(session: "SparkSession", parts: Sequence[Part]) -> "DataFrame":
    """Return the conversations that were left out, with the party sets, each under its key, whose records of it are."""
    pairs = [
        (party_set | (number << 32), source)
        for number, part in enumerate(parts)
        for source, party_set in part.effective_permits.excluded
    ]
    columns = {
        "circle": pa.array([key for key, _ in pairs], pa.int64()),
        "source": pa.array([source for _, source in pairs], pa.string()),
    }
    return session.createDataFrame(pa.table(columns)).hint("broadcast")


def _bound(
    session: "SparkSession", parts: Sequence[Part], sql: str, *, stage: str | None, broadcast: bool | None
) -> "DataFrame":
    """Plan the SQL with its names bound: `records` to the parts' files, `effective_permits` to theirs."""
    from pyspark.sql import DataFrame, functions  # noqa: PLC0415

    own = session.newSession()  # so that no other view has these names
    effective_permits = _staged(own, parts, stage) if stage is not None else _together(own, parts)
    if broadcast is None:
        broadcast = sum(len(part.effective_permits.since_us) for part in parts) <= BROADCAST_PERMITS
    effective_permits = effective_permits.hint("broadcast" if broadcast else "shuffle_hash")
    frames: list[DataFrame] = []
    schema = None
    for number, part in enumerate(parts):
        read = _read(own, part.files, schema)
        schema = read.schema  # all files of a lake have the same schema, so it is read once
        key = functions.lit(number << 32).bitwiseOR(functions.col("circle").cast("bigint"))
        frames.append(read.withColumns({"circle": key, "category": functions.lit(part.category)}))
    while len(frames) > 1:  # in pairs: Spark analyses every plan again when it grows
        frames = [reduce(DataFrame.unionAll, frames[place : place + 2]) for place in range(0, len(frames), 2)]
    effective_permits.createTempView("effective_permits")
    if _excludes(parts):
        _excluded(own, parts).createTempView("excluded")
    frames[0].createTempView("records")
    return own.sql(sql)


def _read(session: "SparkSession", files: Sequence[str], schema: "StructType | None" = None) -> "DataFrame":
    """Read exactly these files: folder names are not partition columns, and brackets in a name are literal."""
    reader = session.read if schema is None else session.read.schema(schema)
    named = (file if "://" in file else _LOCALLY + file for file in files)
    return reader.option("recursiveFileLookup", "true").parquet(*(_WILD.sub(r"\\\g<0>", name) for name in named))


def _together(session: "SparkSession", parts: Sequence[Part]) -> "DataFrame":
    """Pass all effective permits at once."""
    tables = [_table(part.effective_permits, number) for number, part in enumerate(parts)]
    return session.createDataFrame(pa.concat_tables(tables))


def _staged(session: "SparkSession", parts: Sequence[Part], stage: str) -> "DataFrame":
    """Pass the effective permits part by part, through files."""
    for number, part in enumerate(parts):
        session.createDataFrame(_table(part.effective_permits, number)).write.parquet(f"{stage}/{number:05d}")
    return session.read.parquet(*(f"{stage}/{number:05d}" for number in range(len(parts))))


def _table(effective_permits: EffectivePermits, part: int) -> pa.Table:
    """Return a part's effective permits as the table that the gate's SQL joins, each party set under its key."""
    return pa.table(
        {
            "circle": np.arange(len(effective_permits.since_us), dtype=np.int64) | (part << 32),
            "since_us": effective_permits.since_us,
            "oldest_us": effective_permits.oldest_us,
            "reason": effective_permits.reason,
        }
    )


@contextmanager
def _reported(files: Sequence[str]) -> Iterator[None]:
    """Report what Spark cannot read in one line; Java's own message is long."""
    from py4j.protocol import Py4JError  # noqa: PLC0415
    from pyspark.errors import PySparkException  # noqa: PLC0415

    try:
        yield
    except (PySparkException, Py4JError, OSError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        cause = next((line for line in lines if line.startswith(": ")), lines[0])  # after Py4J's line, if it is there
        msg = f"Spark could not read the lake's files ({files[0]} and {len(files) - 1} more): {cause.lstrip(': ')}"
        raise BackendError(msg) from error


# --- starting Spark ------------------------------------------------------------------------------------------------

_starting = threading.Lock()


def check_installed() -> None:
    """Check that pyspark and a Java that it runs on are there.

    Raises:
        BackendError: One is missing; the message says what to install.
    """
    require_extra("pyspark", "py4j", what="Spark")
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        where = f"in JAVA_HOME ({home})" if home else "here"
        msg = f"Spark needs Java {JAVA} or newer, and there is none {where}: {_INSTALL_JAVA}, or set JAVA_HOME."
        raise BackendError(msg)
    ran = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - Spark runs it, too
    version = _VERSION.search(ran.stderr)
    if version is None or int(version[1]) < JAVA:
        found = "of an unknown version" if version is None else f"Java {version[1]}"
        msg = f"Spark needs Java {JAVA} or newer, and {java} is {found}: {_INSTALL_JAVA}, or set JAVA_HOME."
        raise BackendError(msg)


def own_session(cores: int | None = None) -> "SparkSession":
    """Return the session of this process, starting one on this machine if there is none.

    A session that the process was started with (`spark-submit`) or has made before is used as it is. One that is
    started here accepts connections from this process only, and what Java prints goes to a temporary file.

    Args:
        cores: How many of the machine's cores a session that is started here may use; none for all.

    Raises:
        BackendError: pyspark or Java is missing, or Spark cannot start.
    """
    check_installed()
    from pyspark.errors import PySparkRuntimeError  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    with _starting:
        if "PYSPARK_GATEWAY_PORT" in os.environ:
            return SparkSession.builder.getOrCreate()
        with suppress(PySparkRuntimeError):  # there is none
            return SparkSession.active()
        return _start(cores)


def _start(cores: int | None) -> "SparkSession":
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    # Python functions run in processes of their own, which need what is installed here.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf(loadDefaults=False)
    conf.setMaster("local[*]" if cores is None else f"local[{cores}]").setAll(list(_LOCAL.items()))
    # Spark's own default, one gigabyte, is too little for a bucket's effective permits where there are a million of
    # them.
    quarter = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    conf.set("spark.driver.memory", f"{max(quarter >> 20, 1024)}m")
    with tempfile.TemporaryFile() as said:
        try:
            gateway = launch_gateway(conf, {"stdout": said, "stderr": said})
            SparkContext(conf=conf, gateway=gateway)
        except Exception as error:  # of any kind: Java's own message says more
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-3:]
            msg = f"Spark could not start: {error}. The last lines from Java: {' / '.join(last) or 'none'}"
            raise BackendError(msg) from error
    return SparkSession.builder.getOrCreate()
