// Recorded responses of the real servers (test/recorded), by group and name. See test/recorded/README.md.

import { readFileSync } from 'node:fs'

export interface Recorded {
  readonly name: string
  /** `body` is null if none was sent, and a string if it was not JSON. */
  readonly request: { readonly method: string; readonly path: string; readonly body: unknown }
  /** `body` is the parsed JSON, or the text of an event stream, byte for byte. */
  readonly response: { readonly status: number; readonly content_type: string | null; readonly body: unknown }
}

export type RecordedGroup = 'vllm' | 'vllm-render' | 'lmcache-server' | 'lmcache-quota' | 'lmcache-coordinator'

const groups = new Map<RecordedGroup, readonly Recorded[]>()

/** One recorded exchange. Throws with the available names if there is none of that name. */
export function recorded(group: RecordedGroup, name: string): Recorded {
  const answers = recordedGroup(group)
  const found = answers.find((answer) => answer.name === name)
  if (found) return found
  throw new Error(`no recorded answer '${name}' in ${group}; there are:\n${answers.map((a) => a.name).join('\n')}`)
}

/** All exchanges of a group. */
export function recordedGroup(group: RecordedGroup): readonly Recorded[] {
  const known = groups.get(group)
  if (known) return known
  const file = new URL(`../recorded/${group}.json`, import.meta.url)
  const { answers } = JSON.parse(readFileSync(file, 'utf8')) as { answers: readonly Recorded[] }
  groups.set(group, answers)
  return answers
}

/** The text of a recorded event stream. Throws if the response was not one. */
export function recordedStream(name: string, group: RecordedGroup = 'vllm'): string {
  const { body, content_type } = recorded(group, name).response
  if (typeof body === 'string' && content_type?.startsWith('text/event-stream')) return body
  throw new Error(`'${name}' in ${group} is no event stream`)
}
