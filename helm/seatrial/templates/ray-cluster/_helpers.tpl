{{/* Workers of one size. (dict "of" MAP "pod" MAP "account" NAME "gpu" MAP) */}}
{{- define "seatrial.rayGroup" -}}
replicas: {{ .of.replicas }}
minReplicas: {{ .of.minReplicas }}
maxReplicas: {{ .of.maxReplicas }}
rayStartParams:
  {{- include "seatrial.rayStartParams" (dict "cpus" .of.cores) | nindent 2 }}
template:
  {{- include "seatrial.rayPod" (merge (dict "container" "ray-worker" "place" .of "account" .account "gpu" .gpu) .pod) | nindent 2 }}
{{- end }}
