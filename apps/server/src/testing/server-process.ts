import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerConfig } from '../config.ts'

export interface ServerProcess {
  readonly child: ChildProcess
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>
  /** What it has printed so far. */
  readonly output: { out: string; err: string }
  /** From its ready line. */
  readonly url: () => string
  /** Ends it, however it stands, and removes its configuration. */
  readonly end: () => void
}

const main = join(import.meta.dirname, '..', 'main.ts')

/** A server in a process of its own, from its first line on. */
export async function launchServer(dataDir: string, config: ServerConfig, flags: readonly string[] = []): Promise<ServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'nightlatch-config-'))
  writeFileSync(join(folder, 'server.json'), JSON.stringify(config))
  const parameters = ['--port', '0', '--data', dataDir, '--config', join(folder, 'server.json'), ...flags]
  const child = spawn(process.execPath, ['--conditions=nightlatch-source', main, ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { out: '', err: '' }
  child.stdout.on('data', (chunk) => (output.out += String(chunk)))
  child.stderr.on('data', (chunk) => (output.err += String(chunk)))
  const exited = once(child, 'exit').then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null }))
  await Promise.race([exited, once(child.stdout, 'data')])
  return {
    child,
    exited,
    output,
    url: () => (JSON.parse(output.out) as { url: string }).url,
    end: () => {
      child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
