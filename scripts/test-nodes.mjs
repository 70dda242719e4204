// Packs cwm, installs the tarball in an empty folder as a user would, and runs it on each supported version of Node; then runs the tests
// on each, unless --quick. The npm package `node` provides the versions.
//   npm run test:nodes                 20, 22, and 24, with all tests
//   npm run test:nodes -- --quick 22   one version, only the packed program
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const quick = process.argv.includes('--quick')
const asked = process.argv.slice(2).filter((word) => /^\d+$/.test(word))
const versions = asked.length > 0 ? asked : ['20', '22', '24']
const folder = await mkdtemp(join(tmpdir(), 'cwm-nodes-'))
const failures = []

/** Runs a program and returns its output, which is shown only if it fails. */
function run(what, program, args, options = {}) {
  const started = performance.now()
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (text += bytes))
    child.on('close', (code) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${what} (${seconds} s)`)
      if (code !== 0) {
        failures.push(what)
        console.log(text.slice(-4000))
      }
      resolve(text)
    })
  })
}

/** An environment with one Node first on the path, so that child processes use it too. */
const on = (bin) => ({ ...process.env, PATH: `${bin}:${process.env.PATH}` })

try {
  const { version, name } = JSON.parse(await readFile('package.json', 'utf8'))
  const tarball = join(folder, `${name}-${version}.tgz`)
  await run('npm pack', 'npm', ['pack', '--silent', '--pack-destination', folder])
  const app = join(folder, 'app')
  await run('npm install of the tarball', 'npm', ['install', '--silent', '--no-audit', '--prefix', app, tarball])
  const output = await run('npx cwm --version', 'npx', ['--prefix', app, 'cwm', '--version'], { cwd: app })
  if (!output.includes(version)) failures.push(`npx cwm --version printed ${output.trim()}`)
  const byName = await run(`npx ${name} --version`, 'npx', ['--prefix', app, name, '--version'], { cwd: app })
  if (!byName.includes(version)) failures.push(`npx ${name} --version printed ${byName.trim()}`)
  for (const major of versions) {
    const home = join(folder, `node-${major}`)
    await run(`npm install node@${major}`, 'npm', [
      'install',
      '--silent',
      '--no-audit',
      '--prefix',
      home,
      `node@${major}`,
    ])
    const bin = join(home, 'node_modules', 'node', 'bin')
    const env = on(bin)
    const node = join(bin, 'node')
    const found = (await run(`node ${major}`, node, ['--version'])).trim()
    const main = join(app, 'node_modules', name, 'dist', 'cli', 'main.js')
    await run(`${found}: cwm demo, as installed`, node, [main, 'demo'], { env, cwd: app })
    const pages = [
      `import { Assets } from '${name}/dist/dashboard/assets.js'`,
      `import { BuiltSite } from '${name}/dist/docs-site/built-site.js'`,
      "if (!(await new Assets().root()).startsWith('/cwm/ui/assets/')) process.exit(1)",
      "if ((await new BuiltSite().find('/cwm/docs/')) === undefined) process.exit(1)",
    ].join('\n')
    await run(
      `${found}: the files of the dashboard and the documentation, as installed`,
      node,
      ['--input-type=module', '-e', pages],
      {
        env,
        cwd: app,
      },
    )
    if (!quick) await run(`${found}: all tests`, node, ['node_modules/vitest/vitest.mjs', 'run'], { env })
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
console.log(failures.length === 0 ? `all passed on Node ${versions.join(', ')}` : `failed: ${failures.join('; ')}`)
process.exitCode = failures.length === 0 ? 0 : 1
