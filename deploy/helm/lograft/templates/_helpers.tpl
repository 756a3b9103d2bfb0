{{/* The name of everything: that of the release, with the chart's behind it unless it holds it already. */}}
{{- define "lograft.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "lograft.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lograft.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "lograft.selectorLabels" . }}
{{- end -}}

{{- define "lograft.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "lograft.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "lograft.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/* The brokers that found the cluster, as controller.quorum.voters has them. */}}
{{- define "lograft.voters" -}}
{{- $name := include "lograft.fullname" . -}}
{{- $voters := list -}}
{{- range $ordinal := until (int .Values.voters) -}}
{{- $voters = append $voters (printf "%d@%s-%d.%s-headless.%s.svc:9093" $ordinal $name $ordinal $name $.Release.Namespace) -}}
{{- end -}}
{{- join "," $voters -}}
{{- end -}}

{{/* The variable of a setting: log.retention.ms is LOGRAFT_LOG_RETENTION_MS. */}}
{{- define "lograft.variable" -}}
LOGRAFT_{{ . | upper | replace "." "_" }}
{{- end -}}
