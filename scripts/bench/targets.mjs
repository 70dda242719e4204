// The targets: how each is started in front of the mock upstream, and how it finds sessions. Peers are in peers.mjs.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { here } from './processes.mjs'
import { listTenants } from './tenants.mjs'

/** nginx as a reverse proxy with one worker: keep-alive connections to the upstream, unbuffered answers. */
const nginxConf = (port, upstream, folder) => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  keepalive_requests 1000000000;
  upstream mock { server ${new URL(upstream).host}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`

const node = (args) => ({ command: process.execPath, args })
const pass =
  (mode) =>
  ({ port, upstream }) =>
    node([here('pass.mjs'), String(port), upstream, mode])
/** As a user runs it: a build (the path of its main.js), SQLite, the default log; with `tenants`, a settings file that lists so many. */
const cwm =
  (build) =>
  ({ port, upstream, folder, tenants }) => {
    const dataFolder = join(folder, 'data')
    const args = [build, 'serve', '--upstream', upstream, '--port', String(port), '--data-dir', dataFolder]
    const listed = tenants === undefined ? { args: [], env: {} } : listTenants(folder, tenants)
    return { ...node([...args, ...listed.args]), env: listed.env, dataFolder }
  }

/** How a request finds its session: named by the client, found by its history, or started by it; with the labels of the tables. */
const ways = { named: 'named', prefix: 'by prefix', first: 'first turn', unknown: 'unknown history' }
export const WAYS = Object.keys(ways)

/** One process per way for a build of cwm, so that each is only warmed up by its own way. */
const inEachWay = (name, title, build) =>
  WAYS.map((way) => ({
    name: `${name}-${way}`,
    title: `${title}, ${ways[way]}`,
    session: way,
    readyPath: '/cwm/v1/health',
    start: cwm(build),
  }))

/**
 * In the order of a round. `start`: the command to run; ready once `readyPath` (default `/v1/models`) answers. Without it, the mock
 * upstream itself is measured. `session`: how a request finds its session. `missing`: how to install a missing program.
 */
export const targets = [
  { name: 'direct', title: 'direct' },
  {
    name: 'nginx',
    title: 'nginx `proxy_pass`',
    missing: () => spawnSync('nginx', ['-v']).error && 'apt-get install nginx-light',
    start: ({ port, upstream, folder }) => {
      writeFileSync(join(folder, 'nginx.conf'), nginxConf(port, upstream, folder))
      return { command: 'nginx', args: ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')] }
    },
  },
  { name: 'bare', title: 'node:http + undici', start: pass('bare') },
  { name: 'parse', title: 'the same with `JSON.parse`', start: pass('parse') },
  ...inEachWay('cwm', 'cwm', process.env.BENCH_CWM ?? here('../../dist/cli/main.js')),
  // Measured in the same rounds, because runs of one build differ by more than most changes cost.
  ...(process.env.BENCH_BEFORE === undefined ? [] : inEachWay('before', 'cwm before', process.env.BENCH_BEFORE)),
]
