// What the system (Linux, by /proc) says of processes: who descends from whom, CPU time, memory. Elsewhere: undefined.

import { readdirSync, readFileSync } from 'node:fs'

const read = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The fields behind the command's name, which may hold anything: state, parent, … */
const statOf = (pid) => {
  const stat = read(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

const processes = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name))

/** A process and all that descend from it. */
export function treeOf(pid) {
  if (process.platform !== 'linux') return [pid]
  const parents = processes().map((child) => [Number(child), Number(statOf(child)?.[1])])
  const tree = [pid]
  for (const one of tree) tree.push(...parents.filter(([, parent]) => parent === one).map(([child]) => child))
  return tree
}

const threadsOf = (pid) => {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** CPU time that each thread of the processes has had, nanoseconds; for `cpuBetween`. */
export function cpuOf(pids) {
  const threads = pids.flatMap((pid) => threadsOf(pid).map((thread) => `/proc/${pid}/task/${thread}/schedstat`))
  return new Map(
    threads.flatMap((path) => {
      const nanoseconds = Number(read(path)?.split(' ')[0])
      return nanoseconds >= 0 ? [[path, nanoseconds]] : []
    }),
  )
}

/**
 * Microseconds of CPU between two looks. A thread that began meanwhile counts whole, one that ended not at all: none of those that carry
 * requests does. Undefined where the system does not tell.
 */
export function cpuBetween(before, after) {
  if (after.size === 0) return undefined
  let nanoseconds = 0
  for (const [thread, had] of after) nanoseconds += had - (before.get(thread) ?? 0)
  return nanoseconds / 1000
}

/** Resident memory of the processes, bytes: now, and the most that each ever had. Shared pages count for each. */
export function memoryOf(pids) {
  if (process.platform !== 'linux') return undefined
  const sum = (field) => {
    const kilobytes = pids.map((pid) =>
      Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(read(`/proc/${pid}/status`))?.[1]),
    )
    return kilobytes.reduce((total, one) => total + (one || 0), 0) * 1024
  }
  return { bytes: sum('VmRSS'), peakBytes: sum('VmHWM') }
}

/** Cores that this process may run on. Undefined where nobody tells. */
export function allowedCores() {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(read('/proc/self/status') ?? '')?.[1]
  return list?.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, n) => from + n)
  })
}
