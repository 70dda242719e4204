// What cwm holds itself to, as ratios within one run: to the pass-through with JSON.parse where CPU and requests are meant, to the bare
// one for paced streams, to no proxy at all for what a proxy adds.

const cpu = (scenario, target, most, unit = 'request') => ({
  title: `CPU per ${unit}, ${scenario}, ${target}, to parse`,
  most,
  read: (results) => results.ratio(scenario, target, 'parse', 'cpu'),
})
const added = (scenario, target, most) => ({
  title: `added p50 latency, ${scenario}, ${target}, ms`,
  most,
  read: (results) => results.difference(scenario, target, 'direct', 'p50'),
})
const memory = (target) => ({
  title: `memory after the run, ${target}, MB`,
  most: 200,
  read: (results) => (results.memory[target] === undefined ? undefined : results.memory[target].bytes / 1e6),
})

const each = ['cwm-named', 'cwm-prefix']

export const aims = [
  cpu('4k-32', 'cwm-named', 1.5),
  cpu('32k-16', 'cwm-named', 1.3),
  cpu('512k-4', 'cwm-named', 1.2),
  cpu('4k-32', 'cwm-prefix', 1.6),
  cpu('32k-16', 'cwm-prefix', 1.6),
  cpu('512k-4', 'cwm-prefix', 1.8),
  ...each.map((target) => cpu('stream-16', target, 1.2, 'event')),
  ...each.map((target) => ({
    title: `requests/s, 4k-32, ${target}, to parse`,
    least: 0.7,
    read: (results) => results.ratio('4k-32', target, 'parse', 'perSecond'),
  })),
  ...each.map((target) => added('4k-1', target, 0.5)),
  ...each.map((target) => added('512k-1', target, 5)),
  ...each.map((target) => ({
    title: `TTFT p99, paced-64, ${target}, to bare`,
    most: 1.3,
    read: (results) =>
      results.hasP99('paced-64', target) ? results.ratio('paced-64', target, 'bare', 'ttftP99') : undefined,
  })),
  ...each.map(memory),
]

/** Each aim with what was measured; `isReached` is undefined where nothing was. */
export function judge(results) {
  return aims.map(({ title, most, least, read }) => {
    const value = read(results)
    const bound = most === undefined ? `at least ${least}` : `at most ${most}`
    const reaches = () => (most === undefined ? value >= least : value <= most)
    return { title, bound, value, isReached: value === undefined ? undefined : reaches() }
  })
}

/** What a run ends with: 1 when a request failed, or, with `check`, when an aim is missed or none was measured. */
export function exitCodeOf({ judged, failed, check }) {
  const isGood = judged.some(({ isReached }) => isReached) && !judged.some(({ isReached }) => isReached === false)
  return failed > 0 || (check && !isGood) ? 1 : 0
}
