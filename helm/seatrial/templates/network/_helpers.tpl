{{/* Metadata of a policy and its pods: those of Seatrial, in this namespace, of these components (none given: all).
     Jobs are labelled by Python, so nothing here may depend on this release. (dict "context" $ "name" NAME "components" LIST "expressions" LIST) */}}
{{- define "seatrial.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "seatrial.metadata" (dict "context" .context "component" "network" "name" (printf "%s-%s" (include "seatrial.name" .context) .name)) | nindent 2 }}
spec:
  podSelector:
    {{- include "seatrial.peers" . | nindent 4 }}
{{- end }}

{{/* A label selector of Seatrial's pods. (dict "components" LIST "labels" MAP "expressions" LIST) */}}
{{- define "seatrial.peers" -}}
matchLabels:
  app.kubernetes.io/part-of: seatrial
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if or .components .expressions }}
matchExpressions:
  {{- with .components }}
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson . }}}
  {{- end }}
  {{- range .expressions }}
  - {{ toJson . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Kinds of steps, as the labels of their pods. */}}
{{- define "seatrial.jobComponents" -}}
{{ list "etl" "train" "tune" "cross-validate" "evaluate" "predict" "deploy" "pipeline" "staging" | toJson }}
{{- end }}

{{/* Whose work asks MLflow: trackers, registrars, and what loads a version. */}}
{{- define "seatrial.mlflowClients" -}}
{{ list "train" "tune" "cross-validate" "evaluate" "predict" "deploy" "pipeline" "serve" "ray-cluster" "test" | toJson }}
{{- end }}

{{- define "seatrial.tcpPorts" -}}
{{- range . }}
- {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}
