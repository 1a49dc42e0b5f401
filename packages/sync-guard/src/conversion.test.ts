import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { BehaviorSubject, filter, firstValueFrom, Subject } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, FakeSession, freshName, IMPATIENT, type Note, type NotesDatabase, noteSchema, synced } from '../test/guarded-app.ts'
import { createSyncGuard, HttpFailure, type ReplicateOptions, type StreamItem } from './index.ts'

/** How a server from before the app keeps a note: another name for the key, another one for the text, another one for "deleted". */
interface OldNote {
  readonly key: string
  readonly body: string
  readonly gone?: boolean
}

/** That server, with its own notion of what changed since when. */
class OldServer {
  readonly #notes = new Map<string, { readonly note: OldNote; readonly at: number }>()
  readonly changes$ = new Subject<StreamItem<OldNote, { at: number }>>()
  #at = 0
  refuses = (_note: OldNote) => false
  resyncRequired = false
  losesAnswers = false

  put(note: OldNote): void {
    this.#at += 1
    this.#notes.set(note.key, { note, at: this.#at })
  }

  /** Without a trace. */
  forget(key: string): void {
    this.#notes.delete(key)
  }

  note(key: string): OldNote | undefined {
    return this.#notes.get(key)?.note
  }

  pull(since: number, limit: number) {
    if (this.resyncRequired && since > 0) {
      this.resyncRequired = false
      throw new HttpFailure({ status: 410, code: 'resync_required' })
    }
    const found = [...this.#notes.values()].filter(({ at }) => at > since).sort((a, b) => a.at - b.at)
    const page = found.slice(0, limit)
    return { documents: page.map(({ note }) => note), checkpoint: { at: page.at(-1)?.at ?? since } }
  }

  push(rows: readonly { readonly newDocumentState: OldNote; readonly assumedMasterState?: OldNote }[]) {
    const conflicts: OldNote[] = []
    const rejected: { id: string; code: string }[] = []
    for (const { newDocumentState: next, assumedMasterState: assumed } of rows) {
      const stored = this.note(next.key)
      if (stored && JSON.stringify(stored) !== JSON.stringify(assumed)) conflicts.push(stored)
      else if (this.refuses(next)) rejected.push({ id: next.key, code: 'unreadable_hand' })
      else this.put(next)
    }
    if (this.losesAnswers) throw new HttpFailure('unreachable')
    return { conflicts, rejected }
  }
}

async function oldApp() {
  const server = new OldServer()
  const guard = createSyncGuard({
    id: freshName('old'),
    session$: new BehaviorSubject(new FakeSession('ada', 'token', { databaseName: freshName('db') })),
    policy: IMPATIENT,
  })
  onTestFinished(() => guard.dispose())
  const db = await guard.openDatabase<NotesDatabase>({
    storage: getRxStorageMemory(),
    multiInstance: false,
    collections: { notes: { schema: noteSchema } },
  })
  const replication = guard.replicate({
    collection: db.notes,
    replicationIdentifier: 'old-notes',
    deletedField: 'gone',
    pull: {
      handler: async (checkpoint: { at: number } | undefined, limit: number) => server.pull(checkpoint?.at ?? 0, limit),
      stream: () => server.changes$,
      modifier: ({ key, body, _deleted }: OldNote & { _deleted: boolean }) => ({ id: key, text: body, _deleted }),
    },
    push: {
      handler: async (rows: never) => {
        const { conflicts, rejected } = server.push(rows)
        return { conflicts: conflicts.map(({ key, body, gone }) => ({ id: key, text: body, gone })), rejected }
      },
      modifier: ({ id, text, _deleted }: Note & { _deleted: boolean }) => (text === 'private' ? null : { key: id, body: text, _deleted }),
      writable: ({ text }: Note) => text !== 'not for sending',
    },
  } as unknown as ReplicateOptions<Note, { at: number }>)
  const until = (matches: Parameters<typeof filter<typeof guard.state>>[0]) => firstValueFrom(guard.state$.pipe(filter(matches)))
  return { server, guard, db, replication, until }
}

test('documents travel in the shape of the server, both ways, deletions too', async () => {
  const { server, db, replication, until } = await oldApp()
  server.put({ key: 'theirs', body: 'from before', gone: false })
  await db.notes.bulkInsert([
    { id: 'mine', text: 'new' },
    { id: 'secret', text: 'private' },
  ])
  await until((state) => synced(state) && server.note('mine') !== undefined)

  expect(server.note('mine')).toEqual({ key: 'mine', body: 'new', gone: false })
  expect(server.note('secret')).toBeUndefined()
  expect((await db.notes.findOne('theirs').exec())?.text).toBe('from before')

  server.put({ key: 'theirs', body: 'from before', gone: true })
  replication.reSync()
  await db.notes.findOne('mine').remove()
  await eventually(async () => (await db.notes.findOne('theirs').exec()) === null && server.note('mine')?.gone === true)
})

test('what the stream brings is read in the same way', async () => {
  const { server, db, until } = await oldApp()
  await until(synced)

  server.changes$.next({ documents: [{ key: 'told', body: 'by the stream', _deleted: false }], checkpoint: { at: 0 } })

  await eventually(async () => (await db.notes.findOne('told').exec())?.text === 'by the stream')
})

test('a write that is refused counts as rejected, not as pending, and is listed as it is here', async () => {
  const { server, guard, db, until } = await oldApp()
  server.refuses = ({ body }) => body === 'scrawl'
  await db.notes.bulkInsert([
    { id: 'a', text: 'scrawl' },
    { id: 'b', text: 'not for sending' },
  ])

  await until((state) => state.rejected === 2 && state.pending.exact && state.pending.count === 0)

  const listed = await guard.rejectedWrites.list()
  expect(listed.sort((a, b) => a.documentId.localeCompare(b.documentId))).toMatchObject([
    { documentId: 'a', code: 'unreadable_hand', state: { id: 'a', text: 'scrawl' } },
    { documentId: 'b', code: 'read_only_scope', state: { id: 'b', text: 'not for sending' } },
  ])
  server.refuses = () => false
  await guard.rejectedWrites.retry({ collection: 'notes', documentId: 'a' })
  await eventually(() => server.note('a') !== undefined)
  expect(server.note('a')).toEqual({ key: 'a', body: 'scrawl', gone: false })
})

test('410 resync_required removes what the server no longer has, and nothing else', async () => {
  const { server, guard, db, until } = await oldApp()
  for (const key of ['a', 'b', 'c']) server.put({ key, body: 'x', gone: false })
  await until((state) => synced(state) && state.collections.notes?.received === 3)
  await guard.suspend()
  server.forget('b')
  server.resyncRequired = true
  await guard.resume()

  await eventually(async () => (await db.notes.findOne('b').exec()) === null)
  await until(synced)
  expect((await db.notes.find().exec()).map(({ id }) => id).sort()).toEqual(['a', 'c'])
  expect(server.note('a')).toEqual({ key: 'a', body: 'x', gone: false })
})

test('G3: a push whose answer was lost is recognised when it is repeated, and a newer edit stays', async () => {
  const { server, guard, db, until } = await oldApp()
  await until(synced)
  server.losesAnswers = true
  await db.notes.insert({ id: 'n', text: 'first' })
  await eventually(() => server.note('n') !== undefined)
  await guard.suspend()
  await db.notes.findOne('n').modify((note) => ({ ...note, text: 'second' }))
  server.losesAnswers = false
  await guard.resume()

  await eventually(() => server.note('n')?.body === 'second')
  expect((await db.notes.findOne('n').exec())?.text).toBe('second')
})
