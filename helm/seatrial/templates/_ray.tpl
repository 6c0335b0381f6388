{{/* What the Ray pods of a RayService and of a RayCluster have in common. */}}

{{/* Ray's own version: KubeRay chooses probes by it, and checks that the token is supported. */}}
{{- define "seatrial.rayVersion" -}}{{ .Values.versions.ray.ray }}{{- end }}

{{/* Start parameters. A head trains and serves nothing itself; 150 MB of object store, because data passes by as files. */}}
{{- define "seatrial.rayStartParams" -}}
num-cpus: {{ .cpus | quote }}
object-store-memory: "150000000"
{{- end }}

{{/* (dict "context" $ "component" NAME "container" "ray-head|ray-worker" "place" MAP "env" MAP "store" BOOL "token" BOOL "account" NAME "ports" LIST "gpu" MAP "keys" SECRET) */}}
{{- define "seatrial.rayPod" -}}
metadata:
  labels:
    {{- include "seatrial.selectorLabels" . | nindent 4 }}
  {{- with include "seatrial.scrapeAnnotations" (dict "context" .context "port" 8080) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  {{- include "seatrial.podFields" . | trim | nindent 2 }}
  {{- with include "seatrial.tolerations" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with (.gpu).runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  containers:
    - name: {{ .container }}
      image: {{ .context.Values.images.ray | quote }}
      imagePullPolicy: {{ .context.Values.images.pullPolicy }}
      env:
        {{- include "seatrial.rayEnv" . | trim | nindent 8 }}
      {{- if .store }}
      {{- with include "seatrial.storeEnvFrom" .context | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- end }}
      {{- with .ports }}
      ports:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- include "seatrial.rayResources" . | nindent 8 }}
      securityContext:
        {{- include "seatrial.containerSecurity" .context | nindent 8 }}
      volumeMounts:
        {{- include "seatrial.volumeMounts" . | nindent 8 }}
        {{- if .keys }}
        - name: keys
          mountPath: {{ include "seatrial.keysFolder" . }}
          readOnly: true
        {{- end }}
  volumes:
    {{- include "seatrial.volumes" . | trim | nindent 4 }}
    {{- with .keys }}
    - name: keys
      secret:
        secretName: {{ . }}
    {{- end }}
{{- end }}

{{- define "seatrial.rayEnv" -}}
- name: HOME
  value: /tmp
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
{{- with include "seatrial.trackingUri" .context }}
- name: MLFLOW_TRACKING_URI
  value: {{ . | quote }}
{{- end }}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if .store }}
{{- with include "seatrial.storeEnv" .context | trim }}
{{ trim . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "seatrial.rayResources" -}}
{{- $gpus := dict }}
{{- with .gpu }}{{ $gpus = dict .resourceName (toString .count) }}{{ end }}
requests:
  {{- toYaml (merge (dict) .place.resources.requests $gpus) | nindent 2 }}
limits:
  {{- toYaml (merge (dict) .place.resources.limits $gpus) | nindent 2 }}
{{- end }}

{{- define "seatrial.tolerations" -}}
{{- $all := (.place).tolerations | default list }}
{{- with .gpu }}{{ $all = append $all (dict "key" .resourceName "operator" "Exists" "effect" "NoSchedule") }}{{ end }}
{{- with $all }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
