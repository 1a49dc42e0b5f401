import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { BehaviorSubject, filter, firstValueFrom } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import {
  eventually,
  FakeSession,
  freshName,
  IMPATIENT,
  type Note,
  type NotesDatabase,
  noteSchema,
  pause,
  synced,
} from '../test/guarded-app.ts'
import { createSyncGuard } from './index.ts'

interface Findable {
  findDocumentsById(ids: string[], deleted: boolean): Promise<unknown>
}

/** Lets nothing be read by id until the function that it gives is called. */
function hold(storage: Findable): () => void {
  const find = storage.findDocumentsById.bind(storage)
  const readable = Promise.withResolvers<void>()
  storage.findDocumentsById = async (...question) => {
    await readable.promise
    return find(...question)
  }
  return () => {
    storage.findDocumentsById = find
    readable.resolve()
  }
}

test('G3: what was pulled before a push was sent, and is written only after it, does not undo the edit', async () => {
  const session = new FakeSession('ada', 'token', { databaseName: freshName('db') })
  const guard = createSyncGuard({ id: freshName('beside'), session$: new BehaviorSubject(session), policy: IMPATIENT })
  onTestFinished(() => guard.dispose())
  const db = await guard.openDatabase<NotesDatabase>({
    storage: getRxStorageMemory(),
    multiInstance: false,
    collections: { notes: { schema: noteSchema } },
  })
  let server: Note & { _deleted: boolean } = { id: 'n', text: 'pulled first', _deleted: false }
  const answer = Promise.withResolvers<void>()
  let pulls = 0
  const replication = guard.replicate<Note, { at: number }>({
    collection: db.notes,
    replicationIdentifier: 'notes',
    pull: {
      handler: async () => {
        pulls += 1
        const page = { documents: [server], checkpoint: { at: pulls } }
        if (pulls === 2) await answer.promise
        return pulls <= 2 ? page : { documents: [], checkpoint: { at: pulls } }
      },
    },
    push: {
      handler: async ([row]) => {
        if (row) server = row.newDocumentState
        return []
      },
    },
  })
  await firstValueFrom(guard.state$.pipe(filter(synced)))

  // A pull is on its way; an edit waits for its token; the pull is answered, and the storage takes its time to write that.
  replication.reSync()
  await eventually(() => pulls === 2)
  session.answerAfterMs = 150
  await db.notes.findOne('n').modify((note) => ({ ...note, text: 'edited here' }))
  await eventually(() => guard.state.parked > 0)
  await pause(50)
  const goOn = [db.notes.storageInstance, replication.rxReplication?.metaInstance].map((storage) => hold(storage as Findable))
  answer.resolve()
  await pause(400)
  for (const release of goOn) release()

  await eventually(() => server.text === 'edited here')
  await firstValueFrom(guard.state$.pipe(filter(synced)))
  expect((await db.notes.findOne('n').exec())?.text).toBe('edited here')
})
