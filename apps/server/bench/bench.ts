/**
 * `pnpm --filter @nightlatch/server bench [rows…]`: what one server does on each engine, with its clients on the same machine.
 * Prints Markdown tables; the results that are kept are in `bench/server.md` of the repository.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { openDatabase } from '../src/database/open-database.ts'
import { silentLog } from '../src/log.ts'
import { temporaryDataDir } from '../src/testing/temporary-data-dir.ts'
import { startTemporaryPostgres } from '../src/testing/temporary-postgres.ts'

const SECONDS = Number(process.env.BENCH_SECONDS ?? 3)
const IN_FLIGHT = 16
const growth = process.argv.slice(2).map(Number)
const agent = new Agent({ keepAlive: true, maxSockets: 4096 })

interface Session {
  access_token: string
  refresh_token: string
  user_id: string
}

class Bench {
  readonly url: string
  readonly pid: number

  constructor(url: string, pid: number) {
    this.url = url
    this.pid = pid
  }

  call(method: string, path: string, token?: string, body?: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
      const sent = request(`${this.url}${path}`, { method, agent, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          if (response.statusCode === 200) resolve(JSON.parse(text))
          else reject(new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 200)}`))
        })
      })
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  async sessions(count: number): Promise<Session[]> {
    const found: Session[] = []
    await inFlight(IN_FLIGHT, count, async () => {
      found.push((await this.call('POST', '/v1/auth/login', undefined, { provider: 'anonymous' })) as Session)
    })
    return found
  }

  memoryMb(): number {
    const [, kb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8')) ?? []
    return Math.round(Number(kb) / 1024)
  }

  /** Resolves when the stream has said hello; `onHint` hears every later RESYNC. */
  openStream(session: Session, onHint: () => void): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.url}/v1/sync/shared/0/stream?scope=public`,
        { agent, headers: { Authorization: `Bearer ${session.access_token}` } },
        (response) => {
          let greeted = false
          response.on('data', () => {
            if (greeted) return onHint()
            greeted = true
            resolve(() => sent.destroy())
          })
          response.on('error', () => {})
        },
      )
      sent.on('error', reject)
      sent.end()
    })
  }
}

async function inFlight(width: number, count: number, act: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await act(next++)
    }),
  )
}

/** Operations per second of `act`, sixteen at a time. */
async function rate(act: (lane: number, n: number) => Promise<unknown>): Promise<number> {
  const until = performance.now() + SECONDS * 1000
  let done = 0
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async (_, lane) => {
      for (let n = 0; performance.now() < until; n++) {
        await act(lane, n)
        done++
      }
    }),
  )
  return Math.round(done / SECONDS)
}

const percentile = (values: number[], share: number) => values.sort((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0
const document = (id: string) => ({
  newDocumentState: { id, text: 'Adelie, Biscoe, 39.1 mm', mass: 3750, notes: 'x'.repeat(200), _deleted: false },
})

async function measure(bench: Bench): Promise<Record<string, string>> {
  const results: Record<string, string> = {}
  const sessions = await bench.sessions(1000)
  const [first] = sessions
  if (!first) throw new Error('No session.')

  const tokens = sessions.slice(0, IN_FLIGHT).map((session) => session.refresh_token)
  const refreshes = await rate(async (lane) => {
    tokens[lane] = ((await bench.call('POST', '/v1/auth/refresh', undefined, { refresh_token: tokens[lane] })) as Session).refresh_token
  })
  results['refreshes/s'] = String(refreshes)

  for (const scopes of [1, 10, 100, 1000]) {
    let n = 0
    const pushes = await rate(() => {
      const session = sessions[n % scopes] ?? first
      return bench.call('POST', '/v1/sync/own/0/push', session.access_token, [document(`s${scopes}-${n++}`)])
    })
    results[`pushes/s of 1 row, ${scopes} scopes`] = String(pushes)
  }
  let batch = 0
  const batches = await rate(() => {
    const rows = Array.from({ length: 50 }, (_, row) => document(`b${batch}-${row}`))
    return bench.call('POST', '/v1/sync/own/0/push', (sessions[batch++ % 100] ?? first).access_token, rows)
  })
  results['rows/s in pushes of 50'] = String(batches * 50)
  let page = 0
  results['pulls/s of 100 rows'] = String(
    await rate(() => bench.call('GET', '/v1/sync/own/0/pull?limit=100', (sessions[page++ % 100] ?? first).access_token)),
  )

  results['memory before streams, MB'] = String(bench.memoryMb())
  const closers: (() => void)[] = []
  let heard: number[] = []
  let sentAt = 0
  for (const count of [10, 100, 500, 2000]) {
    await inFlight(IN_FLIGHT, count - closers.length, async (n) => {
      closers.push(await bench.openStream(sessions[n % 1000] ?? first, () => heard.push(performance.now() - sentAt)))
    })
    const delays: number[] = []
    for (let round = 0; round < 5; round++) {
      heard = []
      sentAt = performance.now()
      await bench.call('POST', '/v1/sync/shared/0/push?scope=public', first.access_token, [document(`f${count}-${round}`)])
      while (heard.length < count) await new Promise((resolve) => setTimeout(resolve, 2))
      delays.push(...heard)
    }
    results[`push to hint, ${count} streams, ms p50 / p99`] =
      `${percentile(delays, 0.5).toFixed(1)} / ${percentile(delays, 0.99).toFixed(1)}`
    results[`memory with ${count} streams, MB`] = String(bench.memoryMb())
  }
  for (const close of closers) close()
  return results
}

async function measureGrowth(bench: Bench, rows: number): Promise<Record<string, string>> {
  const [session] = await bench.sessions(1)
  if (!session) throw new Error('No session.')
  const { checkpoint } = (await bench.call('GET', '/v1/sync/shared/0/pull?scope=public&limit=1', session.access_token)) as {
    checkpoint: { incarnation: string }
  }
  const times = { pull: [] as number[], push: [] as number[] }
  for (let n = 0; n < 100; n++) {
    const at = { incarnation: checkpoint.incarnation, scopes: { public: Math.floor((rows - 200) * Math.random()) } }
    const startedAt = performance.now()
    await bench.call(
      'GET',
      `/v1/sync/shared/0/pull?scope=public&limit=100&checkpoint=${encodeURIComponent(JSON.stringify(at))}`,
      session.access_token,
    )
    const pulledAt = performance.now()
    await bench.call('POST', '/v1/sync/shared/0/push?scope=public', session.access_token, [document(`g${n}`)])
    times.pull.push(pulledAt - startedAt)
    times.push.push(performance.now() - pulledAt)
  }
  return {
    [`${rows} rows: pull of 100, ms p50 / p99`]: `${percentile(times.pull, 0.5).toFixed(1)} / ${percentile(times.pull, 0.99).toFixed(1)}`,
    [`${rows} rows: push of 1, ms p50 / p99`]: `${percentile(times.push, 0.5).toFixed(1)} / ${percentile(times.push, 0.99).toFixed(1)}`,
  }
}

async function withServer<T>(place: { dataDir: string; databaseUrl: string | undefined }, act: (bench: Bench) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'nightlatch-bench-'))
  const config = join(folder, 'server.json')
  writeFileSync(config, JSON.stringify({ collections: { own: { schemaVersion: 0 }, shared: { schemaVersion: 0, scope: 'public' } } }))
  const flags = [
    '--port',
    '0',
    '--data',
    place.dataDir,
    '--config',
    config,
    '--requests-per-minute',
    '9999999',
    '--credentials-per-minute',
    '9999999',
  ]
  const child: ChildProcess = spawn(
    process.execPath,
    ['--conditions=nightlatch-source', join(import.meta.dirname, '..', 'src', 'main.ts'), ...flags],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...(place.databaseUrl === undefined ? {} : { DATABASE_URL: place.databaseUrl }) },
    },
  )
  const [ready] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  try {
    return await act(new Bench((JSON.parse(String(ready)) as { url: string }).url, child.pid ?? 0))
  } finally {
    child.kill('SIGTERM')
    await once(child, 'exit')
    rmSync(folder, { recursive: true })
  }
}

async function fill(place: { dataDir: string; databaseUrl: string | undefined }, rows: number): Promise<void> {
  const { db, close } = await openDatabase(place, silentLog)
  const present = await sql<{ n: number }>`select coalesce(max(seq), 0)::int as n from sync_docs where collection = 'shared'`.execute(db)
  const from = present.rows[0]?.n ?? 0
  await sql`
    insert into sync_docs select 'shared', 'public', 'row-' || n, n, false, jsonb_build_object('id', 'row-' || n, 'text', repeat('x', 200)), 0, null
    from generate_series(${from + 1}::int, ${rows}::int) n
  `.execute(db)
  await sql`insert into sync_heads (collection, scope, seq) values ('shared', 'public', ${rows}) on conflict (collection, scope) do update set seq = excluded.seq`.execute(
    db,
  )
  await sql`analyze sync_docs`.execute(db)
  await close()
}

const columns: Record<string, string>[] = []
console.log(
  `${availableParallelism()} cores shared with the clients, load ${loadavg()[0]?.toFixed(1)} at the start, ${SECONDS} s per figure, ${IN_FLIGHT} in flight, Node ${process.version}\n`,
)
for (const engine of ['pglite', 'postgresql'] as const) {
  const directory = await temporaryDataDir({ withDatabase: engine === 'pglite' })
  const postgres = engine === 'postgresql' ? await startTemporaryPostgres(['fsync=on', 'full_page_writes=on']) : undefined
  const place = { dataDir: directory.path, databaseUrl: await postgres?.createDatabase() }
  const results = await withServer(place, measure)
  for (const rows of growth) {
    await fill(place, rows)
    Object.assign(results, await withServer(place, (bench) => measureGrowth(bench, rows)))
  }
  columns.push(results)
  await postgres?.stop()
  directory.remove()
}
const [pglite = {}, postgresql = {}] = columns
console.log('| what | PGlite | PostgreSQL |\n|---|---|---|')
for (const what of Object.keys(pglite)) console.log(`| ${what} | ${pglite[what]} | ${postgresql[what]} |`)
console.log(`\nLoad at the end: ${loadavg()[0]?.toFixed(1)}`)
process.exit(0)
