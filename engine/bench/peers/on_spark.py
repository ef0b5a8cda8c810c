"""The shapes shuffle and wordcount on Spark, in local mode, by data frames: all work is done
in the JVM. Rows, words and checksums are those of rows.go and words.go."""

import os
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clock import median_of
from tasks import MASK

# Before the clock runs, one of WARM parts of the work is done, as bench does; WARMS times, so
# that the JVM has compiled what it runs.
WARM, WARMS = 20, 3
PAD = 84  # bytes of a row besides its two numbers


def run(job):
    # Numbers are of 64 bits and wrap around, which "ansi" would refuse.
    with tempfile.TemporaryDirectory() as directory:
        spark = (
            SparkSession.builder.master(f"local[{job.workers}]").appName("yarnd-peers")
            .config("spark.driver.memory", os.environ.get("SPARK_MEMORY", "4g"))
            .config("spark.local.dir", directory).config("spark.sql.warehouse.dir", directory)
            .config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.ansi.enabled", "false")
            .config("spark.sql.shuffle.partitions", job.tasks // 2)
            .getOrCreate()
        )
        spark.sparkContext.setLogLevel("ERROR")
        try:
            return {"shuffle": shuffle, "wordcount": wordcount}[job.shape](spark, job)
        finally:
            spark.stop()


def splitmix64(x):
    def long(v):  # as a signed number
        return F.lit(v - (1 << 64) if v >> 63 else v)

    z = x + long(0x9E3779B97F4A7C15)
    z = z.bitwiseXOR(F.shiftrightunsigned(z, 30)) * long(0xBF58476D1CE4E5B9)
    z = z.bitwiseXOR(F.shiftrightunsigned(z, 27)) * long(0x94D049BB133111EB)
    return z.bitwiseXOR(F.shiftrightunsigned(z, 31))


def shuffle(spark, job):
    def whole(rows):
        made = spark.range(0, rows, 1, job.tasks - job.tasks // 2).select(
            splitmix64(F.col("id")).alias("key"), "id",
            F.expr(f"repeat(char(cast(65 + id % 26 as int)), {PAD})").alias("pad"))
        moved = made.repartition(job.tasks // 2, "key").sortWithinPartitions("key")
        share = splitmix64(F.col("key") + F.col("id") + F.ascii(F.substring("pad", PAD, 1)) + F.length("pad"))
        # first depends on the order, so that the sort is not left out.
        got = moved.agg(F.sum(share), F.count("*"), F.first("key"))
        plan = got._jdf.queryExecution().toString()
        physical = plan[plan.index("== Physical Plan =="):]
        if "Sort [key" not in physical or "Exchange hashpartitioning(key" not in physical:
            raise RuntimeError(f"Spark does not sort the rows:\n{physical}")
        return got.collect()[0]

    for _ in range(WARMS):
        whole(max(1, job.rows // WARM))
    took, (total, count, _) = median_of(job.repeats, lambda: whole(job.rows))
    if count != job.rows:
        raise RuntimeError(f"{count} of {job.rows} rows came")
    return {**took, "records": {"count": count, "bytes": job.rows * 100}, "checksum": f"{total & MASK:016x}"}


def wordcount(spark, job):
    size = os.path.getsize(job.input)
    # As many tasks as bench has.
    spark.conf.set("spark.sql.files.maxPartitionBytes", -(-size // (job.tasks - job.tasks // 2)))
    spark.conf.set("spark.sql.files.openCostInBytes", 0)

    def whole(lines):
        words = lines.select(F.explode(F.split("value", " ")).alias("word")).where("word != ''")
        share = splitmix64(F.shiftleft(F.crc32(F.col("word").cast("binary")), 32) + F.col("n"))
        return words.groupBy("word").agg(F.count("*").alias("n")).agg(F.sum(share), F.sum("n")).collect()[0]

    with tempfile.NamedTemporaryFile("wb") as part, open(job.input, "rb") as f:
        part.write(f.read(size // WARM))
        part.flush()
        for _ in range(WARMS):
            whole(spark.read.text(part.name))
    took, (total, count) = median_of(job.repeats, lambda: whole(spark.read.text(job.input)))
    return {**took, "records": {"count": count, "bytes": size}, "checksum": f"{total & MASK:016x}"}
