// Counters and histograms of the hot path: plain numbers that are made into Prometheus' form when somebody asks, not with each request.
// prom-client sorts and joins the labels of each call, which took 8 µs of each request.

import { Counter, type Metric, type Registry } from 'prom-client'

/** A count without labels, or one label combination of a {@link PlainCounters}. */
export class PlainCounter {
  value = 0

  inc(by = 1): void {
    this.value += by
  }
}

/** Counts by one or two labels of few values each. */
export class PlainCounters {
  readonly #byFirst = new Map<string, Map<string, PlainCounter>>()

  inc(first: string, second = ''): void {
    let bySecond = this.#byFirst.get(first)
    if (bySecond === undefined) {
      bySecond = new Map()
      this.#byFirst.set(first, bySecond)
    }
    let counter = bySecond.get(second)
    if (counter === undefined) {
      counter = new PlainCounter()
      bySecond.set(second, counter)
    }
    counter.value++
  }

  *entries(): Generator<readonly [string, string, number]> {
    for (const [first, bySecond] of this.#byFirst) {
      for (const [second, { value }] of bySecond) yield [first, second, value]
    }
  }
}

/** Upper bounds of the buckets, seconds. */
export const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const

interface Series {
  /** One more than there are bounds: the last is for what exceeds them all. */
  readonly counts: number[]
  sum: number
}

/** Durations by one label of few values. */
export class PlainHistogram {
  readonly #series = new Map<string, Series>()

  observe(label: string, seconds: number): void {
    let series = this.#series.get(label)
    if (series === undefined) {
      series = { counts: new Array<number>(secondsBuckets.length + 1).fill(0), sum: 0 }
      this.#series.set(label, series)
    }
    let i = 0
    while (i < secondsBuckets.length && seconds > (secondsBuckets[i] ?? 0)) i++
    series.counts[i] = (series.counts[i] ?? 0) + 1
    series.sum += seconds
  }

  /** In prom-client's form: cumulative buckets, sum and count of each label. */
  valuesOf(name: string, labelName: string): readonly Sample[] {
    const samples: Sample[] = []
    for (const [label, { counts, sum }] of this.#series) {
      const labels = { [labelName]: label }
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

/** Makers of such metrics in one registry. */
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
    counters(name: string, help: string, first: string, second?: string): PlainCounters {
      const counters = new PlainCounters()
      new Counter({
        ...{ name, help, registers, labelNames: second === undefined ? [first] : [first, second] },
        collect() {
          this.reset()
          for (const [a, b, value] of counters.entries()) {
            this.inc(second === undefined ? { [first]: a } : { [first]: a, [second]: b }, value)
          }
        },
      })
      return counters
    },
    histogram(name: string, help: string, label: string): PlainHistogram {
      const histogram = new PlainHistogram()
      const get = () => ({ name, help, type: 'histogram', aggregator: 'sum', values: histogram.valuesOf(name, label) })
      // What a registry asks of a metric; prom-client's own histogram cannot be set.
      registry.registerMetric({ name, get, reset() {} } as unknown as Metric)
      return histogram
    },
  }
}
