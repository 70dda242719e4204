// What is measured: how each target is started before the mock upstream, and how it is asked. Peers: peers.mjs.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { here } from './processes.mjs'

/** nginx as a reverse proxy of one worker: connections to the upstream kept, answers passed on as they come. */
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
/** As a user runs it: a build (the path of its main.js), SQLite, the default log. */
const cwm =
  (build) =>
  ({ port, upstream, folder }) =>
    node([build, 'serve', '--upstream', upstream, '--port', String(port), '--data-dir', join(folder, 'data')])

/** The ways in which a request comes to its session: named by the client, led to by its history, or begun by it; with their words in tables. */
const ways = { named: 'named', prefix: 'by prefix', first: 'first turn', unknown: 'unknown history' }
export const WAYS = Object.keys(ways)

/** A build of cwm, as many processes of it as there are ways: each is warmed up by its own way alone. */
const inEachWay = (name, title, build) =>
  WAYS.map((way) => ({ name: `${name}-${way}`, title: `${title}, ${ways[way]}`, session: way, start: cwm(build) }))

/**
 * In the order of each round. `start`: what to run, which answers `readyPath` (`/v1/models` unless told) when it is ready; without it, the mock
 * itself is asked. `session`: how a request comes to its session. `missing`: how to get what is not there.
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
  // In the same rounds: runs of one build differ by more than most changes cost.
  ...(process.env.BENCH_BEFORE === undefined ? [] : inEachWay('before', 'cwm before', process.env.BENCH_BEFORE)),
]
