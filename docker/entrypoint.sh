#!/usr/bin/env bash
# Starts a Spark executor in a pod, in place of the script of Spark's own images: PyPI's pyspark has none.
# Spark passes "executor" as the only argument and everything else in the environment:
#     SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, …    one JVM option each
#     SPARK_DRIVER_URL, SPARK_EXECUTOR_ID, …   what the executor is told
set -euo pipefail

if [ "${1:-}" != executor ]; then
  echo "entrypoint.sh starts Spark executors: expected the argument \"executor\", got \"${1:-}\"" >&2
  exit 64
fi

options=()
for ((number = 0; ; number++)); do
  name="SPARK_JAVA_OPT_${number}"
  [ -n "${!name+set}" ] || break
  options+=("${!name}")
done

# SPARK_CLASSPATH is spark.executor.extraClassPath, which goes before Spark's own jars.
classpath="${SPARK_CLASSPATH:+${SPARK_CLASSPATH}:}${SPARK_CONF_DIR:+${SPARK_CONF_DIR}:}${HADOOP_CONF_DIR:+${HADOOP_CONF_DIR}:}${SPARK_HOME}/jars/*"

# tini waits for the Python processes that the executor starts and leaves behind.
exec tini -- "${JAVA_HOME}/bin/java" "${options[@]}" "-Xms${SPARK_EXECUTOR_MEMORY}" "-Xmx${SPARK_EXECUTOR_MEMORY}" -cp "${classpath}" \
  org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
  --driver-url "${SPARK_DRIVER_URL}" \
  --executor-id "${SPARK_EXECUTOR_ID}" \
  --cores "${SPARK_EXECUTOR_CORES}" \
  --app-id "${SPARK_APPLICATION_ID}" \
  --hostname "${SPARK_EXECUTOR_POD_IP}" \
  --resourceProfileId "${SPARK_RESOURCE_PROFILE_ID}" \
  --podName "${SPARK_EXECUTOR_POD_NAME}"
