import type { UserKey, UserProfile, UserRecord, UserRecordDraft } from '@nightlatch/auth-core'
import { afterEach, describe, expect, test } from 'vitest'
import { nativeArgon2 } from './node-only/native-argon2.ts'
import type { VaultedSessionStore } from './rxdb-session-store.ts'
import { type CacheDevice, cacheDevice } from './testing/cache-device.ts'
import { Crashed, CrashPlan } from './testing/crashing-storage.ts'
import { storedRows } from './testing/stored-rows.ts'

const ann = 'key-ann' as UserKey
const ben = 'key-ben' as UserKey
const password = 'correct horse'

const devices: CacheDevice[] = []
afterEach(async () => {
  for (const device of devices.splice(0)) await device.closeTabs()
})

interface Flow {
  /** Leads to the state before, without a crash. */
  readonly before?: (store: VaultedSessionStore) => Promise<unknown>
  readonly run: (store: VaultedSessionStore) => Promise<unknown>
  /** What may be true after a restart, whatever the moment of the crash. */
  readonly holds: (store: VaultedSessionStore, device: CacheDevice) => Promise<unknown>
}

const flows: Readonly<Record<string, Flow>> = {
  'the first log-in': {
    run: (store) => logIn(store, ann, 1),
    async holds(store) {
      const record = await store.read(ann)
      if (record)
        expect(record.vault).toMatchObject({ kind: 'open', contents: { userId: 'u-key-ann', session: { accessToken: 'token-1' } } })
    },
  },
  'a refresh': {
    before: (store) => logIn(store, ann, 1),
    run: async (store) => change(store, ann, (record) => ({ ...record, generation: 2, vault: open(ann, 'token-2') })),
    async holds(store) {
      const record = await store.read(ann)
      expect(record?.vault).toMatchObject({ kind: 'open', contents: { session: { accessToken: `token-${record?.generation}` } } })
    },
  },
  'an unlock': {
    before: async (store) => {
      await logIn(store, ann, 1)
      await store.vault.lock(ann, 'explicit')
    },
    run: (store) => store.vault.unlock({ key: ann }, 'password', password),
    async holds(store) {
      expect((await store.vault.status?.(ann))?.attemptsLeft).toBeGreaterThanOrEqual(9)
      await store.vault.unlock({ key: ann }, 'password', password)
      expect((await store.read(ann))?.vault).toMatchObject({ kind: 'open', contents: { session: { accessToken: 'token-1' } } })
    },
  },
  'a lock': {
    before: (store) => logIn(store, ann, 1),
    run: (store) => store.vault.lock(ann, 'explicit'),
    async holds(store) {
      await store.vault.unlock({ key: ann }, 'password', password)
      expect((await store.read(ann))?.vault.kind).toBe('open')
    },
  },
  're-wrapping under a new password': {
    before: (store) => logIn(store, ann, 1),
    run: (store) => store.vault.enroll(ann, 'password', 'the new password'),
    async holds(store) {
      const opened = await Promise.allSettled(
        [password, 'the new password'].map((secret) => store.vault.unlock({ key: ann }, 'password', secret)),
      )
      expect(opened.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    },
  },
  'a log-out': {
    before: (store) => logIn(store, ann, 1),
    run: (store) => change(store, ann, (record) => ({ ...record, epoch: 2, generation: 0, status: { kind: 'logged-out' } })),
    async holds(store) {
      const record = await store.read(ann)
      expect(record?.vault.kind).toBe(record?.status.kind === 'logged-out' ? 'sealed' : 'open')
      await store.vault.unlock({ key: ann }, 'password', password)
    },
  },
  'rescuing what an older key sealed': {
    before: async (store) => {
      await logIn(store, ann, 1)
      await change(store, ann, (record) => ({ ...record, vault: open(ann, 'token-1', { name: 'Ann' }) }))
      await change(store, ann, (record) => ({ ...record, epoch: 2, generation: 0, status: { kind: 'logged-out' } }))
      await store.vault.admit?.(ann, { kind: 'password', secret: 'the new password' })
      await change(store, ann, (record) => ({ ...record, epoch: 3, status: { kind: 'signed-in' }, vault: open(ann, 'token-2') }))
    },
    run: async (store) => store.vault.rescue?.(ann, password),
    async holds(store) {
      const { sealedData, vault } = await recordOf(store, ann)
      const profile = sealedData ? {} : { name: 'Ann' }
      expect(vault).toMatchObject({ kind: 'open', contents: { profile, session: { accessToken: 'token-2' } } })
      if (sealedData) await store.vault.rescue?.(ann, password)
      expect((await recordOf(store, ann)).vault).toMatchObject({ contents: { profile: { name: 'Ann' } } })
    },
  },
  'a removal': {
    before: (store) => logIn(store, ann, 1),
    run: async (store) => {
      await store.vault.destroy(ann)
      await store.remove(ann, (await recordOf(store, ann)).revision)
    },
    async holds(store, { storage, context, keys }) {
      const record = await store.read(ann)
      if (record?.vault.kind === 'open') return // it died before the first write: nothing has happened
      if (record) {
        await expect(store.vault.unlock({ key: ann }, 'password', password)).rejects.toMatchObject({ code: 'wrong-secret' })
        await store.vault.destroy(ann)
        await store.remove(ann, (await recordOf(store, ann)).revision)
      }
      expect((await storedRows(storage, context)).map(({ key }) => key)).not.toContain(ann)
      await expect.poll(async () => (await keys.userFactor(ann)).mac(new Uint8Array(1))).not.toEqual(factorBefore)
    },
  },
}

let factorBefore: Uint8Array

describe('a crash at any durable write leaves a device that starts and a user that opens, or none', () => {
  for (const [name, { before, run, holds }] of Object.entries(flows)) {
    for (const when of ['before', 'after'] as const) {
      test(`R-2, C3: ${name}, ${when} the write`, async () => {
        for (let at = 1; ; at += 1) {
          const device = cacheDevice({ deriveKey: nativeArgon2 })
          devices.push(device)
          const first = await device.openTab()
          await logIn(first, ben, 1)
          await before?.(first)
          await device.closeTabs()
          factorBefore = await (await device.keys.userFactor(ann)).mac(new Uint8Array(1))
          const benBefore = await storedOf(device, ben)
          const plan = new CrashPlan(at, when)

          const crashed = await runUntilCrash(device, plan, run)

          const restarted = await device.openTab()
          await holds(restarted, device)
          expect(await storedOf(device, ben)).toEqual(benBefore)
          expect((await restarted.read(ben))?.vault.kind).toBe('open')
          await device.closeTabs()
          if (!crashed) break
          expect(at).toBeLessThan(30)
        }
      })
    }
  }
})

async function runUntilCrash(device: CacheDevice, plan: CrashPlan, run: Flow['run']): Promise<boolean> {
  try {
    const doomed = await device.openTab({ storage: plan.storage(device.storage), keys: plan.keys(device.keys) })
    await run(doomed)
  } catch (error) {
    if (!plan.happened || !isCrash(error)) throw error
  }
  await device.closeTabs()
  return plan.happened
}

function isCrash(error: unknown): boolean {
  return error instanceof Crashed || (error instanceof Error && error.cause instanceof Crashed)
}

async function logIn(store: VaultedSessionStore, key: UserKey, generation: number): Promise<UserRecord> {
  await store.vault.admit?.(key, { kind: 'password', secret: password })
  const draft: UserRecordDraft = {
    key,
    epoch: 1,
    generation,
    status: { kind: 'signed-in' },
    tags: [await store.tag('user-id', `u-${key}`)],
    incarnation: `data-of-${key}`,
    vault: open(key, `token-${generation}`),
  }
  return store.update(key, null, draft)
}

function open(key: UserKey, accessToken: string, profile: UserProfile = {}): UserRecordDraft['vault'] {
  const session = { accessToken, accessLifeMs: 1, accessExpiresAtMs: 1 }
  return { kind: 'open', contents: { userId: `u-${key}`, session, identities: [], profile, customData: {} } }
}

async function change(store: VaultedSessionStore, key: UserKey, next: (record: UserRecord) => UserRecordDraft): Promise<UserRecord> {
  const record = await recordOf(store, key)
  return store.update(key, record.revision, next(record))
}

async function recordOf(store: VaultedSessionStore, key: UserKey): Promise<UserRecord> {
  const record = await store.read(key)
  if (!record) throw new Error(`${key} is gone.`)
  return record
}

async function storedOf({ storage, context }: CacheDevice, key: UserKey): Promise<unknown> {
  return (await storedRows(storage, context)).find((row) => row.key === key)?.content
}
