// A client over HTTP or TLS that shows each part of an answer as it arrives.

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { within } from './deadline.ts'

export interface FrontAsk {
  readonly body: object
  /** The certificate to trust, PEM; only with https. */
  readonly ca?: string
  readonly signal?: AbortSignal
  /** The address on this machine to connect from, for example 127.0.0.2. */
  readonly from?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Connections that are kept. By default, each call has a connection of its own. */
  readonly agent?: HttpAgent
  /** Called with each part of the answer's body. */
  readonly onText?: (text: string) => void
}

export interface FrontAnswer {
  readonly status: number
  readonly text: string
}

/** An agent that keeps its connections. `ca`: the certificate to trust, PEM; only with https. */
export function keptConnections(url: string, ca?: string): HttpAgent {
  const isTls = url.startsWith('https:')
  return isTls
    ? new HttpsAgent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) })
    : new HttpAgent({ keepAlive: true })
}

/** Posts JSON, and reads the answer to its end. Every name is an address of this machine. */
export function postTo(url: string, path: string, asked: FrontAsk): Promise<FrontAnswer> {
  const { ca, body, signal, from, agent = false, onText } = asked
  const text = JSON.stringify(body)
  const { protocol, hostname, port, host } = new URL(url)
  const own = { host, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  const options = {
    ...{ host: '127.0.0.1', port, path, method: 'POST', agent, headers: { ...own, ...asked.headers } },
    ...(protocol === 'https:' ? { ca, servername: hostname } : {}),
    ...(from === undefined ? {} : { localAddress: from }),
    ...(signal === undefined ? {} : { signal }),
  }
  const got = new Promise<FrontAnswer>((resolve, reject) => {
    const onAnswer = (answer: IncomingMessage) =>
      void read(answer, onText).then((whole) => resolve({ status: answer.statusCode ?? 0, text: whole }), reject)
    const sent = protocol === 'https:' ? httpsRequest(options, onAnswer) : httpRequest(options, onAnswer)
    sent.on('error', reject)
    sent.end(text)
  })
  return within(`an answer to POST ${path} of ${url}`, got)
}

async function read(answer: IncomingMessage, onText: FrontAsk['onText']): Promise<string> {
  let whole = ''
  answer.setEncoding('utf8')
  for await (const text of answer as AsyncIterable<string>) {
    whole += text
    onText?.(text)
  }
  return whole
}
