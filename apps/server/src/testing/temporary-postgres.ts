import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

export interface TemporaryPostgres {
  /** Of a new database: empty, or a copy of one that nobody is connected to. */
  createDatabase(options?: { readonly from?: string }): Promise<string>
  /** Stops the server at once, as a crash would, and keeps its data. */
  pause(): Promise<void>
  resume(): Promise<void>
  stop(): Promise<void>
}

const DEBIAN_BINARIES = '/usr/lib/postgresql'
const READY_WITHIN_MS = 20_000

/** Where the newest PostgreSQL of this machine is, if there is one of 15 or later. */
export function findPostgres(): string | undefined {
  if (!existsSync(DEBIAN_BINARIES)) return undefined
  const majors = readdirSync(DEBIAN_BINARIES)
    .map(Number)
    .filter((major) => major >= 15)
  const folder = join(DEBIAN_BINARIES, String(Math.max(...majors, 0)), 'bin')
  return existsSync(join(folder, 'initdb')) ? folder : undefined
}

/** A PostgreSQL of its own in a temporary directory, on a private port, without the durability that throw-away data does not need. */
export async function startTemporaryPostgres(settings: readonly string[] = []): Promise<TemporaryPostgres> {
  const binaries = findPostgres()
  if (!binaries) throw new Error('PostgreSQL 15 or later is not installed: apt-get install postgresql')
  const directory = mkdtempSync(join(tmpdir(), 'nightlatch-postgres-'))
  const account = unprivilegedAccount()
  if (account) chownSync(directory, account.uid, account.gid)
  const port = await freePort()
  const data = join(directory, 'data')

  await run(join(binaries, 'initdb'), ['-D', data, '-U', 'nightlatch', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C'], account)
  const options = ['fsync=off', 'full_page_writes=off', 'max_connections=100', ...settings].flatMap((setting) => ['-c', setting])
  const urlOf = (database: string) => `postgres://nightlatch@127.0.0.1:${port}/${database}`
  const start = async () => {
    const server = spawn(join(binaries, 'postgres'), ['-D', data, '-p', String(port), '-k', directory, '-h', '127.0.0.1', ...options], {
      stdio: 'ignore',
      ...account,
    })
    const killWithUs = () => void server.kill('SIGQUIT')
    process.once('exit', killWithUs)
    const exited = once(server, 'exit')
    await waitUntilReady(urlOf('postgres'))
    return async () => {
      process.off('exit', killWithUs)
      server.kill('SIGQUIT')
      await exited
    }
  }
  let kill = await start()
  let databases = 0

  return {
    async createDatabase({ from } = {}) {
      const name = `test_${++databases}`
      const template = from === undefined ? '' : `template ${new URL(from).pathname.slice(1)}`
      await queryOnce(urlOf('postgres'), `create database ${name} ${template}`)
      return urlOf(name)
    },
    pause: () => kill(),
    async resume() {
      kill = await start()
    },
    async stop() {
      await kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** PostgreSQL refuses to run as root; Debian's package brings this account. */
function unprivilegedAccount(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const [, , uid, gid] = /^postgres:.*$/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[0].split(':') ?? []
  return { uid: Number(uid), gid: Number(gid) }
}

async function run(command: string, args: readonly string[], account: object | undefined): Promise<void> {
  const child = spawn(command, args, { stdio: 'ignore', ...account })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}.`)
}

async function waitUntilReady(url: string): Promise<void> {
  for (const startedAt = Date.now(); ; await delay(30)) {
    try {
      return await queryOnce(url, 'select 1')
    } catch (error) {
      if (Date.now() - startedAt > READY_WITHIN_MS) throw error
    }
  }
}

async function queryOnce(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  if (typeof address !== 'object' || !address) throw new Error('No free port.')
  return address.port
}
