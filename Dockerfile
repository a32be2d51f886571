# Serval: one image for the API, the workers and the reconciler; compose says which each one is.

# The packages: exact pins, the same as on a machine without containers.
FROM python:3.12-slim-bookworm AS packages
ENV PIP_CACHE_DIR=/var/cache/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/serval
COPY requirements.txt /tmp/requirements.txt
# The cache keeps 4.6 GB of torch and CUDA wheels between builds, and out of the image.
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/serval/bin/pip install --requirement /tmp/requirements.txt

FROM python:3.12-slim-bookworm
# uid and gid are fixed, so that a volume still fits when the image is built anew.
RUN groupadd --gid 10001 serval \
    && useradd --uid 10001 --gid serval --no-create-home --home-dir /data --shell /usr/sbin/nologin serval \
    && install --directory --owner serval --group serval /data
COPY --from=packages /opt/serval /opt/serval
WORKDIR /srv/serval
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY app app
COPY workers workers
COPY samples samples
# In place: the starter models are read from where they are.
RUN /opt/serval/bin/pip install --no-deps --no-build-isolation --no-cache-dir --editable . \
    && /opt/serval/bin/python -m compileall -q app models workers

ENV PATH=/opt/serval/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    SERVAL_DATA_DIR=/data \
    SERVAL_HOST=0.0.0.0
USER serval
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["serval"]
CMD ["serve"]
