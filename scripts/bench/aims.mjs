// What cwm holds itself to, as ratios within one run: to the pass-through with JSON.parse where CPU and requests are meant, to the bare
// one for paced streams, to no proxy at all for what a proxy adds.

const of = (results, scenario, target, field) => results[scenario]?.[target]?.[field] ?? null
const over = (a, b) => (a === null || b === null || b === 0 ? null : a / b)
const minus = (a, b) => (a === null || b === null ? null : a - b)

const cpu = (scenario, target, most, unit = 'request') => ({
  title: `CPU per ${unit}, ${scenario}, ${target}, to parse`,
  most,
  read: (results) => over(of(results, scenario, target, 'cpu'), of(results, scenario, 'parse', 'cpu')),
})
const added = (scenario, target, most) => ({
  title: `added p50 latency, ${scenario}, ${target}, ms`,
  most,
  read: (results) => minus(of(results, scenario, target, 'p50'), of(results, scenario, 'direct', 'p50')),
})

export const aims = [
  cpu('4k-32', 'cwm-named', 1.5),
  cpu('32k-16', 'cwm-named', 1.3),
  cpu('512k-4', 'cwm-named', 1.2),
  cpu('4k-32', 'cwm-prefix', 1.6),
  cpu('32k-16', 'cwm-prefix', 1.6),
  cpu('512k-4', 'cwm-prefix', 1.8),
  cpu('stream-16', 'cwm-named', 1.2, 'event'),
  cpu('stream-16', 'cwm-prefix', 1.2, 'event'),
  {
    title: 'requests/s, 4k-32, cwm-named, to parse',
    least: 0.7,
    read: (results) =>
      over(of(results, '4k-32', 'cwm-named', 'requestsPerSecond'), of(results, '4k-32', 'parse', 'requestsPerSecond')),
  },
  added('4k-1', 'cwm-named', 0.5),
  added('512k-1', 'cwm-named', 5),
  {
    title: 'TTFT p99, paced-64, cwm-named, to bare',
    most: 1.3,
    read: (results) => over(of(results, 'paced-64', 'cwm-named', 'ttft99'), of(results, 'paced-64', 'bare', 'ttft99')),
  },
]

/** Each aim with what was measured; `isReached` is null where nothing was. */
export function judge(results) {
  return aims.map(({ title, most, least, read }) => {
    const value = read(results)
    const isReached = value === null ? null : most === undefined ? value >= least : value <= most
    return { title, bound: most === undefined ? `at least ${least}` : `at most ${most}`, value, isReached }
  })
}
