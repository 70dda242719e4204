{{- define "cwm.name" -}}
{{- if contains "cwm" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-cwm" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "cwm.selector" -}}
app.kubernetes.io/name: cwm
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cwm.labels" -}}
{{ include "cwm.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Whether this is one proxy with SQLite. */ -}}
{{- define "cwm.isSqlite" -}}
{{- if .Values.persistence.enabled }}true{{ end }}
{{- end }}

{{- /* A proxy may take this long to stop: drain_delay_ms + drain_ms + 15 s. */ -}}
{{- define "cwm.graceSeconds" -}}
{{- $delay := default 5000 .Values.settings.drain_delay_ms | int }}
{{- $drain := default 30000 .Values.settings.drain_ms | int }}
{{- add (div (add $delay $drain) 1000) 15 }}
{{- end }}

{{- define "cwm.check" -}}
{{- if .Values.persistence.enabled }}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) }}
{{- fail "persistence.enabled is for one replica with SQLite: set replicaCount to 1 and autoscaling.enabled to false, or set persistence.enabled to false and put the address of a Redis into existingSecret as store" }}
{{- end }}
{{- end }}
{{- if and (not .Values.settings.tenants) (not .Values.settings.any_key) }}
{{- fail "settings.tenants is required, because cwm listens beyond loopback; settings.any_key: true accepts every key as a tenant of its own" }}
{{- end }}
{{- end }}
