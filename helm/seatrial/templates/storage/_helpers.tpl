{{/* "" = the cluster's default class, "-" = no class at all, which Kubernetes writes as an empty one. */}}
{{- define "seatrial.storageClass" -}}
{{- if eq . "-" }}
storageClassName: ""
{{- else if . }}
storageClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Volumes belong to the whole cluster, so the namespace is part of the name. */}}
{{- define "seatrial.volume" -}}{{ .Release.Namespace }}-{{ include "seatrial.claim" . }}{{- end }}
