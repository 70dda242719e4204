// Runs commands in parallel, for `npm test`. The first uses the terminal; the output of the others is shown at the end, and only if they
// failed. Each has its own process group, so that killing it kills all its children.

import { spawn } from 'node:child_process'
import { constants, setPriority } from 'node:os'

const PATIENCE_MS = 5_000

/**
 * @typedef {{ name: string, command: string, args: string[] }} Job
 * Resolves with the exit code once all have ended: 0, 1 if any failed, 128 plus its number after a signal.
 * @param {Job} main shown as it runs
 * @param {Job[]} others run with lower priority
 */
export async function sideBySide(main, others) {
  const started = [start(main, 'inherit'), ...others.map((job) => start(job, 'pipe'))]
  for (const { child } of started.slice(1)) lower(child)
  let signal
  const stop = (name) => {
    signal ??= name
    for (const { child } of started) killGroup(child, name)
    setTimeout(() => {
      for (const { child } of started) killGroup(child, 'SIGKILL')
    }, PATIENCE_MS).unref()
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const name of signals) process.on(name, stop)
  try {
    const ended = await Promise.all(started.map(({ end }) => end))
    if (signal !== undefined) return 128 + constants.signals[signal]
    const failed = ended.filter(({ code }) => code !== 0)
    for (const { name, text } of failed) console.error(`\n== ${name} failed\n${text}`)
    if (failed.length === 0) console.log(`${ended.map(({ name }) => name).join(', ')}: all passed`)
    return failed.length === 0 ? 0 : 1
  } finally {
    for (const name of signals) process.off(name, stop)
  }
}

function start({ name, command, args }, output) {
  const child = spawn(command, args, { stdio: ['ignore', output, output], detached: true })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (part) => (text += part))
  const end = new Promise((resolve) => {
    child.on('error', (error) => resolve({ name, code: 1, text: error.message }))
    child.on('close', (code) => {
      killGroup(child, 'SIGKILL')
      resolve({ name, code, text })
    })
  })
  return { child, end }
}

function lower({ pid }) {
  if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
}

function killGroup({ pid }, signal) {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // The group is already gone.
  }
}
