// A network between cwm and Redis that breaks at a chosen command, so that a test can interrupt a turn at each of its calls.

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { listenLocally } from './local-port.ts'

/**
 * How it breaks. `reset`: connections are closed before Redis gets the command. `answer lost`: they are closed once Redis has executed it.
 * `silence`: nothing passes any more, and connections stay open.
 */
export type CutKind = 'reset' | 'answer lost' | 'silence'

export class CuttingHop {
  /** Where it listens. */
  port = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #kind: CutKind = 'reset'
  /** Commands until the cut; undefined: none is planned. */
  #left: number | undefined
  /** The only command that is counted, lower case; undefined: all. */
  #name: string | undefined
  #state: 'whole' | 'cut' | 'awaits answer' = 'whole'

  private constructor(target: number) {
    this.#server = createServer((client) => this.#join(client, target))
  }

  /** Forwards to a port of this machine. */
  static async before(port: number): Promise<CuttingHop> {
    const hop = new CuttingHop(port)
    hop.port = await listenLocally(hop.#server)
    return hop
  }

  /** Whether the planned command has come. */
  get isCut(): boolean {
    return this.#state !== 'whole'
  }

  /** Breaks at the `n`th command from now, or the `n`th with this name, counted from 1, on any connection. */
  cutAt(n: number, kind: CutKind, name?: string): void {
    this.#left = n
    this.#kind = kind
    this.#name = name
  }

  /** Breaks at once. */
  cut(kind: CutKind): void {
    this.#kind = kind
    this.#break()
  }

  /** Forwards again, on new connections. */
  mend(): void {
    this.#left = undefined
    if (this.#state === 'whole') return
    this.#close()
    this.#state = 'whole'
  }

  async close(): Promise<void> {
    this.#close()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(client: Socket, target: number): void {
    if (this.#state === 'cut' && this.#kind !== 'silence') {
      client.destroy()
      return
    }
    const server = connect(target, '127.0.0.1')
    const commands = new CommandReader()
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (bytes) => {
      for (const command of commands.read(bytes)) this.#send(command, server)
    })
    server.on('data', (bytes) => {
      if (this.#state === 'awaits answer') this.#break()
      else if (this.#state === 'whole') client.write(bytes)
    })
  }

  #send(command: Buffer, server: Socket): void {
    if (this.#state === 'cut') return
    if (this.#state === 'whole' && this.#left !== undefined && this.#counts(command)) {
      this.#left--
      if (this.#left === 0 && this.#kind === 'answer lost') this.#state = 'awaits answer'
      else if (this.#left === 0) this.#break()
    }
    if (this.isCut && this.#kind !== 'answer lost') return
    server.write(command)
  }

  #counts(command: Buffer): boolean {
    return this.#name === undefined || command.toString('latin1').split('\r\n', 3)[2]?.toLowerCase() === this.#name
  }

  #break(): void {
    this.#state = 'cut'
    this.#left = undefined
    if (this.#kind !== 'silence') this.#close()
  }

  #close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** Splits what a client of Redis sends into its commands, which are lists of texts with their lengths (RESP). */
class CommandReader {
  #rest = Buffer.alloc(0)

  read(bytes: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, bytes])
    const commands: Buffer[] = []
    for (let end = endOfCommand(this.#rest); end !== undefined; end = endOfCommand(this.#rest)) {
      commands.push(this.#rest.subarray(0, end))
      this.#rest = this.#rest.subarray(end)
    }
    return commands
  }
}

/** Undefined if the command is not complete. */
function endOfCommand(bytes: Buffer): number | undefined {
  const count = numberAt(bytes, 0)
  let at = count?.end
  for (let n = 0; n < (count?.value ?? 0) && at !== undefined; n++) {
    const length = numberAt(bytes, at)
    at = length === undefined ? undefined : length.end + length.value + 2
  }
  return at !== undefined && at <= bytes.length ? at : undefined
}

/** The number of a line such as `*3` or `$12`. */
function numberAt(bytes: Buffer, from: number): { readonly value: number; readonly end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', from)
  if (lineEnd < 0) return undefined
  return { value: Number(bytes.toString('latin1', from + 1, lineEnd)), end: lineEnd + 2 }
}
