import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'

const module = new URL('./run-parallel.mjs', import.meta.url).href
const node = (name, code) => ({ name, command: process.execPath, args: ['-e', code] })

/** Runs jobs in a new process, as a terminal would. */
function run(main, others) {
  const code = `import { sideBySide } from ${JSON.stringify(module)}
process.exitCode = await sideBySide(${JSON.stringify(main)}, ${JSON.stringify(others)})`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code])
  const seen = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (seen.out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (seen.err += text))
  return { child, seen, closed: once(child, 'close') }
}

it('passes if all pass, and hides the output of the others', async () => {
  const { seen, closed } = run(node('tests', 'console.log("12 passed")'), [node('lint', 'console.log("checked")')])

  expect(await closed).toEqual([0, null])
  expect(seen).toEqual({ out: '12 passed\ntests, lint: all passed\n', err: '' })
})

it('fails if any fails, after all have ended, and shows the output of the failed one', async () => {
  const { seen, closed } = run(node('tests', 'setTimeout(() => console.log("12 passed"), 100)'), [
    node('lint', 'console.log("no good"); process.exit(3)'),
    node('types', ''),
  ])

  expect(await closed).toEqual([1, null])
  expect(seen).toEqual({ out: '12 passed\n', err: '\n== lint failed\nno good\n\n' })
})

it('fails if one cannot be started', async () => {
  const { seen, closed } = run(node('tests', ''), [{ name: 'lint', command: './no-such-program', args: [] }])

  expect(await closed).toEqual([1, null])
  expect(seen.err).toContain('== lint failed\nspawn ./no-such-program ENOENT')
})

it.each(['SIGINT', 'SIGTERM'])('ends all of them, and their children, on %s', async (signal) => {
  const grandchild =
    "require('child_process').spawn(process.execPath, ['-e', 'console.log(process.pid); setInterval(() => {}, 1e6)'], { stdio: 'inherit' })"
  const { child, closed } = run(node('tests', `${grandchild}; setInterval(() => {}, 1e6)`), [
    node('lint', 'setInterval(() => {}, 1e6)'),
  ])
  await once(child.stdout, 'data')

  child.kill(signal)

  // The streams have closed, not only the process: nobody holds the output any longer.
  expect(await closed).toEqual([signal === 'SIGINT' ? 130 : 143, null])
})
