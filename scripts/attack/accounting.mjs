// The oracle for cwm's own numbers: its metrics must agree with each other and with its log, and nothing may stay open.

/** Allowance for idle sockets to the upstream, and for the sockets of this measurement. */
const MAX_MORE_FILES = 8

/** `[labels, value]` of each sample of one metric in Prometheus' text format. */
export function samplesOf(text, name) {
  const pattern = new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm')
  return [...text.matchAll(pattern)].map(([, labels = '', value]) => {
    const pairs = [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, said]) => [key, said])
    return [Object.fromEntries(pairs), Number(value)]
  })
}

const sumOf = (text, name) => samplesOf(text, name).reduce((sum, [, value]) => sum + value, 0)

/** The sums by one label. */
export function sumsBy(text, name, label) {
  const sums = new Map()
  for (const [labels, value] of samplesOf(text, name)) sums.set(labels[label], (sums.get(labels[label]) ?? 0) + value)
  return sums
}

/**
 * Describes discrepancies. `before` and `after`: metrics without any load; `byStatus`: request lines in the log.
 */
export function accountingFaults({ before, after, byStatus }) {
  const faults = []
  const counted = sumsBy(after, 'cwm_requests_total', 'status')
  for (const status of new Set([...counted.keys(), ...byStatus.keys()])) {
    const [metric, log] = [counted.get(status) ?? 0, byStatus.get(status) ?? 0]
    if (metric !== log) faults.push(`status ${status}: cwm_requests_total counts ${metric}, the log ${log}`)
  }
  const total = sumOf(after, 'cwm_requests_total')
  const timed = sumOf(after, 'cwm_request_seconds_count')
  if (total !== timed) faults.push(`cwm_requests_total counts ${total}, cwm_request_seconds_count ${timed}`)
  return [...faults, ...leakFaults({ before, after })]
}

/** Describes what is still open or held. */
export function leakFaults({ before, after }) {
  const faults = []
  for (const name of ['cwm_requests_in_flight', 'cwm_body_bytes', 'cwm_slots_in_use', 'cwm_requests_queued']) {
    const left = sumOf(after, name)
    if (left !== 0) faults.push(`${name} is ${left} at the end`)
  }
  const more = sumOf(after, 'process_open_fds') - sumOf(before, 'process_open_fds')
  if (more > MAX_MORE_FILES) faults.push(`${more} more open files than at the start, ${MAX_MORE_FILES} are allowed`)
  return faults
}
