/**
 * Cost of the guard beside bare RxDB, in one process and in memory: halting, calls, counting.
 * Run: node_modules/.bin/node --expose-gc --conditions=nightlatch-source packages/sync-guard/bench/guard.ts [halting | calling | counting | memory]
 */
import { createRxDatabase, type RxCollection } from 'rxdb/plugins/core'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { BehaviorSubject } from 'rxjs'
import { createSyncGuard, type SyncSession } from '../src/index.ts'

type Doc = { id: string; text: string }
type Checkpoint = { readonly from: number }
const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 40 }, text: { type: 'string' } },
  required: ['id', 'text'],
} as const

console.warn = () => {} // RxDB's advertisement
const storage = getRxStorageMemory()
let names = 0

async function database(collections: number) {
  names += 1
  const db = await createRxDatabase<Record<string, RxCollection<Doc>>>({ name: `bench-${names}`, storage, multiInstance: false })
  await db.addCollections(Object.fromEntries(Array.from({ length: collections }, (_, i) => [`c${i}`, { schema }])))
  return db
}

function guard() {
  const session: SyncSession = { userId: 'ada', getToken: () => Promise.resolve('token') }
  return createSyncGuard({ id: `bench-${names}`, session$: new BehaviorSubject<SyncSession | null>(session), policy: { tabDeadlineMs: 0 } })
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now()
  await work()
  return performance.now() - startedAtMs
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

async function halting(replications: number) {
  const collections = Math.min(replications, 12)
  const [guarded, bare]: [number[], number[]] = [[], []]
  for (let round = 0; round < 5; round += 1) {
    const db = await database(collections)
    const one = guard()
    const pull = { handler: async (checkpoint: Checkpoint | undefined) => ({ documents: [], checkpoint: checkpoint ?? { from: 0 } }) }
    const push = { handler: async () => [] }
    const of = (i: number) => db[`c${i % collections}`] as RxCollection<Doc>
    for (let i = 0; i < replications; i += 1)
      one.replicate<Doc, Checkpoint>({ collection: of(i), replicationIdentifier: `r${i}`, pull, push })
    await new Promise((resolve) => setTimeout(resolve, 300 + replications * 5))
    guarded.push(await timed(() => one.suspend()))
    await one.dispose()
    const states = Array.from({ length: replications }, (_, i) =>
      replicateRxCollection<Doc, Checkpoint>({ collection: of(i), replicationIdentifier: `b${i}`, waitForLeadership: false, pull, push }),
    )
    await Promise.all(states.map((state) => state.awaitInitialReplication()))
    bare.push(await timed(() => Promise.all(states.map((state) => state.cancel()))))
    await db.close()
  }
  return { 'guard ms': median(guarded).toFixed(1), 'cancel() ms': median(bare).toFixed(1) }
}

interface Calls {
  readonly documents: number
  readonly perCall: number
  readonly pulls: boolean
  readonly pushes: boolean
}

interface Spent {
  /** From the start of the replication until everything is written. */
  readonly ms: number
  /** The same from the first call of a handler on, and what this process computed meanwhile. */
  readonly callsMs: number
  readonly cpuMs: number
  /** Into how many writes RxDB has gathered what came. */
  readonly writes: number
}

/**
 * As every network answers. To a handler that answers in the same turn RxDB writes many pages at once, and how many is decided by single microtasks:
 * that would be measured instead of the guard.
 */
const laterTurn = () => new Promise((resolve) => setImmediate(resolve))

/** Moves documents with the guard or without it, until storage has written all that came or the server has all that was sent. */
async function moving({ documents, perCall, pulls, pushes }: Calls, guarded: boolean): Promise<Spent> {
  const db = await database(1)
  const collection = db.c0 as RxCollection<Doc>
  const sends = pushes && !pulls
  const rows = Array.from({ length: documents }, (_, i) => ({ id: `d${String(i).padStart(6, '0')}`, text: 'x'.repeat(40) }))
  if (sends) for (let i = 0; i < documents; i += 5_000) await collection.bulkInsert(rows.slice(i, i + 5_000))
  globalThis.gc?.()
  let moved = 0
  let first: { readonly atMs: number; readonly cpu: NodeJS.CpuUsage } | undefined
  let finished: () => void = () => {}
  const done = new Promise<void>((resolve) => {
    finished = resolve
  })
  const begin = () => {
    first ??= { atMs: performance.now(), cpu: process.cpuUsage() }
  }
  const move = (count: number) => {
    moved += count
    if (moved === documents) finished()
  }
  let writes = 0
  const written = collection.storageInstance.changeStream().subscribe(({ events }) => {
    writes += 1
    if (!sends) move(events.length)
  })
  const options = {
    collection,
    replicationIdentifier: 'r',
    ...(pulls && {
      pull: {
        batchSize: perCall,
        handler: async (checkpoint: Checkpoint | undefined, limit: number) => {
          begin()
          await laterTurn()
          const from = checkpoint?.from ?? 0
          const page = rows.slice(from, from + limit).map((row) => ({ ...row, _deleted: false }))
          return { documents: page, checkpoint: { from: from + page.length } }
        },
      },
    }),
    ...(pushes && {
      push: {
        batchSize: perCall,
        handler: async (sent: readonly unknown[]) => {
          begin()
          await laterTurn()
          move(sent.length)
          return []
        },
      },
    }),
  }
  const one = guarded ? guard() : undefined
  const startedAtMs = performance.now()
  const state = one
    ? void one.replicate<Doc, Checkpoint>(options)
    : replicateRxCollection<Doc, Checkpoint>({ ...options, waitForLeadership: false })
  await done
  const { atMs, cpu } = first ?? { atMs: 0, cpu: process.cpuUsage() }
  const { user, system } = process.cpuUsage(cpu)
  const endedAtMs = performance.now()
  written.unsubscribe()
  await one?.dispose()
  await state?.cancel()
  await db.close()
  return { ms: endedAtMs - startedAtMs, callsMs: endedAtMs - atMs, cpuMs: (user + system) / 1_000, writes }
}

/** Rounds with and without the guard in turn, so that both meet the same load of the machine. */
async function calling(calls: Calls, rounds = 9) {
  const pairs: { readonly guarded: Spent; readonly bare: Spent }[] = []
  for (let round = -2; round < rounds; round += 1) {
    const guardedFirst = round % 2 === 0 ? await moving(calls, true) : undefined
    const bare = await moving(calls, false)
    const guarded = guardedFirst ?? (await moving(calls, true))
    if (round >= 0) pairs.push({ guarded, bare }) // the first ones are for the compiler
  }
  const extra = (spent: (one: Spent) => number) => {
    const perCall = pairs.map(({ guarded, bare }) => ((spent(guarded) - spent(bare)) * 1_000) / (calls.documents / calls.perCall))
    return median(perCall).toFixed(0)
  }
  return {
    'guard ms': median(pairs.map(({ guarded }) => guarded.ms)).toFixed(0),
    'bare ms': median(pairs.map(({ bare }) => bare.ms)).toFixed(0),
    'guard writes': median(pairs.map(({ guarded }) => guarded.writes)),
    'bare writes': median(pairs.map(({ bare }) => bare.writes)),
    'us a call': extra(({ callsMs }) => callsMs),
    'us of CPU a call': extra(({ cpuMs }) => cpuMs),
  }
}

async function counting(documents: number) {
  const db = await database(1)
  const collection = db.c0 as RxCollection<Doc>
  for (let i = 0; i < documents; i += 5_000) {
    await collection.bulkInsert(Array.from({ length: Math.min(5_000, documents - i) }, (_, j) => ({ id: `d${i + j}`, text: 'x' })))
  }
  const one = guard()
  await one.suspend()
  one.replicate<Doc, Checkpoint>({ collection, replicationIdentifier: 'r', push: { handler: async () => [] } })
  const ms = await timed(() => one.pendingWrites())
  const { count } = one.state.pending
  await one.dispose()
  await db.close()
  return { pending: count, ms: ms.toFixed(0) }
}

async function memory(replications: number) {
  const db = await database(12)
  const one = guard()
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < replications; i += 1) {
    one.replicate<Doc, Checkpoint>({
      collection: db[`c${i % 12}`] as RxCollection<Doc>,
      replicationIdentifier: `m${i}`,
      pull: { handler: async (checkpoint) => ({ documents: [], checkpoint: checkpoint ?? { from: 0 } }) },
      push: { handler: async () => [] },
    })
  }
  await new Promise((resolve) => setTimeout(resolve, 1500))
  globalThis.gc?.()
  const kilobytes = (process.memoryUsage().heapUsed - before) / 1024
  await one.dispose()
  await db.close()
  return { 'kB in all': kilobytes.toFixed(0), 'kB each': (kilobytes / replications).toFixed(1) }
}

const parts: Record<string, () => Promise<void>> = {
  halting: async () => {
    console.log('Halting idle replications (median of 5)')
    console.table({ 1: await halting(1), 12: await halting(12), 100: await halting(100) })
  },
  calling: async () => {
    console.log('20,000 documents in calls of 100, 4,000 one by one, until everything is written; what the guard adds (medians of 9 pairs)')
    console.table({
      'pull only, 200 calls': await calling({ documents: 20_000, perCall: 100, pulls: true, pushes: false }),
      'pull beside a push, 200 calls': await calling({ documents: 20_000, perCall: 100, pulls: true, pushes: true }),
      'pull only, one by one': await calling({ documents: 4_000, perCall: 1, pulls: true, pushes: false }),
      'pull beside a push, one by one': await calling({ documents: 4_000, perCall: 1, pulls: true, pushes: true }),
      'push, 20 calls': await calling({ documents: 2_000, perCall: 100, pulls: false, pushes: true }),
    })
  },
  counting: async () => {
    console.log('Counting pending writes from storage')
    console.table({ '1k': await counting(1_000), '10k': await counting(10_000), '100k': await counting(100_000) })
  },
  memory: async () => {
    console.log('Memory of guarded replications')
    console.table({ 100: await memory(100) })
  },
}
const chosen = process.argv.slice(2)
for (const [name, part] of Object.entries(parts)) if (chosen.length === 0 || chosen.includes(name)) await part()
process.exit(0)
