// Runs the files of examples/ as a reader would.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'

const exec = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const DEADLINE_MS = 60_000

export interface Example {
  readonly name: string
  readonly command: readonly [program: string, ...words: string[]]
  /** Requirements besides Node. */
  readonly needs?: 'python' | 'jq'
}

const python = process.env.CWM_TEST_PYTHON ?? 'python3'

export const examples: readonly Example[] = [
  { name: 'openai-node.mjs', command: [process.execPath, 'examples/openai-node.mjs'] },
  { name: 'openai_python.py', command: [python, 'examples/openai_python.py'], needs: 'python' },
  { name: 'vercel-ai.mjs', command: [process.execPath, 'examples/vercel-ai.mjs'] },
  { name: 'langchain.mjs', command: [process.execPath, 'examples/langchain.mjs'] },
  { name: 'curl.sh', command: ['examples/curl.sh'], needs: 'jq' },
  { name: 'long-document.sh', command: ['examples/long-document.sh'], needs: 'jq' },
  { name: 'ask_windows.py', command: [python, 'examples/ask_windows.py'], needs: 'python' },
  { name: 'ask-windows.ts', command: [process.execPath, 'examples/ask-windows.ts'] },
  { name: 'recursive.py', command: ['python3', 'examples/recursive.py'] },
]

const wanted = {
  python: ['pip install openai (CWM_TEST_PYTHON names another python3)', [python, '-c', 'import openai']],
  jq: ['apt-get install jq', ['jq', '--version']],
} as const

/** Names of examples to skip because a requirement is missing, unless on CI. Prints how to install it. */
export async function examplesLeftOut(): Promise<ReadonlySet<string>> {
  const missing = await Promise.all(examples.map(isMissing))
  return new Set(examples.filter((_, i) => missing[i]).map(({ name }) => name))
}

/** On CI, a missing requirement makes its tests fail. */
export async function hasJq(): Promise<boolean> {
  return !(await isMissing({ name: 'docs/guides', command: ['jq'], needs: 'jq' }))
}

async function isMissing({ name, needs }: Example): Promise<boolean> {
  if (needs === undefined || process.env.CI === 'true') return false
  const [install, [program, ...words]] = wanted[needs]
  try {
    await exec(program, words)
    return false
  } catch {
    console.warn(`${name} is skipped: ${install}`)
    return true
  }
}

/** Runs an example and returns its output. Throws with its standard error if it fails. */
export async function runExample({ command }: Example, env: Record<string, string>): Promise<string> {
  const [program, ...words] = await Promise.all(command.map(runnable))
  if (program === undefined) throw new Error('an example needs a program')
  const file = existsSync(`${root}/${program}`) ? `${root}/${program}` : program
  const { stdout } = await exec(file, words, {
    cwd: root,
    env: { PATH: process.env.PATH, ...env },
    timeout: DEADLINE_MS,
  })
  return stdout
}

/** Node 20 runs no TypeScript, so its types are removed. The copy is where imports find the same packages. */
async function runnable(word: string): Promise<string> {
  if (!word.endsWith('.ts')) return word
  const { outputText } = transpileModule(await readFile(`${root}/${word}`, 'utf8'), {
    compilerOptions: { module: ModuleKind.ESNext, target: ScriptTarget.ES2023 },
  })
  const folder = `${root}/node_modules/.cache/cwm-examples`
  await mkdir(folder, { recursive: true })
  const file = `${folder}/${basename(word, '.ts')}-${process.pid}.mjs`
  await writeFile(file, outputText)
  return file
}

/** Parses the line that all examples print: cached tokens and prompt tokens. */
export function sparedIn(output: string): readonly (readonly [spared: number, prompt: number])[] {
  const lines = output.matchAll(/(\d+) of (\d+) tokens did not have to be computed/g)
  return [...lines].map(([, spared, prompt]) => [Number(spared), Number(prompt)])
}
