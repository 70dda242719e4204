// Saves an exported window to a file. It contains a conversation, so only its owner can read it.

import { access, open, rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { CommandContext } from './client/command.ts'
import { windowPath } from './client/paths.ts'
import { UsageError } from './client/rest.ts'

/** Writes to `output`, by default NAME.cwm.json. The file is written atomically, and replaces an existing one only with `force`. */
export async function saveExport(
  { rest, screen, progress, show, signal }: CommandContext,
  name: string,
  { output = `${name}.cwm.json`, force }: { readonly output?: string; readonly force?: boolean },
): Promise<void> {
  const isFile = output !== '-'
  if (isFile && force !== true && (await exists(output)))
    throw new UsageError(`${output} already exists; use --force to replace it`)
  await progress(`exporting ${name}`, async () => {
    const { body, headers, status } = await rest.send(`${windowPath(name)}/export`, { signal })
    if (body === null || headers.get('content-disposition')?.includes('.cwm.json') !== true)
      throw rest.notCwmError(status)
    const source = Readable.fromWeb(body as ReadableStream<Uint8Array>)
    if (isFile) await writeAtomically(output, source)
    else await pipeline(source, process.stdout, { end: false })
  })
  if (isFile)
    show({ window: name, file: output }, () => [
      `${screen.style('green', 'exported')} ${screen.style('bold', name)} to ${output}`,
    ])
}

async function writeAtomically(file: string, source: Readable): Promise<void> {
  const part = `${file}.part-${process.pid}`
  const handle = await open(part, 'wx', 0o600).catch((thrown: NodeJS.ErrnoException) => {
    source.destroy()
    throw new UsageError(`cannot write ${file}: ${thrown.code}`)
  })
  try {
    await pipeline(source, handle.createWriteStream())
    await rename(part, file)
  } catch (thrown) {
    await rm(part, { force: true })
    throw thrown
  }
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  )
}
