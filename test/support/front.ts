// Caddy and nginx in front of a cwm, with TLS, from the files in `deploy`. Only ports, paths and the name of the certificate are changed.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { until } from './deadline.ts'
import { pathOf, root, run, type Tool } from './deploy-tools.ts'
import { freePort } from './raw-upstream.ts'

export interface Front {
  readonly url: string
  /** The certificate that a client must trust, PEM. */
  readonly ca: string
  close(): Promise<void>
}

export type StartFront = (cwmUrl: string) => Promise<Front>

/** The public name in all tests. */
const NAME = 'localhost'

export const startCaddy: StartFront = (cwmUrl) => startCaddyOf('caddy', cwmUrl)

/** Caddy 2.6.2, which does not know the option that replaced `buffer_requests`. */
export const startDebianCaddy: StartFront = (cwmUrl) =>
  startCaddyOf('debian-caddy', cwmUrl, { CADDY_REQUEST_BUFFERING: 'buffer_requests' })

async function startCaddyOf(tool: Tool, cwmUrl: string, more: NodeJS.ProcessEnv = {}): Promise<Front> {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-caddy-'))
  const port = await freePort()
  const env = {
    CWM_SITE: `https://${NAME}:${port}`,
    CWM_PROXIES: new URL(cwmUrl).host,
    // Its own authority, whose root nobody has to trust but the client of the test.
    CADDY_GLOBAL_OPTIONS: 'admin off\nskip_install_trust\nauto_https disable_redirects\nlocal_certs',
    XDG_DATA_HOME: folder,
    XDG_CONFIG_HOME: folder,
    ...more,
  }
  const words = ['run', '--adapter', 'caddyfile', '--config', join(root, 'deploy/caddy/Caddyfile')]
  const child = start(pathOf(tool), words, env)
  const authority = join(folder, 'caddy/pki/authorities/local/root.crt')
  const ca = await until('Caddy has a certificate', () => wholeCertificate(authority))
  return await ready({ child, folder, port, ca })
}

/** Undefined while Caddy is still writing it. */
async function wholeCertificate(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.includes('-----END CERTIFICATE-----') ? text : undefined
}

export const startNginx: StartFront = async (cwmUrl) => {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-nginx-'))
  const port = await freePort()
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const subject = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`, '-days', '2']
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key]
  await run('openssl', ...made, '-out', certificate, ...subject)
  const conf = replaceEach(await readFile(join(root, 'deploy/nginx/cwm.conf'), 'utf8'), {
    'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
    'server 127.0.0.1:8787': `server ${new URL(cwmUrl).host}`,
    'server_name cwm.example.com;': `server_name ${NAME};`,
    '/etc/nginx/tls/cwm.crt': certificate,
    '/etc/nginx/tls/cwm.key': key,
  })
  await writeFile(join(folder, 'cwm.conf'), conf)
  await writeFile(join(folder, 'nginx.conf'), mainConf(folder))
  const child = start(pathOf('nginx'), ['-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')], {
    PATH: `${process.env.PATH ?? ''}:/usr/sbin`,
  })
  return await ready({ child, folder, port, ca: await readFile(certificate, 'utf8') })
}

/** What Debian's own nginx.conf says around conf.d, with all its files in one folder. */
function mainConf(folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder};`)
  return `daemon off; master_process off; pid ${folder}/pid; events { worker_connections 1024; }
http { access_log off; ${temporary.join(' ')} include ${folder}/cwm.conf; }`
}

/** Each text must occur once, so that a change of the file is noticed. */
function replaceEach(text: string, pairs: Readonly<Record<string, string>>): string {
  return Object.entries(pairs).reduce((all, [from, to]) => {
    if (all.split(from).length !== 2) throw new Error(`the file does not have exactly one: ${from}`)
    return all.replace(from, to)
  }, text)
}

function start(program: string, words: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(program, words, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
}

interface Started {
  readonly child: ChildProcess
  readonly folder: string
  readonly port: number
  readonly ca: string
}

async function ready({ child, folder, port, ca }: Started): Promise<Front> {
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const close = async () => {
    if (child.exitCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await until('the front answers with its certificate', () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${errors}`)
      return handshake(port, ca)
    })
  } catch (error) {
    await close()
    throw error
  }
  return { url: `https://${NAME}:${port}`, ca, close }
}

async function handshake(port: number, ca: string): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: NAME })
  try {
    await once(socket, 'secureConnect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
