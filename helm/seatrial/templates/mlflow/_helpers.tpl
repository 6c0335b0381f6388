{{/* Of SQLite and of the artefacts that lie beside it. Empty = the server keeps nothing on a disk. */}}
{{- define "seatrial.mlflow.claim" -}}
{{- if eq .Values.storage.type "pvc" }}{{ include "seatrial.claim" . }}
{{- else if not .Values.mlflow.database.secretName }}{{ .Values.mlflow.claim.existing | default (printf "%s-mlflow" (include "seatrial.name" .)) }}
{{- end }}
{{- end }}

{{- define "seatrial.mlflow.artifacts" -}}
{{- if .Values.mlflow.artifactsDestination }}{{ .Values.mlflow.artifactsDestination }}
{{- else if eq .Values.storage.type "pvc" }}/seatrial/store/mlflow/artifacts
{{- else }}{{ include "seatrial.store" . | trimSuffix "/" }}/mlflow
{{- end }}
{{- end }}

{{/* MLflow refuses a Host header that it does not know, as a guard against DNS rebinding. The header has the port in it. */}}
{{- define "seatrial.mlflow.allowedHosts" -}}
{{- $service := printf "%s-mlflow" (include "seatrial.name" .) }}
{{- $hosts := list "localhost:*" "127.0.0.1:*" }}
{{- range list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) (printf "%s.%s.svc.cluster.local" $service .Release.Namespace) }}
{{- $hosts = append $hosts (printf "%s:5000" .) }}
{{- end }}
{{- concat $hosts .Values.mlflow.allowedHosts | join "," }}
{{- end }}
