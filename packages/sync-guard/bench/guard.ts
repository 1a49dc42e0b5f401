/**
 * Cost of the guard beside bare RxDB, in one process and in memory: halting, calls, counting.
 * Run: node_modules/.bin/node --conditions=nightlatch-source packages/sync-guard/bench/guard.ts
 */
import { createRxDatabase, type RxCollection } from 'rxdb/plugins/core'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { BehaviorSubject, filter, firstValueFrom } from 'rxjs'
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

async function pulling(documents: number) {
  const pages = (checkpoint: Checkpoint | undefined, limit: number) => {
    const from = checkpoint?.from ?? 0
    const count = Math.min(limit, documents - from)
    return {
      documents: Array.from({ length: count }, (_, i) => ({ id: `d${from + i}`, text: 'x'.repeat(40), _deleted: false })),
      checkpoint: { from: from + count },
    }
  }
  const [guarded, bare]: [number[], number[]] = [[], []]
  for (let round = 0; round < 3; round += 1) {
    const first = await database(1)
    const one = guard()
    guarded.push(
      await timed(async () => {
        one.replicate<Doc, Checkpoint>({
          collection: first.c0 as RxCollection<Doc>,
          replicationIdentifier: 'r',
          pull: { batchSize: 100, handler: async (checkpoint, limit) => pages(checkpoint, limit) },
        })
        await firstValueFrom(one.state$.pipe(filter(({ collections }) => collections.c0?.firstSyncDone === true)))
      }),
    )
    await one.dispose()
    await first.close()
    const second = await database(1)
    bare.push(
      await timed(async () => {
        const state = replicateRxCollection<Doc, Checkpoint>({
          collection: second.c0 as RxCollection<Doc>,
          replicationIdentifier: 'r',
          waitForLeadership: false,
          pull: { batchSize: 100, handler: async (checkpoint, limit) => pages(checkpoint, limit) },
        })
        await state.awaitInitialReplication()
      }),
    )
    await second.close()
  }
  return { 'guard ms': median(guarded).toFixed(0), 'bare ms': median(bare).toFixed(0) }
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

console.log('Halting idle replications (median of 5)')
console.table({ 1: await halting(1), 12: await halting(12), 100: await halting(100) })
console.log('Pulling 20,000 documents in 200 calls (median of 3)')
console.table({ '20000': await pulling(20_000) })
console.log('Counting pending writes from storage')
console.table({ '1k': await counting(1_000), '10k': await counting(10_000), '100k': await counting(100_000) })
console.log('Memory of guarded replications')
console.table({ 100: await memory(100) })
process.exit(0)
