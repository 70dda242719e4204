// The chat's slash commands. Each calls REST and prints a line or two about the result.

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
  /** Minimum and maximum number of arguments. */
  readonly argumentCount: readonly [least: number, most: number]
  /** Whether its first argument is completed with window names. */
  readonly takesWindow?: boolean
  run(slash: SlashContext, args: readonly string[]): Promise<readonly string[]>
}

const commands: Readonly<Record<string, SlashCommand>> = {
  freeze: {
    usage: '/freeze NAME',
    description: 'freeze this chat, including the last answer, as window NAME',
    argumentCount: [1, 1],
    run: async ({ context: { rest, screen }, conversation, signal }, [name = '']) => {
      const body: FreezeBody = { name, session_id: conversation.session }
      return formatNewWindow(screen, await rest.json<WindowJson>('/cwm/v1/windows', { method: 'POST', body, signal }))
    },
  },
  thaw: {
    usage: '/thaw NAME',
    description: 'continue from window NAME in a new session',
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
    description: 'clone a window, or its first MESSAGES, under a new name',
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
    description: 'list windows whose names contain TEXT',
    argumentCount: [0, 1],
    run: async ({ context: { rest, screen }, signal }, [search]) => {
      const { data } = await listAll<WindowJson>(rest, '/cwm/v1/windows', { limit: 20 }, { query: { search }, signal })
      return data.length === 0 ? ['no windows'] : formatTable(screen, windowColumns(screen.now()), data)
    },
  },
  sessions: {
    usage: '/sessions',
    description: 'list sessions, most recent turn first',
    argumentCount: [0, 0],
    run: async ({ context: { rest, screen }, signal }) => {
      const { data } = await listAll<SessionJson>(rest, '/cwm/v1/sessions', { limit: 20 }, { signal })
      return data.length === 0 ? ['no sessions'] : formatTable(screen, sessionColumns(screen.now()), data)
    },
  },
  status: {
    usage: '/status',
    description: 'show how full this session is, and how much was cached',
    argumentCount: [0, 0],
    run: async ({ context: { screen }, conversation, signal }) => {
      const status = await conversation.refresh(signal)
      return status === undefined ? [`session ${conversation.session}: no turns yet`] : formatSession(screen, status)
    },
  },
  model: {
    usage: '/model [NAME]',
    description: 'list the models, or switch to another one',
    argumentCount: [0, 1],
    run: async ({ context: { rest }, conversation, signal }, [name]) => {
      const models = await listModels(rest, signal)
      if (name === undefined) return models.map((model) => `${model === conversation.model ? '*' : ' '} ${model}`)
      if (!models.includes(name)) return [`unknown model ${name}; available: ${models.join(', ')}`]
      conversation.model = name
      return [`model ${name}`]
    },
  },
  new: {
    usage: '/new',
    description: 'start over in a new session',
    argumentCount: [0, 0],
    run: async ({ conversation }) => {
      conversation.switchTo(newSession())
      return [`session ${conversation.session}`]
    },
  },
}

const others = [
  ['/help', 'show this list'],
  ['/quit', 'leave the chat; the session stays, and can be frozen while cwm retains its last turn'],
] as const

/** Runs a slash command and returns the lines to print. Throws the errors of `Rest`. */
export async function runSlash(slash: SlashContext, line: string): Promise<readonly string[]> {
  const [name = '', ...args] = line.slice(1).trim().split(/\s+/)
  if (name === 'help') return help()
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) return [`unknown command /${name}; /help lists all commands`]
  const [least, most] = command.argumentCount
  if (args.length < least || args.length > most) return [`usage: ${command.usage}`]
  return await command.run(slash, args)
}

function help(): string[] {
  const all = [...Object.values(commands).map(({ usage, description }) => [usage, description] as const), ...others]
  const width = Math.max(...all.map(([usage]) => usage.length))
  return [
    ...all.map(([usage, does]) => `${usage.padEnd(width)}  ${does}`),
    'End a line with \\ to continue it on the next. Ctrl-C stops an answer; on an empty line it leaves the chat.',
  ]
}

/** Completions of the line, for readline. */
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

/** Ids of the available models. */
export async function listModels(rest: CommandContext['rest'], signal: AbortSignal): Promise<string[]> {
  const { data } = await rest.json<{ readonly data: readonly { readonly id: string }[] }>('/v1/models', { signal })
  return data.map(({ id }) => id)
}
