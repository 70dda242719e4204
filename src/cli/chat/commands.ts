// The chat's slash commands. Each is a call of REST and a line or two of what came of it.

import type { ThawReceiptJson } from '../../wire/receipts.ts'
import type { SessionJson } from '../../wire/sessions.ts'
import type { CloneBody, FreezeBody, ThawBody, WindowJson } from '../../wire/windows.ts'
import type { CommandContext } from '../client/command.ts'
import { listAll } from '../client/lists.ts'
import { windowPath } from '../client/paths.ts'
import { formatNewWindow, formatThaw } from '../client/receipts.ts'
import { formatTable } from '../terminal/table.ts'
import { formatSession, sessionColumns, windowColumns } from '../windows-text.ts'
import { type Conversation, newSession } from './state.ts'

export interface SlashContext {
  readonly context: CommandContext
  readonly conversation: Conversation
  readonly signal: AbortSignal
}

interface SlashCommand {
  readonly usage: string
  readonly description: string
  /** How many words must follow, and how many may. */
  readonly argumentCount: readonly [least: number, most: number]
  /** Window names complete the words behind it. */
  readonly takesWindow?: boolean
  run(slash: SlashContext, words: readonly string[]): Promise<readonly string[]>
}

const commands: Readonly<Record<string, SlashCommand>> = {
  freeze: {
    usage: '/freeze NAME',
    description: 'freeze this chat, its last answer included, as window NAME',
    argumentCount: [1, 1],
    run: async ({ context: { rest, screen }, conversation, signal }, [name = '']) => {
      const body: FreezeBody = { name, session_id: conversation.session }
      return formatNewWindow(screen, await rest.json<WindowJson>('/cwm/v1/windows', { method: 'POST', body, signal }))
    },
  },
  thaw: {
    usage: '/thaw NAME',
    description: 'go on from window NAME, in a new session',
    argumentCount: [1, 1],
    takesWindow: true,
    run: async ({ context: { rest, screen }, conversation, signal }, [name = '']) => {
      const session = newSession()
      const path = `${windowPath(name)}/thaw`
      const body: ThawBody = { session_id: session }
      const receipt = await rest.json<ThawReceiptJson>(path, { method: 'POST', body, signal })
      conversation.switchTo(session)
      await conversation.refresh(signal)
      return formatThaw(screen, receipt)
    },
  },
  clone: {
    usage: '/clone SOURCE NAME [MESSAGES]',
    description: 'give a window, or its first MESSAGES, another name',
    argumentCount: [2, 3],
    takesWindow: true,
    run: async ({ context: { rest, screen }, signal }, [source = '', name = '', at]) => {
      const body: CloneBody = { name, ...(at === undefined ? {} : { at: Number(at) }) }
      return formatNewWindow(
        screen,
        await rest.json<WindowJson>(`${windowPath(source)}/clone`, { method: 'POST', body, signal }),
      )
    },
  },
  windows: {
    usage: '/windows [TEXT]',
    description: 'list windows, with TEXT in their names',
    argumentCount: [0, 1],
    run: async ({ context: { rest, screen }, signal }, [search]) => {
      const { data } = await listAll<WindowJson>(rest, '/cwm/v1/windows', { limit: 20 }, { query: { search }, signal })
      return data.length === 0 ? ['no windows'] : formatTable(screen, windowColumns(screen.now()), data)
    },
  },
  sessions: {
    usage: '/sessions',
    description: 'list sessions, last turn first',
    argumentCount: [0, 0],
    run: async ({ context: { rest, screen }, signal }) => {
      const { data } = await listAll<SessionJson>(rest, '/cwm/v1/sessions', { limit: 20 }, { signal })
      return data.length === 0 ? ['no sessions'] : formatTable(screen, sessionColumns(screen.now()), data)
    },
  },
  status: {
    usage: '/status',
    description: 'show this session: how full, how much was cached',
    argumentCount: [0, 0],
    run: async ({ context: { screen }, conversation, signal }) => {
      const status = await conversation.refresh(signal)
      return status === undefined
        ? [`session ${conversation.session}: nothing was said yet`]
        : formatSession(screen, status)
    },
  },
  model: {
    usage: '/model [NAME]',
    description: 'show the models, or go on with another one',
    argumentCount: [0, 1],
    run: async ({ context: { rest }, conversation, signal }, [name]) => {
      const models = await listModels(rest, signal)
      if (name === undefined) return models.map((model) => `${model === conversation.model ? '*' : ' '} ${model}`)
      if (!models.includes(name)) return [`there is no model ${name}; there is ${models.join(', ')}`]
      conversation.model = name
      return [`model ${name}`]
    },
  },
  new: {
    usage: '/new',
    description: 'begin anew, in a new session',
    argumentCount: [0, 0],
    run: async ({ conversation }) => {
      conversation.switchTo(newSession())
      return [`session ${conversation.session}`]
    },
  },
}

const others = [
  ['/help', 'this list'],
  ['/quit', 'leave; the session stays, and can be frozen for as long as cwm keeps its last turn'],
] as const

/** Runs a line that begins with a slash; answers what to show. Throws as REST does. */
export async function runSlash(slash: SlashContext, line: string): Promise<readonly string[]> {
  const [name = '', ...args] = line.slice(1).trim().split(/\s+/)
  if (name === 'help') return help()
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) return [`there is no /${name}; /help lists what there is`]
  const [least, most] = command.argumentCount
  if (args.length < least || args.length > most) return [`use: ${command.usage}`]
  return await command.run(slash, args)
}

function help(): string[] {
  const all = [...Object.values(commands).map(({ usage, description }) => [usage, description] as const), ...others]
  const width = Math.max(...all.map(([usage]) => usage.length))
  return [
    ...all.map(([usage, does]) => `${usage.padEnd(width)}  ${does}`),
    'A line that ends in \\ goes on in the next one. Ctrl-C stops an answer; in an empty line it leaves.',
  ]
}

/** What the line could go on as, for readline's completer. */
export async function completionsOf(
  line: string,
  windowNames: () => Promise<readonly string[]>,
): Promise<[string[], string]> {
  const words = line.split(/\s+/)
  const last = words.at(-1) ?? ''
  if (!line.startsWith('/')) return [[], line]
  if (words.length === 1) {
    const names = [...Object.keys(commands), 'help', 'quit'].map((name) => `/${name}`)
    return [names.filter((name) => name.startsWith(last)).map((name) => `${name} `), last]
  }
  const command = commands[(words[0] ?? '').slice(1)]
  if (command?.takesWindow !== true || words.length > 2) return [[], last]
  const names = await windowNames()
  return [names.filter((name) => name.startsWith(last)).map((name) => `${name} `), last]
}

/** Ids of the models that may be used. */
export async function listModels(rest: CommandContext['rest'], signal: AbortSignal): Promise<string[]> {
  const { data } = await rest.json<{ readonly data: readonly { readonly id: string }[] }>('/v1/models', { signal })
  return data.map(({ id }) => id)
}
