// Starts the real engine with one misconfiguration after another, and verifies that the right check of `cwm doctor` fails and names the flag.
// Each start takes two to four minutes. It uses its own ports and folder, so a running stack is not affected.
//   npm run test:engine:faults                    all faults
//   npm run test:engine:faults -- chunk-size      one fault
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The fault, the check that must fail, the flag in its remedy, and other checks that may fail for the same reason. */
const faults = [
  { fault: 'chunk-size', red: 'chunk-size', remedy: /--chunk-size/, also: [] },
  { fault: 'no-usage-details', red: 'usage-details', remedy: /--enable-prompt-tokens-details/, also: [] },
  {
    fault: 'no-event-reporting',
    red: 'event-reporting',
    remedy: /--coordinator-event-reporting/,
    also: ['stored', 'delete'],
  },
  { fault: 'in-process-connector', red: 'attached', remedy: /LMCacheMPConnector/, also: [] },
]

const asked = process.argv.slice(2)
const wanted = faults.filter(({ fault }) => asked.length === 0 || asked.includes(fault))
const failures = []
const ports = {
  VLLM_PORT: '8100',
  LMCACHE_HTTP_PORT: '8180',
  LMCACHE_PORT: '5655',
  COORDINATOR_PORT: '9400',
  REDIS_PORT: '6490',
}

for (const { fault, red, remedy, also } of wanted) {
  const run = await mkdtemp(join(tmpdir(), 'cwm-faults-'))
  const env = { ...process.env, ...ports, ENGINE_RUN: run, FAULT: fault }
  console.log(`\n== ${fault}`)
  try {
    await command('bash', ['scripts/engine/up.sh'], env, { isShown: true })
    const where = [
      '--upstream',
      `http://127.0.0.1:${ports.VLLM_PORT}`,
      '--coordinator',
      `http://127.0.0.1:${ports.COORDINATOR_PORT}`,
    ]
    const doctor = [
      'dist/cli/main.js',
      'doctor',
      ...where,
      '--data-dir',
      join(run, 'data'),
      '--reset-engine-cache',
      '--json',
    ]
    const { code, out } = await command(process.execPath, doctor, env, {})
    const { checks, ms } = JSON.parse(out)
    const failed = checks.filter(({ verdict }) => verdict === 'failed')
    const line = failed.find(({ id }) => id === red)
    for (const { id, evidence, remedy: message } of failed)
      console.log(`   failed: ${id}: ${evidence}\n        → ${message}`)
    expect(code === 1, `the doctor exited with ${code}, not 1`)
    expect(line !== undefined, `check ${red} did not fail`)
    expect(remedy.test(line?.remedy ?? ''), `its remedy does not say ${remedy}`)
    const others = failed.map(({ id }) => id).filter((id) => id !== red && !also.includes(id))
    expect(others.length === 0, `also failed: ${others.join(', ')}`)
    console.log(`   ${(ms / 1_000).toFixed(1)} s`)
  } catch (thrown) {
    failures.push(`${fault}: ${thrown.message}`)
    console.log(`   FAILED: ${thrown.message}`)
  } finally {
    await command('bash', ['scripts/engine/down.sh'], env, {}).catch(() => {})
    await rm(run, { recursive: true, force: true })
  }
}
console.log(`\n${wanted.length - failures.length} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1

function expect(isSo, message) {
  if (!isSo) throw new Error(message)
}

/** Runs a program. Rejects if a shell script fails; the exit code of the doctor is checked by the caller. */
function command(program, args, env, { isShown = false }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', isShown ? 'inherit' : 'ignore'] })
    let out = ''
    child.stdout.on('data', (bytes) => {
      out += bytes
      if (isShown) process.stdout.write(bytes)
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (program === 'bash' && code !== 0) reject(new Error(`${args[0]} exited with ${code}`))
      else resolve({ code, out })
    })
  })
}
