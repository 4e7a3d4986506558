"""A nightly Spark job that counts words in the messages that may be used, and in no other.

It asks no process: beside the messages lies the table of permits, which somebody keeps current, and the condition over
both was printed once. Nothing of Volition is installed on the cluster.

    volition permits export --to parquet:/srv/permits --purpose train/search --ids --follow &
    volition permits sql --dialect spark --purpose train/search --category content/chat --rows messages \
        --account-column org --person-column author --time-column sent_at --outside-conversations --json \
        | jq -r .sql > permitted.sql
    spark-submit job.py --messages /srv/messages --permits /srv/permits --condition permitted.sql --out /srv/words

Who says no is in no later run. Where nobody keeps the table any more it runs out, and the job stops: an empty result
would look as if nobody had said anything.
"""

import argparse
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

PERMITS, STATE = "volition_permits", "volition_permits_state"


def permitted(spark: SparkSession, messages: str, permits: str, condition: str) -> DataFrame:
    """Return the messages that may be used now.

    Args:
        spark: A session, of Spark or Spark Connect.
        messages: Folder of Parquet files with the columns org, author, sent_at, text.
        permits: Folder that `volition permits export --to parquet:FOLDER` keeps.
        condition: What `volition permits sql` printed.

    Raises:
        RuntimeError: The table of permits has run out.
    """
    spark.read.parquet(messages).createOrReplaceTempView("messages")
    for name in (PERMITS, STATE):
        spark.read.parquet(f"{permits}/{name}").createOrReplaceTempView(name)
    if not spark.table(STATE).where("good_until_us > unix_micros(current_timestamp())").count():
        raise RuntimeError(
            "The table of permits has run out: nobody keeps it current. Start `permits export --follow`."
        )
    return spark.table("messages").where(condition)


def count_words(messages: DataFrame) -> DataFrame:
    """Return each word of the messages, in lower case, and how often it is there."""
    words = messages.selectExpr("explode(split(lower(text), '[^a-z]+')) AS word").where("word != ''")
    return words.groupBy("word").count().orderBy("word")


def main() -> None:
    """Run the job."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("messages", "permits", "condition", "out"):
        parser.add_argument(f"--{name}", required=True)
    said = parser.parse_args()
    spark = SparkSession.builder.appName("words that may be used").getOrCreate()
    condition = Path(said.condition).read_text(encoding="utf-8")
    count_words(permitted(spark, said.messages, said.permits, condition)).write.mode("overwrite").parquet(said.out)


if __name__ == "__main__":
    main()
