{{/* HAProxy in front of the replicas: measured 3 to 8 times the requests of Ray's own proxy. Ray reads these once, at its start.
A prediction may be asked for twice, so what broke goes to another replica. Ray's 5 s kill a proxy that starts slowly on a busy node. */}}
{{- define "seatrial.serveEnv" -}}
RAY_SERVE_ENABLE_HA_PROXY: "1"
RAY_SERVE_THROUGHPUT_OPTIMIZED: "1"
RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S: "60"
RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S: "60"
RAY_SERVE_HAPROXY_NBTHREAD: "1"
RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S: "75"
RAY_SERVE_HAPROXY_RETRY_ON: "conn-failure empty-response response-timeout"
RAY_SERVE_HAPROXY_RETRIES: "3"
RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH: "serve.ray_lane:middlewares"
{{- with .Values.rayService }}
{{- if .keys.secretName }}
SEATRIAL_SERVE_KEYS: {{ include "seatrial.keysFolder" $ }}
{{- end }}
{{- if .limits.rate }}
SEATRIAL_SERVE_RATE: {{ .limits.rate | quote }}
SEATRIAL_SERVE_BURST: {{ .limits.burst | quote }}
SEATRIAL_SERVE_PROXIES: {{ .limits.proxies | quote }}
{{- end }}
SEATRIAL_SERVE_BODY_MIB: {{ .limits.bodyMib | quote }}
SEATRIAL_SERVE_TIMEOUT_SECONDS: {{ .limits.timeoutSeconds | quote }}
SEATRIAL_SERVE_WAIT_MS: {{ .limits.waitMs | quote }}
{{- with .origins }}
SEATRIAL_SERVE_ORIGINS: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "seatrial.keysFolder" -}}/seatrial/keys{{- end }}

{{- define "seatrial.serveConfig" -}}
proxy_location: EveryNode
http_options:
  host: 0.0.0.0
  port: 8000
applications:
  - name: seatrial
    import_path: serve.ray_service:build
    route_prefix: /
    args:
      model: {{ .Values.rayService.model | quote }}
      {{- with .Values.rayService.others }}
      others: {{ toJson . }}
      {{- end }}
      alias: {{ .Values.rayService.alias | quote }}
      tracking_uri: {{ include "seatrial.trackingUri" . | quote }}
      replicas: {{ .Values.rayService.replicas }}
{{- end }}
