# Substitute for apache/airflow: its user, folders, entrypoint and constraints, with Airflow from PyPI.
ARG BASE
FROM ${BASE}
RUN apt-get update \
 && apt-get install --yes --no-install-recommends dumb-init \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 50000 --gid 0 --create-home airflow \
 && install -d -o airflow -g root -m 0775 /opt/airflow /opt/airflow/dags /opt/airflow/logs /opt/airflow/plugins
ENV AIRFLOW_HOME=/opt/airflow HOME=/home/airflow PATH=/home/airflow/.local/bin:/usr/bin:/bin
COPY --chown=root:root entrypoint /entrypoint
COPY requirements.txt requirements.lock /tmp/
USER 50000:0
WORKDIR /opt/airflow
RUN python3 -m venv /home/airflow/.local \
 && pip install --no-cache-dir uv \
 && uv pip install --no-cache --constraint /tmp/requirements.lock --requirement /tmp/requirements.txt \
      apache-airflow-providers-postgres \
 && pip freeze > /home/airflow/constraints.txt
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
