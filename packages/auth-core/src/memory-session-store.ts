import { Subject } from 'rxjs'
import { type DeviceRecordDraft, RevisionConflict, type SessionStore, type StoreChange, type UserRecordDraft } from './ports.ts'
import type { DeviceRecord, Revision, UserKey, UserRecord } from './user-record.ts'

/** What memory stores keep their records on; two stores on one shelf behave like two tabs on one disk. */
export class MemoryShelf {
  readonly users = new Map<UserKey, UserRecord>()
  device: DeviceRecord = {
    revision: '0' as Revision,
    currentUser: null,
    epoch: 0,
    switchEpoch: 0,
    wipes: [],
    outbox: [],
    redirects: [],
  }
  readonly changes$ = new Subject<StoreChange>()
  #writes = 0

  nextRevision(): Revision {
    this.#writes += 1
    return String(this.#writes) as Revision
  }
}

/** Keeps users for as long as this realm lives: the default of `createApp`, and the reference for the contract suite. */
export function memorySessionStore(shelf = new MemoryShelf()): SessionStore {
  const conflict = (what: string) => new RevisionConflict(`The ${what} was changed by another writer.`)
  return {
    changes$: shelf.changes$.asObservable(),
    async open() {},
    async close() {},
    async read(key) {
      return shelf.users.get(key) ?? null
    },
    async list() {
      return [...shelf.users.values()]
    },
    async findByTag(tag) {
      return [...shelf.users.values()].find((record) => record.tags.includes(tag)) ?? null
    },
    async tag(purpose, value) {
      return `${purpose}:${value}`
    },
    async update(key: UserKey, expected: Revision | null, next: UserRecordDraft) {
      if ((shelf.users.get(key)?.revision ?? null) !== expected) throw conflict('user')
      const stored: UserRecord = { ...next, revision: shelf.nextRevision() }
      shelf.users.set(key, stored)
      shelf.changes$.next({ kind: 'user', key })
      return stored
    },
    async remove(key, expected) {
      if (shelf.users.get(key)?.revision !== expected) throw conflict('user')
      shelf.users.delete(key)
      shelf.changes$.next({ kind: 'user', key })
    },
    device: {
      async read() {
        return shelf.device
      },
      async update(expected: Revision, next: DeviceRecordDraft) {
        if (shelf.device.revision !== expected) throw conflict('device record')
        shelf.device = { ...next, revision: shelf.nextRevision() }
        shelf.changes$.next({ kind: 'device' })
        return shelf.device
      },
    },
  }
}
