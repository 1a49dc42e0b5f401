import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './temporary-postgres.ts'

const BINARY = '/usr/sbin/nginx'

export const hasNginx = () => existsSync(BINARY)

/** nginx in front of `upstreams` (`host:port`), as the operations page sets it up: no sticky sessions, no buffering of streams. */
export async function startTemporaryNginx(upstreams: readonly string[]): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'nightlatch-nginx-'))
  const port = await freePort()
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(' ')
  const configuration = join(directory, 'nginx.conf')
  writeFileSync(
    configuration,
    `daemon off; master_process off; pid ${directory}/pid; error_log ${directory}/error.log;
     events { worker_connections 512; }
     http {
       access_log off; ${temp}
       upstream servers { ${upstreams.map((address) => `server ${address} max_fails=1 fail_timeout=2s;`).join(' ')} keepalive 16; }
       server {
         listen 127.0.0.1:${port};
         client_max_body_size 1m;
         location / {
           proxy_pass http://servers;
           proxy_http_version 1.1;
           proxy_set_header Connection "";
           proxy_set_header X-Forwarded-For $remote_addr;
           proxy_buffering off;
           proxy_read_timeout 60s;
           proxy_next_upstream error timeout;
         }
       }
     }`,
  )
  const nginx = spawn(BINARY, ['-c', configuration, '-p', directory], { stdio: 'ignore' })
  const killWithUs = () => void nginx.kill('SIGKILL')
  process.once('exit', killWithUs)
  const exited = once(nginx, 'exit')
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; tries < 100 && !(await fetch(`${url}/healthz`).catch(() => undefined)); tries++) await delay(30)
  return {
    url,
    async stop() {
      process.off('exit', killWithUs)
      nginx.kill('SIGTERM')
      await exited
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
