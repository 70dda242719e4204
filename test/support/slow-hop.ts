// A simulated network between cwm and Redis that can be slow or cut: bytes are held and connections stay open, as with a dead switch.

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { listenLocally } from './local-port.ts'

export class SlowHop {
  /** Where it listens. */
  port = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #waiting: (() => void)[] = []
  #cut = false
  /** Delay of each byte, milliseconds. */
  delayMs = 0

  private constructor(target: number) {
    this.#server = createServer((client) => {
      const server = connect(target, '127.0.0.1')
      this.#join(client, server)
      this.#join(server, client)
    })
  }

  /** Forwards to a port of this machine. */
  static async before(port: number): Promise<SlowHop> {
    const hop = new SlowHop(port)
    hop.port = await listenLocally(hop.#server)
    return hop
  }

  /** Holds back everything from now on, without closing connections. */
  cut(): void {
    this.#cut = true
  }

  /** Delivers what was held back, in order, and forwards again. */
  mend(): void {
    this.#cut = false
    for (const pass of this.#waiting.splice(0)) pass()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.on('data', (bytes) => this.#pass(() => void to.write(bytes)))
    from.on('error', () => {})
    from.on('close', () => {
      this.#sockets.delete(from)
      this.#pass(() => to.destroy())
    })
  }

  #pass(act: () => void): void {
    if (this.#cut) this.#waiting.push(act)
    else if (this.delayMs > 0) setTimeout(act, this.delayMs)
    else act()
  }
}
