{{/* What Pod Security's strictest profile, `restricted`, asks of a pod and of a container, and a read-only root beyond it. */}}
{{- define "seatrial.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 100
fsGroup: 100
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "seatrial.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Fields that all pods share. (dict "context" $ "account" NAME "token" BOOL "place" MAP with nodeSelector and tolerations) */}}
{{- define "seatrial.podFields" -}}
{{- with .account }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: {{ .token | default false }}
# A Service named seatrial-… would otherwise set SEATRIAL_* variables of its own.
enableServiceLinks: false
securityContext:
  {{- include "seatrial.podSecurity" .context | nindent 2 }}
{{- with .context.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with (.place).nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Volumes: one writable /tmp, and the store's claim. (dict "context" $ "store" BOOL) */}}
{{- define "seatrial.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if and .store (eq .context.Values.storage.type "pvc") }}
- name: store
  persistentVolumeClaim:
    claimName: {{ include "seatrial.claim" .context }}
{{- end }}
{{- end }}

{{- define "seatrial.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if and .store (eq .context.Values.storage.type "pvc") }}
- name: store
  mountPath: /seatrial/store
{{- end }}
{{- end }}

{{/* Variables with which a pod reaches the object store, and the secret with its credentials. */}}
{{- define "seatrial.storeEnv" -}}
{{- if eq .Values.storage.type "s3" }}
{{- with .Values.storage.s3.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .Values.storage.s3.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
- name: MLFLOW_S3_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "seatrial.storeEnvFrom" -}}
{{- $secret := "" }}
{{- if eq .Values.storage.type "s3" }}{{ $secret = .Values.storage.s3.secretName }}{{ else if eq .Values.storage.type "azure" }}{{ $secret = .Values.storage.azure.secretName }}{{ end }}
{{- with $secret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end }}

{{/* For Prometheus' classic discovery. (dict "context" $ "port" NUMBER) */}}
{{- define "seatrial.scrapeAnnotations" -}}
{{- if .context.Values.monitoring.enabled }}
annotations:
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ .port | quote }}
  prometheus.io/path: /metrics
{{- end }}
{{- end }}
