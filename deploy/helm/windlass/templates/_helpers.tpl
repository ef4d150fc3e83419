{{/* Name of everything; room for "-coordinator-0" and pool names within 63 characters. */}}
{{- define "windlass.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "windlass.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "windlass.labels" -}}
{{ include "windlass.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Every pool with the defaults of `worker` under its own values, as JSON. */}}
{{- define "windlass.pools" -}}
{{- $pools := dict -}}
{{- range $name, $own := .Values.pools -}}
{{- $_ := set $pools $name (mergeOverwrite (deepCopy $.Values.worker) (deepCopy ($own | default dict))) -}}
{{- end -}}
{{- toJson $pools -}}
{{- end -}}

{{/* True when a pool scales by KEDA. */}}
{{- define "windlass.keda" -}}
{{- range $pool := include "windlass.pools" . | fromJson -}}{{- if $pool.keda.enabled -}}true{{- end -}}{{- end -}}
{{- end -}}

{{/* How both roles reach NATS. */}}
{{- define "windlass.natsEnv" -}}
- { name: WINDLASS_NATS, value: {{ required "nats.url is required, such as tls://nats.nats.svc:4222" .Values.nats.url | quote }} }
- { name: WINDLASS_BUS, value: {{ .Values.nats.bus | quote }} }
- { name: WINDLASS_NATS_NKEY, value: /etc/windlass/nats/nats.nk }
{{- if .Values.nats.tls }}
- { name: WINDLASS_NATS_CA, value: /etc/windlass/nats/ca.crt }
- { name: WINDLASS_NATS_CERT, value: /etc/windlass/nats/tls.crt }
- { name: WINDLASS_NATS_KEY, value: /etc/windlass/nats/tls.key }
{{- end }}
{{- if .Values.nats.tlsFirst }}
- { name: WINDLASS_NATS_TLS_FIRST, value: "true" }
{{- end }}
- { name: WINDLASS_LOG, value: {{ .Values.log | quote }} }
{{- end -}}

{{/* Where telemetry of both roles goes. */}}
{{- define "windlass.telemetryEnv" -}}
{{- with .Values.telemetry.endpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
- { name: OTEL_EXPORTER_OTLP_PROTOCOL, value: {{ $.Values.telemetry.protocol | quote }} }
- { name: OTEL_TRACES_SAMPLER_ARG, value: {{ $.Values.telemetry.sampled | quote }} }
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: OTEL_RESOURCE_ATTRIBUTES
  value: "k8s.pod.name=$(POD_NAME)"
{{- with $.Values.telemetry.headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: { secretKeyRef: { name: {{ . }}, key: headers } }
{{- end }}
{{- end }}
{{- end -}}

{{- define "windlass.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "windlass.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- /* Whether metrics have a port of their own: where the API asks who somebody is, or speaks TLS. */ -}}
{{- define "windlass.admin" -}}
{{- if or .Values.coordinator.authSecret .Values.coordinator.tlsSecret }}true{{ end }}
{{- end -}}
