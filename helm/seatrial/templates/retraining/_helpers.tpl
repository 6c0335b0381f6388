{{/* A key of a ConfigMap has no folders, so each file's number keeps equal names apart: path -> key. */}}
{{- define "seatrial.retraining.keys" -}}
{{- range $index, $path := keys .Values.retraining.code | sortAlpha }}
{{ $path | quote }}: {{ printf "%04d-%s" $index (base $path) }}
{{- end }}
{{- end }}

{{/* What the job file's targets.kubernetes needs to know of this installation, as --set takes it. */}}
{{- define "seatrial.retraining.overrides" -}}
{{- $target := dict "namespace" .Release.Namespace "store" (include "seatrial.store" .) "images.ray" .Values.images.ray "images.spark" .Values.images.spark "images.pull_policy" .Values.images.pullPolicy "service_account" .Values.serviceAccounts.jobs.name "spark_service_account" .Values.serviceAccounts.spark.name "service" (printf "%s-serve-svc" (include "seatrial.name" .)) }}
{{- with include "seatrial.trackingUri" . }}{{ $_ := set $target "tracking_uri" . }}{{ end }}
{{- with .Values.queue }}{{ $_ := set $target "queue" . }}{{ end }}
{{- with .Values.images.pullSecrets }}{{ $_ := set $target "images.pull_secrets" (toJson .) }}{{ end }}
{{- range $name, $value := $target }}
- {{ printf "targets.kubernetes.%s=%s" $name $value | quote }}
{{- end }}
{{- range .Values.retraining.set }}
- {{ . | quote }}
{{- end }}
{{- end }}
