# Serval: one image for the API, the workers, the reconciler and the migration; compose says which.

# Another base needs Python 3.11 to 3.14 as `python`, with venv, and Debian's useradd.
ARG BASE_IMAGE=python:3.13-slim-trixie

# The packages: exact pins, the same as on a machine without containers.
FROM ${BASE_IMAGE} AS packages
# An index that has torch and torchaudio of the pinned version. From one with CPU wheels the image is
# without the CUDA libraries, which are most of it. Empty: the wheels that pip finds anyway, with CUDA.
ARG TORCH_INDEX_URL=
ENV PIP_CACHE_DIR=/var/cache/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/serval
COPY requirements.txt /tmp/requirements.txt
# The cache keeps the wheels between builds, and out of the image.
RUN --mount=type=cache,target=/var/cache/pip \
    if [ -n "$TORCH_INDEX_URL" ]; then \
        grep -E '^torch(audio)?==' /tmp/requirements.txt > /tmp/torch.txt \
        && /opt/serval/bin/pip install --no-deps --index-url "$TORCH_INDEX_URL" \
            --requirement /tmp/torch.txt \
        && sed -i -E '/^(torch|torchaudio|triton|(nvidia|cuda)-[a-z0-9-]*)==/d' /tmp/requirements.txt; \
    fi \
    && /opt/serval/bin/pip install --requirement /tmp/requirements.txt

FROM ${BASE_IMAGE}
# uid and gid are fixed, so that a volume still fits when the image is built anew.
RUN groupadd --gid 10001 serval \
    && useradd --uid 10001 --gid serval --no-create-home --home-dir /data --shell /usr/sbin/nologin serval \
    && install --directory --owner serval --group serval --mode 0700 /data
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
    SERVAL_LOG_FORMAT=json \
    SERVAL_HOST=0.0.0.0
USER 10001:10001
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["serval"]
CMD ["serve"]
