# Substitute for python: Debian's Python at the official image's path.
ARG BASE
FROM ${BASE}
RUN python3 -m venv /usr/local
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
