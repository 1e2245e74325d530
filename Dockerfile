# The service and all that it runs on. Which torch goes in decides what it can run on:
#   docker build .                                  CUDA, and the CPU too: the registry's own torch, about 5 GB
#   docker build --build-arg TORCH_INDEX_URL=URL .  CPU only, a fraction of that: URL of PyTorch's own index for CPU builds
# BASE_IMAGE may be any image with Python 3.11 or newer and its venv module.
ARG BASE_IMAGE
FROM ${BASE_IMAGE:-python:3.12-slim-bookworm} AS base

FROM base AS build
ARG PIP_INDEX_URL=
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/build.txt /requirements/
RUN python3 -m venv /opt/venv && pip install -r /requirements/build.txt

FROM build AS dependencies
ARG TORCH_INDEX_URL=
COPY requirements/torch.txt /requirements/
RUN pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} -r /requirements/torch.txt
COPY requirements/runtime.txt /requirements/
# sam2 comes as source whose build needs the torch that is there.
RUN SAM2_BUILD_CUDA=0 pip install --no-build-isolation -r /requirements/runtime.txt

FROM build AS package
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY backend backend
RUN pip install --no-deps --no-build-isolation --prefix /package .

FROM base
RUN useradd --uid 1000 --user-group --create-home annotator \
    && install --directory --owner=annotator --group=annotator /model_cache
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /package /opt/venv
# Idle OpenMP threads sleep: spinning, they would take the cores from the requests beside them.
ENV PATH=/opt/venv/bin:$PATH MODEL_CACHE=/model_cache PORT=9090 OMP_WAIT_POLICY=PASSIVE
USER 1000:1000
WORKDIR /home/annotator
VOLUME /model_cache
EXPOSE 9090
# Ready comes after the checkpoint's download, which the start period leaves time for. No proxy is asked for 127.0.0.1.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; probe = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); probe.request('GET', '/ready'); sys.exit(probe.getresponse().status != 200)"]
ENTRYPOINT ["label-studio-sam2"]
CMD ["serve"]
