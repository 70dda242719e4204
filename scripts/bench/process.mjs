// Processes of the benchmark: started on a core, asked what they used, and ended.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const LISTEN_MS = 30_000

/** Starts a program on `core`, or anywhere if that is undefined. Its output goes to `log`. `ipc` opens a channel to it. */
export function start(command, args, { core, log, ipc = false, env = {}, cwd } = {}) {
  const out = log === undefined ? 'inherit' : openSync(log, 'a')
  const stdio = ipc ? ['ignore', out, out, 'ipc'] : ['ignore', out, out]
  const [program, ...rest] = core === undefined ? [command, ...args] : ['taskset', '-c', String(core), command, ...args]
  return spawn(program, rest, { stdio, cwd, env: { ...process.env, ...env } })
}

/** Waits until something listens on a port of loopback. Throws when the process ends before, or takes too long. */
export async function listening(child, port, name) {
  for (const end = performance.now() + LISTEN_MS; performance.now() < end; await sleep(50)) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`)
    const socket = connect(port, '127.0.0.1')
    const isOpen = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (isOpen) return
  }
  throw new Error(`${name} does not listen on port ${port}`)
}

export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await once(child, 'exit')
  clearTimeout(timer)
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** The process and all below it. */
function family(pid) {
  const children = readText(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean)
  return [pid, ...children.flatMap(family)]
}

/** Microseconds of CPU that a process, its threads and its children had; null where the system does not tell. */
export function cpuMicros(pid) {
  let nanos = 0
  let isKnown = false
  for (const member of family(pid)) {
    let threads = []
    try {
      threads = readdirSync(`/proc/${member}/task`)
    } catch {}
    for (const thread of threads) {
      const [ran] = readText(`/proc/${member}/task/${thread}/schedstat`).split(' ')
      if (!ran) continue
      isKnown = true
      nanos += Number(ran)
    }
  }
  return isKnown ? nanos / 1000 : null
}

/** The most memory that it had resident, MiB; null where the system does not tell. */
export function peakMegabytes(pid) {
  const peaks = family(pid).flatMap((member) => /VmHWM:\s+(\d+) kB/.exec(readText(`/proc/${member}/status`))?.[1] ?? [])
  return peaks.length === 0 ? null : peaks.reduce((sum, kilobytes) => sum + Number(kilobytes), 0) / 1024
}
