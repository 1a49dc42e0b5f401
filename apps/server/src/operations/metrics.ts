type Labels = Readonly<Record<string, string | number>>

/** Upper bounds of the request histogram, seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Counts for Prometheus (text format 0.0.4). Labels are route patterns, codes and kinds, never ids. */
export class Metrics {
  readonly #counters = new Map<string, Map<string, number>>()
  readonly #gauges = new Map<string, () => number>()

  count(name: string, labels: Labels = {}, by = 1): void {
    const series = this.#counters.get(name) ?? new Map<string, number>()
    this.#counters.set(name, series)
    const key = formatLabels(labels)
    series.set(key, (series.get(key) ?? 0) + by)
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, read: () => number): void {
    this.#gauges.set(name, read)
  }

  request(method: string, route: string, status: number, seconds: number): void {
    this.count('nightlatch_http_requests_total', { method, route, status })
    for (const le of BUCKETS) if (seconds <= le) this.count('nightlatch_http_request_seconds_bucket', { route, le })
    this.count('nightlatch_http_request_seconds_bucket', { route, le: '+Inf' })
    this.count('nightlatch_http_request_seconds_sum', { route }, seconds)
    this.count('nightlatch_http_request_seconds_count', { route })
  }

  toText(): string {
    const counters = [...this.#counters].flatMap(([name, series]) => [...series].map(([labels, value]) => `${name}${labels} ${value}`))
    const gauges = [...this.#gauges].map(([name, read]) => `${name} ${read()}`)
    return `${[...counters, ...gauges].join('\n')}\n`
  }
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
