{{/* HAProxy in front of the replicas: measured 3 to 8 times the requests of Ray's own proxy. Ray reads these once, at its start. */}}
{{- define "seatrial.serveEnv" -}}
RAY_SERVE_ENABLE_HA_PROXY: "1"
RAY_SERVE_THROUGHPUT_OPTIMIZED: "1"
RAY_SERVE_HAPROXY_NBTHREAD: "1"
RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S: "75"
{{- end }}

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
      alias: {{ .Values.rayService.alias | quote }}
      tracking_uri: {{ include "seatrial.trackingUri" . | quote }}
      replicas: {{ .Values.rayService.replicas }}
{{- end }}
