// docs/reference/metrics.md, made from the registry so that it cannot fall behind. scripts/write-reference.ts writes it.

import { makeMetrics } from './metrics.ts'

/** The page about all metrics. */
export function metricsReference(): string {
  const metrics = makeMetrics()
  try {
    const rows = metrics.registry.getMetricsAsArray() as unknown as {
      name: string
      help: string
      labelNames: readonly string[]
      constructor: { name: string }
    }[]
    const lines = rows
      .map(metric => {
        const { name, help, labelNames } = metric
        const labels = labelNames.map(label => `\`${label}\``).join(', ')
        return `| \`${name}\` | ${metric.constructor.name.toLowerCase()} | ${labels} | ${help} |`
      })
      .sort()
    return [
      '# Metrics',
      '',
      '<!-- Made from src/app/metrics.ts by scripts/write-reference.ts: change it there. -->',
      '',
      '`GET /metrics` answers in the OpenMetrics text format. From this machine no token is needed while the server listens on',
      'loopback; otherwise any token will do (`viewer` is enough). Dialects add their own as `switchyard_<dialect>_…`.',
      '',
      '| name | type | labels | meaning |',
      '| --- | --- | --- | --- |',
      ...lines,
      '',
      'Histograms come as `_bucket`, `_sum` and `_count`. Times are in seconds and sizes in bytes, as the names say.',
      '',
      '## Health',
      '',
      '| path | answer |',
      '| --- | --- |',
      '| `GET /healthz` | 200 from `ready` on, while the process answers; 503 while it starts |',
      '| `GET /readyz` | 200 when it takes jobs; 503 with `why` while it starts, stops, or the store takes no writes |',
      '',
    ].join('\n')
  } finally {
    metrics.close()
  }
}
