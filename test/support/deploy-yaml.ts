// Reads YAML files of the repository.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { root } from './deploy-tools.ts'

/** The value of a file. Anchors and merge keys are resolved. */
export async function readYaml(path: string): Promise<unknown> {
  const value: unknown = parse(await readFile(join(root, path), 'utf8'), { merge: true })
  return value
}

/** The documents of a text that are not empty. */
export function documentsOf(text: string): unknown[] {
  return parseAllDocuments(text)
    .map((document): unknown => document.toJS())
    .filter((value) => value !== null)
}
