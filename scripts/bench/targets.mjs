// What is measured, in the order of each round. Each is a process of its own on the proxy's core; a further peer is a further entry.

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { start } from './process.mjs'

const here = (file) => fileURLToPath(new URL(file, import.meta.url))
const isInstalled = (program) => spawnSync('which', [program]).status === 0

function pass(mode) {
  return (port, upstream, options) => start(process.execPath, [here('pass.mjs'), port, upstream, mode], options)
}

function cwm(port, upstream, { dir, ...options }) {
  const data = join(dir, `data-${port}`)
  mkdirSync(data, { mode: 0o700 })
  const args = ['serve', '--upstream', upstream, '--port', port, '--data-dir', data]
  return start(process.execPath, [here('../../dist/cli/main.js'), ...args], options)
}

function nginx(port, upstream, { dir, ...options }) {
  const home = join(dir, 'nginx')
  mkdirSync(join(home, 'logs'), { recursive: true })
  writeFileSync(
    join(home, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${home}/nginx.pid; error_log ${home}/error.log;
events { worker_connections 1024; }
http {
  access_log off; client_max_body_size 64m; client_body_buffer_size 1m; keepalive_requests 1000000000;
  client_body_temp_path ${home}/body; proxy_temp_path ${home}/proxy; fastcgi_temp_path ${home}/f; uwsgi_temp_path ${home}/u; scgi_temp_path ${home}/s;
  upstream engine { server ${new URL(upstream).host}; keepalive 512; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } }
}
`,
  )
  return start('nginx', ['-p', home, '-c', join(home, 'nginx.conf')], options)
}

/** `why`: what must be installed first, where it is not. */
export const targets = [
  { name: 'direct', title: 'direct' },
  {
    name: 'nginx',
    title: 'nginx `proxy_pass`',
    run: nginx,
    why: isInstalled('nginx') ? undefined : 'apt-get install nginx',
  },
  { name: 'bare', title: 'node:http + undici', run: pass('bare') },
  { name: 'parse', title: 'the same with `JSON.parse`', run: pass('parse') },
  { name: 'cwm-named', title: 'cwm, named', run: cwm, isCwm: true, isNamed: true },
  { name: 'cwm-prefix', title: 'cwm, by prefix', run: cwm, isCwm: true, isNamed: false },
]
