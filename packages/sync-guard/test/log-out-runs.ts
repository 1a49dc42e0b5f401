import { createRxDatabase, type RxCollection, type RxStorage, type WithDeleted } from 'rxdb/plugins/core'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import { BehaviorSubject, filter, firstValueFrom } from 'rxjs'
import { createSyncGuard, type SyncSession } from '../src/index.ts'

/** One log-out at a random moment of live pull, push and local writes, then a log-in again. What must not be is counted. */
export interface LogOutResult {
  /** Handler calls of the old session that began after the log-out had resolved. */
  readonly callsAfter: number
  /** Documents that the old session wrote, here or on the server, after the log-out had resolved. */
  readonly writesAfter: number
  /** Local writes that are not on the server at the end. */
  readonly lost: number
  /** Documents of the server that are not here, or not in its state, at the end. */
  readonly notPulled: number
  /** Conflicts, although nobody else ever touched these documents. */
  readonly falseConflicts: number
  readonly haltMs: number
}

type Doc = { id: string; text: string; owner?: string }
/** RxDB merges checkpoints as objects: a bare number would be lost. */
type Checkpoint = { readonly sequence: number }
// biome-ignore lint/suspicious/noExplicitAny: any RxStorage will do.
type AnyStorage = RxStorage<any, any>

const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 40 }, text: { type: 'string' }, owner: { type: 'string' } },
  required: ['id', 'text'],
} as const

let names = 0

/** A random generator that repeats (mulberry32), so that a failing seed can be run again. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** A server in this process: an ordered list of documents, and handlers that take their time. */
class Backend {
  readonly documents = new Map<string, { readonly document: WithDeleted<Doc>; readonly sequence: number }>()
  conflicts = 0
  calls = 0
  writes = 0
  #sequence = 0
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  put(document: Doc): void {
    this.#sequence += 1
    this.documents.set(document.id, { document: { ...document, _deleted: false }, sequence: this.#sequence })
  }

  async pull(checkpoint: Checkpoint | undefined, limit: number): Promise<{ documents: WithDeleted<Doc>[]; checkpoint: Checkpoint }> {
    this.calls += 1
    await this.#pause()
    const since = checkpoint?.sequence ?? 0
    const page = [...this.documents.values()].filter(({ sequence }) => sequence > since).sort((a, b) => a.sequence - b.sequence)
    const found = page.slice(0, limit)
    await this.#pause()
    return { documents: found.map(({ document }) => document), checkpoint: { sequence: found.at(-1)?.sequence ?? since } }
  }

  async push(rows: readonly { newDocumentState: WithDeleted<Doc>; assumedMasterState?: WithDeleted<Doc> }[]): Promise<WithDeleted<Doc>[]> {
    this.calls += 1
    await this.#pause()
    const conflicts: WithDeleted<Doc>[] = []
    for (const { newDocumentState, assumedMasterState } of rows) {
      const current = this.documents.get(newDocumentState.id)?.document
      if (current && current.text !== assumedMasterState?.text) conflicts.push(current)
      else {
        this.writes += 1
        this.put(newDocumentState)
      }
    }
    this.conflicts += conflicts.length
    await this.#pause()
    return conflicts
  }

  async #pause(): Promise<void> {
    const ms = this.#random() * 6
    if (ms > 1) await pause(ms)
  }
}

/** Writes, edits and pulls until it is stopped or refused. */
function live(backend: Backend, collection: RxCollection<Doc>, random: () => number, reSync: () => void) {
  const written = new Map<string, string>()
  let on = true
  const loop = async () => {
    for (let i = 0; on && i < 60; i += 1) {
      backend.put({ id: `remote-${Math.floor(random() * 40)}`, text: `${i}` })
      reSync()
      const id = `local-${Math.floor(random() * 12)}`
      const text = `${i}`
      try {
        await collection.incrementalUpsert({ id, text })
        written.set(id, text)
      } catch {
        return
      }
      await pause(random() * 3)
    }
  }
  const done = loop()
  return {
    written,
    stop: async () => {
      on = false
      await done
    },
  }
}

/** A pull that has just been asked for may still be on its way when the state before it says `synced`. */
async function missingInTheEnd(...[notes, backend]: Parameters<typeof missingHere>): Promise<number> {
  for (let looks = 0; looks < 60 && (await missingHere(notes, backend)) > 0; looks += 1) await pause(50)
  return missingHere(notes, backend)
}

async function missingHere(collection: RxCollection<Doc>, backend: Backend): Promise<number> {
  const here = new Map((await collection.find().exec()).map(({ id, text }) => [id, text]))
  return [...backend.documents.values()].filter(({ document }) => here.get(document.id) !== document.text).length
}

export async function guardedLogOut(storage: AnyStorage, seed: number): Promise<LogOutResult> {
  const random = randomFrom(seed)
  const backend = new Backend(random)
  for (let i = 0; i < 30; i += 1) backend.put({ id: `remote-${i}`, text: 'seed' })
  names += 1
  const databaseName = `run-${process.pid}-${names}`
  const session = (): SyncSession => ({ userId: 'ada', databaseName, getToken: () => Promise.resolve('token') })
  const session$ = new BehaviorSubject<SyncSession | null>(session())
  const guard = createSyncGuard({ id: databaseName, session$, policy: { tabDeadlineMs: 0 } })
  let owner = 'old'
  let oldCalls = 0
  const open = async () => {
    const calledFor = owner
    const db = await guard.openDatabase<{ notes: RxCollection<Doc> }>({ storage, multiInstance: false, collections: { notes: { schema } } })
    const count = () => {
      if (calledFor === 'old') oldCalls += 1
    }
    const replication = guard.replicate<Doc, Checkpoint>({
      collection: db.notes,
      replicationIdentifier: 'notes',
      pull: {
        batchSize: 10,
        handler: (checkpoint, limit) => {
          count()
          return backend.pull(checkpoint, limit)
        },
      },
      push: {
        batchSize: 5,
        handler: (rows) => {
          count()
          return backend.push(rows)
        },
      },
    })
    return { db, replication }
  }
  const { db, replication } = await open()
  const busy = live(backend, db.notes, random, () => replication.reSync())
  await pause(random() * 25)

  const pausesFirst = random() < 0.5
  const startedAtMs = performance.now()
  let writesAfter = 0
  if (pausesFirst) await guard.suspend()
  else await guard.end()
  const haltMs = performance.now() - startedAtMs
  const calls = oldCalls
  const writes = backend.writes
  if (pausesFirst) {
    const watch = db.notes.storageInstance.changeStream().subscribe(({ context, events }) => {
      if (context.startsWith('replication-downstream')) writesAfter += events.length
    })
    await pause(8)
    await busy.stop()
    watch.unsubscribe()
    await guard.end()
  } else {
    await busy.stop()
    await pause(8)
  }
  writesAfter += backend.writes - writes
  const callsAfter = oldCalls - calls

  owner = 'new'
  session$.next(null)
  await guard.resume()
  session$.next(session())
  const { db: again, replication: newest } = await open()
  newest.reSync()
  await firstValueFrom(guard.state$.pipe(filter((state) => state.kind === 'synced' && state.pending.exact && state.pending.count === 0)))
  const notPulled = await missingInTheEnd(again.notes, backend)
  const lost = [...busy.written].filter(([id, text]) => backend.documents.get(id)?.document.text !== text).length
  await guard.dispose()
  return { callsAfter, writesAfter, lost, notPulled, falseConflicts: backend.conflicts, haltMs }
}

/** The same with RxDB alone: `cancel()`, and a new replication after the next log-in. The control that shows what the harness can see. */
export async function plainLogOut(storage: AnyStorage, seed: number): Promise<LogOutResult> {
  const random = randomFrom(seed)
  const backend = new Backend(random)
  for (let i = 0; i < 30; i += 1) backend.put({ id: `remote-${i}`, text: 'seed' })
  names += 1
  const db = await createRxDatabase<{ notes: RxCollection<Doc> }>({ name: `run-${process.pid}-${names}`, storage, multiInstance: false })
  await db.addCollections({ notes: { schema } })
  const replicate = () =>
    replicateRxCollection<Doc, Checkpoint>({
      collection: db.notes,
      replicationIdentifier: 'notes',
      retryTime: 50,
      pull: { batchSize: 10, handler: (checkpoint, limit) => backend.pull(checkpoint, limit) },
      push: { batchSize: 5, handler: (rows) => backend.push(rows) },
    })
  const state = replicate()
  const busy = live(backend, db.notes, random, () => state.reSync())
  await pause(random() * 25)

  const startedAtMs = performance.now()
  await state.cancel()
  const haltMs = performance.now() - startedAtMs
  const { calls, writes } = backend
  let writesAfter = 0
  const watch = db.notes.storageInstance.changeStream().subscribe(({ context, events }) => {
    if (context.startsWith('replication-downstream')) writesAfter += events.length
  })
  await pause(8)
  watch.unsubscribe()
  await busy.stop()
  writesAfter += backend.writes - writes
  const callsAfter = backend.calls - calls

  const again = replicate()
  await again.awaitInSync()
  const notPulled = await missingHere(db.notes, backend)
  const lost = [...busy.written].filter(([id, text]) => backend.documents.get(id)?.document.text !== text).length
  await db.close()
  return { callsAfter, writesAfter, lost, notPulled, falseConflicts: backend.conflicts, haltMs }
}

export interface LogOutTotals {
  readonly runs: number
  readonly callsAfter: number
  readonly runsWithWritesAfter: number
  readonly lost: number
  readonly notPulled: number
  readonly falseConflicts: number
  readonly medianMs: number
  readonly p95Ms: number
  /** Seeds of runs that were not clean. */
  readonly seeds: readonly number[]
}

/** Several at a time: RxDB allows 13 open collections. */
export async function manyLogOuts(
  run: (seed: number) => Promise<LogOutResult>,
  runs: number,
  firstSeed: number,
  wide = 8,
): Promise<LogOutTotals> {
  const results: { readonly seed: number; readonly result: LogOutResult }[] = []
  let next = firstSeed
  const worker = async () => {
    while (next < firstSeed + runs) {
      const seed = next
      next += 1
      results.push({ seed, result: await run(seed) })
    }
  }
  await Promise.all(Array.from({ length: wide }, worker))
  const times = results.map(({ result }) => result.haltMs).sort((a, b) => a - b)
  const total = (pick: (result: LogOutResult) => number) => results.reduce((sum, { result }) => sum + pick(result), 0)
  return {
    runs,
    callsAfter: total((result) => result.callsAfter),
    runsWithWritesAfter: total((result) => (result.writesAfter > 0 ? 1 : 0)),
    lost: total((result) => result.lost),
    notPulled: total((result) => result.notPulled),
    falseConflicts: total((result) => result.falseConflicts),
    medianMs: times[Math.floor(times.length / 2)] ?? 0,
    p95Ms: times[Math.floor(times.length * 0.95)] ?? 0,
    seeds: results
      .filter(({ result }) => result.callsAfter + result.writesAfter + result.lost + result.notPulled + result.falseConflicts > 0)
      .map(({ seed }) => seed),
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
