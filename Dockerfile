# Two images from one checkout: `airflow` (the workers' environment) and `emulator` (the local AWS, with the runtime of
# Glue jobs, which run as its processes). Both lay the checkout out as on a laptop, and both are installed by the
# laptop's own installer from the same lock files. docker-compose.yaml says what runs in them.

# any Debian with Python 3.11, its venv and pip: the interpreter of the environments is this image's own
ARG LAKE_PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${LAKE_PYTHON_IMAGE} AS installer
WORKDIR /opt/eventlake
# compiled here once, because whoever runs the image may not write into it
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
COPY scripts/bootstrap.py scripts/
# once, for the two stages below
RUN cd scripts && python -c "import bootstrap; bootstrap.install_uv(bootstrap.find_pythons())"

FROM installer AS workers-environment
COPY requirements/workers.txt requirements/
RUN python scripts/bootstrap.py --with workers

FROM installer AS emulator-environment
COPY requirements/emulator.txt requirements/jobs.txt requirements/
RUN python scripts/bootstrap.py --with emulator,jobs
COPY scripts/fetch_jars.py scripts/
RUN .venvs/jobs/bin/python scripts/fetch_jars.py .cache/jars
# what is left of the installation: the jobs' own Java, and, with the emulator, the archive of Spark's classes
COPY include/glue_jobs/line_reader include/glue_jobs/line_reader
COPY scripts/package.py scripts/compile_line_reader.py scripts/
COPY emulator emulator
RUN python scripts/bootstrap.py --with emulator,jobs,jars

FROM ${LAKE_PYTHON_IMAGE} AS runtime
RUN groupadd --gid 50000 lake && useradd --uid 50000 --gid lake --create-home lake
WORKDIR /opt/eventlake
ENV PYTHONUNBUFFERED=1

FROM runtime AS airflow
# named volumes take their owner from these folders
RUN install -d -o lake -g lake /var/lib/eventlake /var/lib/eventlake/airflow /var/lib/eventlake/airflow/logs \
 && install -d -o lake -g lake -m 0750 /var/lib/eventlake/secrets
COPY --from=workers-environment /opt/eventlake/.venvs/workers .venvs/workers
COPY plugins plugins
COPY include include
COPY dags dags
COPY scripts scripts
# what a deployment uploads beside them
COPY --from=emulator-environment /opt/eventlake/.cache/line_reader .cache/line_reader
# whatever the checkout's own permissions are
RUN chmod -R a+rX plugins include dags scripts .cache
ENV PATH=/opt/eventlake/.venvs/workers/bin:$PATH PYTHONPATH=/opt/eventlake/plugins:/opt/eventlake/scripts
USER lake
ENTRYPOINT ["python", "-m", "composed.run_airflow"]
CMD ["airflow", "version"]

FROM runtime AS emulator
RUN install -d -o lake -g lake /var/lib/eventlake /var/lib/eventlake/emulator
COPY --from=emulator-environment /opt/eventlake/.venvs/jobs .venvs/jobs
COPY --from=emulator-environment /opt/eventlake/.venvs/emulator .venvs/emulator
COPY --from=emulator-environment /opt/eventlake/.cache/jars .cache/jars
COPY emulator emulator
RUN chmod -R a+rX emulator
ENV PATH=/opt/eventlake/.venvs/emulator/bin:$PATH \
    BIND_HOST=0.0.0.0 \
    GATEWAY_PORT=4566 \
    STATE_DIR=/var/lib/eventlake/emulator/state \
    S3_DATA_DIR=/var/lib/eventlake/emulator/s3 \
    EMULATOR_JOBS_PYTHON=/opt/eventlake/.venvs/jobs/bin/python \
    EMULATOR_JOBS_JARS=/opt/eventlake/.cache/jars
USER lake
CMD ["python", "-m", "emulator"]
