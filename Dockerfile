# Two images from one file. `make images` builds both; by hand:
#     docker build --target ray   --tag seatrial-ray:0.1.0   .
#     docker build --target spark --tag seatrial-spark:0.1.0 .
# The targets ray-cloud and spark-cloud are the same two for SageMaker and Azure ML.
# They run as 1000:100 with a read-only root file system and write to /tmp alone. There is no ENTRYPOINT: KubeRay, the Spark
# driver's Job and the executors each name their own command.

# python:3.11 on Debian 12, the digest of its multi-platform index.
ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84

# ---- What builds: never part of an image -------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS builder
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
# Bytecode is compiled here, because nothing can be written beside it later: without it each start costs seconds.
ENV UV_CACHE_DIR=/var/cache/uv UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/venv
RUN uv venv --python /usr/local/bin/python "${VIRTUAL_ENV}"
WORKDIR /build

# The project as a wheel. Every code change passes through here, and only this and the image's last layer are built anew.
FROM builder AS project
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY jobs jobs
COPY spark_etl spark_etl
COPY serve serve
COPY cluster cluster
COPY cloud cloud
RUN --mount=type=cache,target=/var/cache/uv \
    uv build --quiet --wheel --build-constraint constraints.txt --out-dir /wheel \
 && uv pip install --no-deps --prefix /project /wheel/*.whl

# The engines: gigabytes that only pyproject.toml and constraints.txt change.
FROM builder AS ray-engines
ARG RAY_EXTRAS="train scoring serve registry report kubernetes"
# cpu, cu128, cu130, … as in `uv pip install --torch-backend`, or empty for what the package index has. CUDA's libraries are
# wheels, its driver is the node's.
ARG TORCH_BACKEND=cpu
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/var/cache/uv \
    for extra in ${RAY_EXTRAS}; do set -- "$@" "--extra=${extra}"; done \
 && uv pip install --requirement pyproject.toml "$@" --constraint constraints.txt ${TORCH_BACKEND:+--torch-backend "${TORCH_BACKEND}"}

FROM builder AS spark-engines
ARG SPARK_EXTRAS="etl"
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/var/cache/uv \
    for extra in ${SPARK_EXTRAS}; do set -- "$@" "--extra=${extra}"; done \
 && uv pip install --requirement pyproject.toml "$@" --constraint constraints.txt

# Hadoop's file systems for object stores: "aws" for s3://, "azure" for abfss://, both, or none (the default: aws alone is 650 MB).
FROM builder AS hadoop-jars
ARG HADOOP_CLOUD=""
# Address of a Maven repository; needed with HADOOP_CLOUD.
ARG MAVEN_MIRROR=""
COPY docker/hadoop_jars.py docker/hadoop-jars.txt ./
RUN mkdir /jars && python hadoop_jars.py --list hadoop-jars.txt --mirror "${MAVEN_MIRROR}" --target /jars ${HADOOP_CLOUD:+--cloud "${HADOOP_CLOUD}"}

# ---- What both images share --------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS base
# wget: KubeRay's readiness probe. tini: the first process where a command forks. The user needs a name, or Hadoop finds none.
# Debian keeps only the newest build of a package, so none can be named by its version.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini wget \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --gid 100 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin seatrial
# What SageMaker starts by these very names.
COPY --chmod=0755 docker/train docker/serve docker/process /usr/local/bin/
ENV PATH=/opt/venv/bin:${PATH} VIRTUAL_ENV=/opt/venv HOME=/tmp PYTHONUNBUFFERED=1
WORKDIR /opt/seatrial
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="Seatrial" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11.16-slim-bookworm"

# ---- seatrial-ray: training, evaluation, serving, MLflow, the pipeline's driver ----------------------------------------
FROM base AS ray
COPY --from=ray-engines /opt/venv /opt/venv
# How much of a node's driver a GPU pod sees. Which GPUs, its resource request says: to name them here would give every pod all.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=project /project /opt/venv
# The version-skew guard reads this label; the build ends here if it does not say what is installed.
ARG VERSIONS="{}"
RUN SEATRIAL_EXPECT_VERSIONS="${VERSIONS}" python -c "from jobs.contracts import versions; versions.check()"
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="seatrial-ray" \
      org.opencontainers.image.description="Seatrial: training, evaluation, serving and the pipeline's driver" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.seatrial.versions="${VERSIONS}"
USER 1000:100

# ---- seatrial-spark: the ETL's driver and executors --------------------------------------------------------------------
FROM base AS spark
# Java only here. The link makes its path the same on every processor.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /usr/lib/jvm/java-17-openjdk-* /opt/java \
 && /opt/java/bin/java -version
ENV JAVA_HOME=/opt/java SPARK_HOME=/opt/venv/lib/python3.11/site-packages/pyspark HADOOP_CONF_DIR=/opt/hadoop/conf
COPY --from=spark-engines /opt/venv /opt/venv
COPY --from=hadoop-jars /jars ${SPARK_HOME}/jars
COPY docker/core-site.xml /opt/hadoop/conf/core-site.xml
COPY --chmod=0755 docker/entrypoint.sh /opt/entrypoint.sh
COPY --from=project /project /opt/venv
ARG VERSIONS="{}"
RUN SEATRIAL_EXPECT_VERSIONS="${VERSIONS}" python -c "from jobs.contracts import versions; versions.check()"
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="seatrial-spark" \
      org.opencontainers.image.description="Seatrial: the driver and the executors of an ETL on Apache Spark" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.seatrial.versions="${VERSIONS}"
USER 1000:100

# ---- The same for SageMaker and Azure ML, whose own mounts (/opt/ml, /mnt/azureml) only root may write ------------------
FROM ray AS ray-cloud
# hadolint ignore=DL3002
USER 0:0

FROM spark AS spark-cloud
# hadolint ignore=DL3002
USER 0:0
