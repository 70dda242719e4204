// Counters and histograms of the hot path: plain numbers that are converted to Prometheus' format on a scrape, not per request. prom-client
// sorts and joins the labels of each call, which took 8 µs per request.

import { Counter, type Metric, type Registry } from 'prom-client'

/** A count without labels, or one label combination of a {@link PlainCounters}. */
export class PlainCounter {
  value = 0

  inc(by = 1): void {
    this.value += by
  }
}

/** A value for each combination of up to three labels, found by nested lookups. A joined key would be a new string per request. */
class ByLabels<T> {
  readonly #make: () => T
  readonly #all = new Map<string, Map<string, Map<string, T>>>()

  constructor(make: () => T) {
    this.#make = make
  }

  at(first: string, second: string, third: string): T {
    let bySecond = this.#all.get(first)
    if (bySecond === undefined) {
      bySecond = new Map()
      this.#all.set(first, bySecond)
    }
    let byThird = bySecond.get(second)
    if (byThird === undefined) {
      byThird = new Map()
      bySecond.set(second, byThird)
    }
    let one = byThird.get(third)
    if (one === undefined) {
      one = this.#make()
      byThird.set(third, one)
    }
    return one
  }

  /** A label without a value is omitted, which Prometheus treats as the same. */
  *entries(names: readonly string[]): Generator<readonly [Readonly<Record<string, string>>, T]> {
    for (const [first, bySecond] of this.#all) {
      for (const [second, byThird] of bySecond) {
        for (const [third, one] of byThird) yield [labelsOf(names, [first, second, third]), one]
      }
    }
  }
}

function labelsOf(names: readonly string[], values: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [i, name] of names.entries()) {
    const value = values[i]
    if (value !== undefined && value !== '') labels[name] = value
  }
  return labels
}

/** Counts by one to three labels of few values each. */
export class PlainCounters {
  readonly #counters = new ByLabels(() => new PlainCounter())

  inc(first: string, second = '', third = ''): void {
    this.#counters.at(first, second, third).value++
  }

  add(by: number, first: string): void {
    this.#counters.at(first, '', '').value += by
  }

  *entries(names: readonly string[]): Generator<readonly [Readonly<Record<string, string>>, number]> {
    for (const [labels, { value }] of this.#counters.entries(names)) yield [labels, value]
  }
}

/** Upper bounds of the buckets, seconds. */
export const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const

interface Series {
  /** One more than there are bounds: the last bucket is for anything above them. */
  readonly counts: number[]
  sum: number
}

/** Durations by one or two labels of few values. */
export class PlainHistogram {
  readonly #series = new ByLabels<Series>(() => ({
    counts: new Array<number>(secondsBuckets.length + 1).fill(0),
    sum: 0,
  }))

  observe(label: string, seconds: number, second = ''): void {
    const series = this.#series.at(label, second, '')
    let i = 0
    while (i < secondsBuckets.length && seconds > (secondsBuckets[i] ?? 0)) i++
    series.counts[i] = (series.counts[i] ?? 0) + 1
    series.sum += seconds
  }

  /** In prom-client's format: cumulative buckets, sum and count for each label combination. */
  valuesOf(name: string, labelNames: readonly string[]): readonly Sample[] {
    const samples: Sample[] = []
    for (const [labels, { counts, sum }] of this.#series.entries(labelNames)) {
      let count = 0
      for (const [i, n] of counts.entries()) {
        count += n
        samples.push({
          metricName: `${name}_bucket`,
          labels: { le: secondsBuckets[i] ?? '+Inf', ...labels },
          value: count,
        })
      }
      samples.push(
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      )
    }
    return samples
  }
}

interface Sample {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** Creates such metrics in a registry. */
export function plainMetrics(registry: Registry) {
  const registers = [registry]
  return {
    counter(name: string, help: string): PlainCounter {
      const counter = new PlainCounter()
      new Counter({
        ...{ name, help, registers },
        collect() {
          this.reset()
          this.inc(counter.value)
        },
      })
      return counter
    },
    counters(name: string, help: string, ...labelNames: readonly string[]): PlainCounters {
      const counters = new PlainCounters()
      new Counter({
        ...{ name, help, registers, labelNames },
        collect() {
          this.reset()
          for (const [labels, value] of counters.entries(labelNames)) this.inc(labels, value)
        },
      })
      return counters
    },
    histogram(name: string, help: string, ...labelNames: readonly string[]): PlainHistogram {
      const histogram = new PlainHistogram()
      const get = () => ({
        ...{ name, help, type: 'histogram', aggregator: 'sum' },
        values: histogram.valuesOf(name, labelNames),
      })
      // The interface that a registry needs; prom-client's own histogram cannot be set.
      registry.registerMetric({ name, get, reset() {} } as unknown as Metric)
      return histogram
    },
  }
}
