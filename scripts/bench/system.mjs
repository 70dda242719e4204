// Facts from the system: descendants, CPU time and memory of processes, from Linux's /proc and undefined elsewhere; sizes of folders.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

const read = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The fields after the command's name, which may contain anything: state, parent, … */
const statOf = (pid) => {
  const stat = read(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

const processes = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name))

/** A process and all its descendants. */
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

/** CPU time of each thread so far, in nanoseconds; for `cpuBetween`. */
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
 * CPU time between two results of `cpuOf`, in microseconds. Threads that started in between count, threads that ended do not; no thread
 * that carries requests does either. Undefined if the system has no such data.
 */
export function cpuBetween(before, after) {
  if (after.size === 0) return undefined
  let nanoseconds = 0
  for (const [thread, had] of after) nanoseconds += had - (before.get(thread) ?? 0)
  return nanoseconds / 1000
}

/** Resident memory of the processes in bytes: now, and the sum of their peaks. Shared pages count once per process. */
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

/** The size of all files in a folder, and in those below it. */
export function bytesIn(folder) {
  const sizes = readdirSync(folder, { recursive: true })
    .map((name) => statSync(join(folder, name)))
    .map((stat) => (stat.isFile() ? stat.size : 0))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Cores that this process may use; undefined if unknown. */
export function allowedCores() {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(read('/proc/self/status') ?? '')?.[1]
  return list?.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, n) => from + n)
  })
}
