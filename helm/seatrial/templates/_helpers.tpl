{{/* Names. They do not follow the release's name, because job files name these objects. */}}
{{- define "seatrial.name" -}}{{ .Values.fullnameOverride }}{{- end }}
{{- define "seatrial.claim" -}}{{ .Values.storage.claim.existing | default (printf "%s-data" (include "seatrial.name" .)) }}{{- end }}

{{/* Labels by which objects are found: of pods too, so nothing in them may change with a version. (dict "context" $ "component" NAME) */}}
{{- define "seatrial.selectorLabels" -}}
app.kubernetes.io/name: seatrial
app.kubernetes.io/instance: {{ .context.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: seatrial
{{- end }}

{{- define "seatrial.labels" -}}
{{ include "seatrial.selectorLabels" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ .context.Chart.Name }}-{{ .context.Chart.Version }}
{{- end }}

{{/* name, namespace and labels of an object. (dict "context" $ "component" NAME "name" NAME) */}}
{{- define "seatrial.metadata" -}}
name: {{ .name }}
namespace: {{ .context.Release.Namespace }}
labels:
  {{- include "seatrial.labels" . | nindent 2 }}
{{- end }}

{{/* MLflow's address for the pods of this namespace; empty = there is none. */}}
{{- define "seatrial.trackingUri" -}}
{{- if .Values.mlflow.externalUri }}{{ .Values.mlflow.externalUri }}{{ else if .Values.mlflow.enabled }}http://{{ include "seatrial.name" . }}-mlflow:5000{{ end }}
{{- end }}

{{/* The store as job files name it. */}}
{{- define "seatrial.store" -}}
{{- if eq .Values.storage.type "pvc" }}pvc://{{ include "seatrial.claim" . }}{{ else if eq .Values.storage.type "s3" }}{{ .Values.storage.s3.uri }}{{ else }}{{ .Values.storage.azure.uri }}{{ end }}
{{- end }}
