// Records how each SDK sends a reply back: installs it in its own folder, runs its runner against the scripted upstream, and writes
// test/recorded/echoes/<sdk>.json. `npm run echoes:record [sdk …]`; set ECHOES_HOME to reuse the installed SDKs.

import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sentReplies, startUpstream } from './upstream.mjs'

const exec = promisify(execFile)
const here = dirname(fileURLToPath(import.meta.url))
const recordings = join(here, '../../test/recorded/echoes')
const python = process.env.PYTHON ?? 'python3'

// One folder per SDK, because they require conflicting versions of `openai`.
const sdks = {
  openai: { npm: ['openai'] },
  anthropic: { npm: ['@anthropic-ai/sdk'] },
  vercel: { npm: ['ai@6', '@ai-sdk/openai@3', '@ai-sdk/openai-compatible@2'] },
  langchain: { npm: ['@langchain/openai', '@langchain/core'] },
  'openai-python': { pip: ['openai'] },
  'anthropic-python': { pip: ['anthropic'] },
  'langchain-python': { pip: ['langchain-openai'] },
  'litellm-python': { pip: ['litellm', 'mcp'] },
}

const home = process.env.ECHOES_HOME ?? (await mkdtemp(join(tmpdir(), 'echoes-')))
const wanted = process.argv.slice(2)

/** Installs an SDK. Returns how to start its runner, and what was installed. */
async function install(name, { npm, pip }) {
  const folder = join(home, name)
  await mkdir(folder, { recursive: true })
  const extension = npm === undefined ? '.py' : '.mjs'
  for (const file of await readdir(join(here, 'runners'))) {
    if (file.endsWith(extension)) await copyFile(join(here, 'runners', file), join(folder, file))
  }
  const runner = join(folder, name.replace('-python', npm === undefined ? '_runner' : '') + extension)
  if (npm !== undefined) {
    await exec('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', ...npm])
    const { stdout } = await exec('npm', ['ls', '--prefix', folder, '--depth=0', '--json'])
    const versions = Object.entries(JSON.parse(stdout).dependencies).map(([sdk, { version }]) => [sdk, version])
    return { command: [process.execPath, runner], versions: Object.fromEntries(versions) }
  }
  const bin = join(folder, 'venv/bin/python')
  await exec(python, ['-m', 'venv', '--symlinks', join(folder, 'venv')])
  await exec(bin, ['-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', ...pip])
  const { stdout } = await exec(bin, ['-m', 'pip', 'list', '--format=json'])
  const installed = JSON.parse(stdout).filter((one) => [...pip, 'openai'].includes(one.name))
  return { command: [bin, runner], versions: Object.fromEntries(installed.map((one) => [one.name, one.version])) }
}

/** JSON with one list element per line: compact, and readable in a diff. */
function oneALine(value) {
  const list = (items) => `[\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]`
  const members = Object.entries(value).map(
    ([name, member]) => `${JSON.stringify(name)}: ${Array.isArray(member) ? list(member) : JSON.stringify(member)}`,
  )
  return `{\n${members.join(',\n')}\n}\n`
}

const upstream = await startUpstream()
try {
  await mkdir(recordings, { recursive: true })
  await writeFile(join(recordings, 'replies.json'), oneALine({ replies: sentReplies }))
  for (const [name, packages] of Object.entries(sdks)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const { command, versions } = await install(name, packages)
    const [file, ...rest] = command
    const { stdout, stderr } = await exec(file, [...rest, upstream.url], { maxBuffer: 64 * 1024 * 1024 })
    process.stderr.write(stderr)
    const unsent = JSON.parse(stdout.trim().split('\n').at(-1))
    const exchanges = upstream.take().filter(({ requests }) => requests.length === 2)
    await writeFile(join(recordings, `${name}.json`), oneALine({ versions, unsent, exchanges }))
    process.stdout.write(`${name}: ${exchanges.length} echoes, ${unsent.length} not sent\n`)
  }
} finally {
  upstream.close()
}
