import { afterEach, describe, expect, test } from 'vitest'
import {
  type DeviceRecordDraft,
  RevisionConflict,
  type SessionStore,
  type StoreChange,
  type StoreContext,
  type UserRecordDraft,
} from '../ports.ts'
import type { DeviceRecord, Revision, UserKey, UserRecord, VaultContents } from '../user-record.ts'

/** One device: every store it opens is a tab over the same storage. */
export interface StoreDevice {
  readonly context: StoreContext
  /** A store that has not been opened yet. */
  newStore(): SessionStore
  /** Damages what is stored of one user. Absent where nothing is encoded. */
  damage?(key: UserKey): Promise<void>
  /** Removes what the device left behind. */
  dispose?(): Promise<void>
}

/** What every `SessionStore` promises, seen through its port only. `makeDevice` gives a new, empty device. */
export function sessionStoreContract(name: string, makeDevice: () => StoreDevice | Promise<StoreDevice>): void {
  describe(`SessionStore: ${name}`, () => {
    const undo: (() => Promise<void>)[] = []
    afterEach(async () => {
      for (const act of undo.splice(0).reverse()) await act()
    })

    const openDevice = async () => {
      const device = await makeDevice()
      undo.push(async () => device.dispose?.())
      const openTab = async () => {
        const store = device.newStore()
        await store.open(device.context)
        undo.push(() => store.close())
        return store
      }
      return { ...device, openTab, store: await openTab() }
    }

    test('gives back a user as it was stored, under a revision', async () => {
      const { store } = await openDevice()

      const created = await store.update(ann, null, draftOf(ann))

      expect(withoutRevision(created)).toEqual(draftOf(ann))
      expect(await store.read(ann)).toEqual(created)
      expect(await store.list()).toEqual([created])
    })

    test('knows nothing of a user it was not given', async () => {
      const { store } = await openDevice()

      expect(await store.read(ann)).toBeNull()
      expect(await store.list()).toEqual([])
      expect(await store.findByTag('nobody')).toBeNull()
    })

    test('keeps everything a record can hold', async () => {
      const { store } = await openDevice()
      const full: UserRecordDraft = {
        ...draftOf(ann, { session, deviceId: 'd1', serverOffsetMs: -5, profileReadAtMs: 7, customData: { nested: [1, null, { a: 'b' }] } }),
        refreshIntent: { attemptId: 'attempt', generation: 3, ownerLock: 'tab', writtenAtMs: 12 },
        status: { kind: 'over', reason: 'revoked' },
        generation: 3,
        revokeHandle: 'revoke-handle',
      }

      await store.update(ann, null, full)

      expect(withoutRevision(await store.read(ann))).toEqual(full)
    })

    test('S4: refuses a write that was made from an older revision, and changes nothing', async () => {
      const { store } = await openDevice()
      const first = await store.update(ann, null, draftOf(ann))
      const second = await store.update(ann, first.revision, { ...draftOf(ann), generation: 2 })

      await expect(store.update(ann, first.revision, { ...draftOf(ann), generation: 9 })).rejects.toBeInstanceOf(RevisionConflict)

      expect(second.revision).not.toBe(first.revision)
      expect(await store.read(ann)).toEqual(second)
    })

    test('S4: refuses to create a user that exists, and to change one that does not', async () => {
      const { store } = await openDevice()
      await store.update(ann, null, draftOf(ann))

      await expect(store.update(ann, null, draftOf(ann))).rejects.toBeInstanceOf(RevisionConflict)
      await expect(store.update(ben, 'x' as Revision, draftOf(ben))).rejects.toBeInstanceOf(RevisionConflict)
      await expect(store.remove(ben, 'x' as Revision)).rejects.toBeInstanceOf(RevisionConflict)
    })

    test('S4: of many writes from one revision exactly one wins', async () => {
      const { store } = await openDevice()
      const { revision } = await store.update(ann, null, draftOf(ann))

      const writes = await Promise.allSettled(
        [1, 2, 3, 4, 5].map((generation) => store.update(ann, revision, { ...draftOf(ann), generation })),
      )

      const won = writes.filter((write) => write.status === 'fulfilled')
      expect(won).toHaveLength(1)
      expect(await store.read(ann)).toEqual(won[0]?.value)
    })

    test('finds a user by each of its tags', async () => {
      const { store } = await openDevice()
      const [byId, byLogin] = [await store.tag('user-id', 'u-ann'), await store.tag('login', 'ann@example.org')]
      const stored = await store.update(ann, null, { ...draftOf(ann), tags: [byId, byLogin] })
      await store.update(ben, null, { ...draftOf(ben), tags: [await store.tag('user-id', 'u-ben')] })

      expect(await store.findByTag(byId)).toEqual(stored)
      expect(await store.findByTag(byLogin)).toEqual(stored)
      expect(await store.tag('user-id', 'u-ann')).toBe(byId)
      expect(new Set([byId, byLogin, await store.tag('login', 'u-ann'), await store.tag('user-id', 'u-ben')]).size).toBe(4)
    })

    test('removes a user for good, and only from the revision it was seen at', async () => {
      const { store } = await openDevice()
      const first = await store.update(ann, null, draftOf(ann))
      const second = await store.update(ann, first.revision, { ...draftOf(ann), generation: 2 })

      await expect(store.remove(ann, first.revision)).rejects.toBeInstanceOf(RevisionConflict)
      expect(await store.read(ann)).toEqual(second)
      await store.remove(ann, second.revision)

      expect(await store.read(ann)).toBeNull()
      expect(await store.list()).toEqual([])
      await expect(store.update(ann, second.revision, draftOf(ann))).rejects.toBeInstanceOf(RevisionConflict)
    })

    test('makes the device record at the first read, and keeps it under compare-and-set', async () => {
      const { store } = await openDevice()

      const first = await store.device.read()
      const second = await store.device.update(first.revision, fullDevice)

      expect(withoutRevision(first)).toEqual(emptyDevice)
      expect(withoutRevision(second)).toEqual(fullDevice)
      expect(await store.device.read()).toEqual(second)
      await expect(store.device.update(first.revision, emptyDevice)).rejects.toBeInstanceOf(RevisionConflict)
      expect(await store.device.read()).toEqual(second)
      expect(await store.list()).toEqual([])
    })

    test('tells what changed', async () => {
      const { store } = await openDevice()
      await store.device.read()
      const seen = watch(store)

      const { revision } = await store.update(ann, null, draftOf(ann))
      await seen.until({ kind: 'user', key: ann })
      await store.device.update((await store.device.read()).revision, fullDevice)
      await seen.until({ kind: 'device' })
      seen.forget()
      await store.remove(ann, revision)
      await seen.until({ kind: 'user', key: ann })
    })

    test('two tabs: each sees at once what the other stored', async () => {
      const { store, openTab } = await openDevice()
      const other = await openTab()

      const stored = await store.update(ann, null, draftOf(ann))
      expect(await other.read(ann)).toEqual(stored)
      expect(await other.findByTag(draftOf(ann).tags[0] ?? '')).toEqual(stored)

      const changed = await other.update(ann, stored.revision, { ...draftOf(ann), generation: 2 })
      expect(await store.read(ann)).toEqual(changed)
      expect(await store.list()).toEqual([changed])
      await expect(store.update(ann, stored.revision, draftOf(ann))).rejects.toBeInstanceOf(RevisionConflict)
    })

    test('two tabs: of two writes from one revision exactly one wins', async () => {
      const { store, openTab } = await openDevice()
      const other = await openTab()
      const { revision } = await store.update(ann, null, draftOf(ann))
      const device = await store.device.read()

      const users = await Promise.allSettled([
        store.update(ann, revision, { ...draftOf(ann), generation: 10 }),
        other.update(ann, revision, { ...draftOf(ann), generation: 20 }),
      ])
      const devices = await Promise.allSettled([
        store.device.update(device.revision, { ...emptyDevice, epoch: 1 }),
        other.device.update(device.revision, { ...emptyDevice, epoch: 2 }),
      ])

      for (const [a, b] of [users, devices]) {
        expect([a.status, b.status].toSorted()).toEqual(['fulfilled', 'rejected'])
        expect([a, b].find((write) => write.status === 'rejected')?.reason).toBeInstanceOf(RevisionConflict)
      }
      expect(await store.read(ann)).toEqual(await other.read(ann))
      expect(await store.device.read()).toEqual(await other.device.read())
    })

    test('two tabs: both make the device record at the same moment, and there is one', async () => {
      const { store, openTab } = await openDevice()
      const other = await openTab()

      const [a, b] = await Promise.all([store.device.read(), other.device.read()])

      expect(a).toEqual(b)
    })

    test('two tabs: one is told what the other changed', async () => {
      const { store, openTab } = await openDevice()
      const other = await openTab()
      await store.device.read()
      const seen = watch(other)

      await store.update(ann, null, draftOf(ann))
      await seen.until({ kind: 'user', key: ann })
      await store.device.update((await store.device.read()).revision, fullDevice)
      await seen.until({ kind: 'device' })
    })

    test('keeps users over a restart', async () => {
      const { store, openTab } = await openDevice()
      const stored = await store.update(ann, null, draftOf(ann, { session }))
      const device = await store.device.update((await store.device.read()).revision, fullDevice)
      const tag = await store.tag('login', 'ann@example.org')
      await store.close()

      const restarted = await openTab()

      expect(await restarted.read(ann)).toEqual(stored)
      expect(await restarted.device.read()).toEqual(device)
      expect(await restarted.tag('login', 'ann@example.org')).toBe(tag)
    })

    test('S10: one damaged record costs that one user', async ({ skip }) => {
      const { store, openTab, damage } = await openDevice()
      if (!damage) return skip('nothing is encoded here')
      await store.update(ann, null, draftOf(ann))
      const intact = await store.update(ben, null, draftOf(ben))
      await damage(ann)

      const restarted = await openTab()
      const broken = await restarted.read(ann)

      expect(broken?.vault).toEqual({ kind: 'damaged' })
      expect(await restarted.read(ben)).toEqual(intact)
      expect((await restarted.list()).map(({ key }) => key).toSorted()).toEqual([ann, ben])
      const repaired = await restarted.update(ann, broken?.revision ?? null, draftOf(ann))
      expect(await restarted.read(ann)).toEqual(repaired)
      expect(repaired.vault.kind).toBe('open')
    })
  })
}

const ann = 'key-ann' as UserKey
const ben = 'key-ben' as UserKey

const session = {
  id: 's1',
  accessToken: 'access-token',
  accessLifeMs: 900_000,
  accessExpiresAtMs: 1_900_000,
  refreshToken: 'refresh-token',
  idleEndsAtMs: 5_000_000,
  endsAtMs: 9_000_000,
  revokeHandle: 'revoke-handle',
}

function draftOf(key: UserKey, contents: Partial<VaultContents> = {}): UserRecordDraft {
  return {
    key,
    epoch: 1,
    generation: 1,
    status: { kind: 'signed-in' },
    tags: [`tag-of-${key}`],
    incarnation: `data-of-${key}`,
    vault: {
      kind: 'open',
      contents: {
        userId: `id-of-${key}`,
        identities: [{ id: 'i1', provider: 'email-password' }],
        profile: { email: 'ann@example.org' },
        customData: {},
        ...contents,
      },
    },
  }
}

const emptyDevice: DeviceRecordDraft = { currentUser: null, epoch: 0, switchEpoch: 0, wipes: [], outbox: [], redirects: [] }
const fullDevice: DeviceRecordDraft = {
  currentUser: ann,
  epoch: 7,
  switchEpoch: 6,
  wipes: [{ incarnation: 'gone', requestedAtMs: 1 }],
  outbox: [{ id: 'r1', revokeHandle: 'revoke-handle', queuedAtMs: 2 }],
  redirects: [{ state: 'state', verifier: 'verifier', begunAtMs: 3 }],
  leaves: [{ key: ben, epoch: 7, to: 'logged-out' }],
}

function withoutRevision(record: UserRecord | DeviceRecord | null): object | null {
  if (!record) return null
  const { revision: _, ...rest } = record
  return rest
}

/** Collects what a store tells; `until` waits for one change, which may come late or twice. */
function watch(store: SessionStore) {
  const seen: StoreChange[] = []
  store.changes$.subscribe((change) => seen.push(change))
  return {
    until: (change: StoreChange) => expect.poll(() => seen, { timeout: 1_000, interval: 5 }).toContainEqual(change),
    forget: () => void seen.splice(0),
  }
}
