# Stands in for python: Debian's Python where the official image has its own.
ARG BASE
FROM ${BASE}
RUN python3 -m venv /usr/local
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
