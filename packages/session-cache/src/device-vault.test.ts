import type { KeyProvider, UserKey, UserRecord, UserRecordDraft, VaultContents } from '@nightlatch/auth-core'
import { afterEach, describe, expect, test } from 'vitest'
import { fromBase64url, toBase64url, utf8 } from './encoding.ts'
import type { Envelope } from './envelope.ts'
import { floorKdf } from './key-derivation.ts'
import { memoryKeyProvider } from './memory-key-provider.ts'
import { nativeArgon2 } from './node-only/native-argon2.ts'
import type { RxdbSessionStoreOptions } from './open-store.ts'
import type { VaultedSessionStore } from './rxdb-session-store.ts'
import { type CacheDevice, cacheDevice } from './testing/cache-device.ts'
import { editStoredUser, type StoredUser, storedRows, storedUser } from './testing/stored-rows.ts'

const ann = 'key-ann' as UserKey
const password = 'correct horse battery staple'
const login = 'ann@example.org'
const DAY_MS = 86_400_000

const devices: CacheDevice[] = []
afterEach(async () => {
  for (const device of devices.splice(0)) await device.closeTabs()
})

/** A device on which Ann has logged in online with her password. */
async function deviceOfAnn(options: RxdbSessionStoreOptions & { readonly serverKey?: Uint8Array<ArrayBuffer> } = {}) {
  const { serverKey, ...cache } = options
  const device = cacheDevice({ deriveKey: nativeArgon2, ...cache })
  devices.push(device)
  const tab = await device.openTab()
  await logInOnline(tab, { serverKey })
  return { ...device, tab }
}

interface OnlineLogIn {
  readonly secret?: string
  readonly serverKey?: Uint8Array<ArrayBuffer> | undefined
  readonly epoch?: number
  readonly contents?: Partial<VaultContents> | undefined
}

async function logInOnline(tab: VaultedSessionStore, { secret = password, serverKey, epoch = 1, contents }: OnlineLogIn = {}) {
  const known = await tab.read(ann)
  const admission = await tab.vault.admit?.(ann, { kind: 'password', secret }, serverKey && (async () => serverKey))
  await tab.update(ann, known?.revision ?? null, await draftOf(tab, epoch, contents))
  return admission
}

async function draftOf(tab: VaultedSessionStore, epoch = 1, contents: Partial<VaultContents> = {}): Promise<UserRecordDraft> {
  return {
    key: ann,
    epoch,
    generation: 1,
    status: { kind: 'signed-in' },
    tags: [await tab.tag('user-id', 'u-ann'), await tab.tag('login', login)],
    incarnation: 'data-of-ann',
    vault: { kind: 'open', contents: { userId: 'u-ann', identities: [], profile: { email: login }, customData: {}, ...contents } },
  }
}

async function logOut(tab: VaultedSessionStore) {
  const record = await tab.read(ann)
  if (!record) throw new Error('Ann is gone.')
  return tab.update(ann, record.revision, { ...record, epoch: record.epoch + 1, generation: 0, status: { kind: 'logged-out' } })
}

function contentsOf(record: UserRecord | null): VaultContents {
  if (record?.vault.kind !== 'open') throw new Error('Ann is not open.')
  return record.vault.contents
}

const vaultOf = async (tab: VaultedSessionStore) => (await tab.read(ann))?.vault.kind

describe('offline log-in', () => {
  test('C2: the own password opens the user with no network, after a log-out and a restart', async () => {
    const { tab, closeTabs, openTab } = await deviceOfAnn()
    await logOut(tab)
    await closeTabs()
    const restarted = await openTab()
    expect(await vaultOf(restarted)).toBe('sealed')

    const key = await restarted.vault.unlock({ login: ' Ann@Example.org' }, 'password', password)

    expect(key).toBe(ann)
    expect((await restarted.read(ann))?.vault).toMatchObject({ kind: 'open', contents: { profile: { email: login } } })
  })

  test('C2: a wrong password and an unknown user are refused alike', async () => {
    const { tab } = await deviceOfAnn()
    await logOut(tab)

    const wrong = await refusal(tab.vault.unlock({ login }, 'password', 'wrong'))
    const unknown = await refusal(tab.vault.unlock({ login: 'nobody@example.org' }, 'password', password))

    expect(wrong).toMatchObject({ name: 'UnlockRefused', code: 'wrong-secret', attemptsLeft: 9 })
    expect(unknown).toMatchObject({ name: 'UnlockRefused', code: 'wrong-secret', message: (wrong as Error).message })
    expect(await vaultOf(tab)).toBe('sealed')
  })

  test('C2: nothing is stored that a password could be checked against but the slot itself', async () => {
    const { storage, context } = await deviceOfAnn()

    const row = await rowOf(storage, context)

    expect(Object.keys(row).toSorted()).toEqual(['attempts', 'clock', 'facts', 'locks', 'slots', 'vault'])
    expect(Object.keys(row.slots).toSorted()).toEqual(['device', 'password'])
    expect(JSON.stringify(row)).not.toContain(password)
  })

  test('a slot whose parameters were weakened on disk is not tried', async () => {
    const { tab, storage, context } = await deviceOfAnn()
    await logOut(tab)
    await editStoredUser(storage, context, ann, (row) => ({ ...row, slots: { password: weakened(row.slots.password) } }))

    expect(await refusal(tab.vault.unlock({ login }, 'password', password))).toMatchObject({ code: 'wrong-secret' })
  })
})

describe('attempts', () => {
  test('C2: are counted in storage before the key is derived, so a crash costs the attempt in progress and no more', async () => {
    const { tab, storage, context } = await deviceOfAnn()
    await logOut(tab)
    const crash = new AbortController()
    crash.abort(new Error('crashed'))

    await expect(tab.vault.unlock({ login }, 'password', password, crash.signal)).rejects.toThrow('crashed')

    expect((await rowOf(storage, context)).attempts).toMatchObject({ values: [1, expect.any(Number)] })
    expect(await tab.vault.status?.(ann)).toMatchObject({ attemptsLeft: 9 })
  })

  test('C2: after three the person waits, in every tab and over a restart; the right secret starts over', async () => {
    const { tab, openTab, closeTabs, pass } = await deviceOfAnn()
    await logOut(tab)
    for (let wrong = 0; wrong < 3; wrong += 1) await refusal(tab.vault.unlock({ login }, 'password', 'wrong'))
    await closeTabs()
    const restarted = await openTab()

    expect(await refusal(restarted.vault.unlock({ login }, 'password', password))).toMatchObject({ code: 'throttled', attemptsLeft: 7 })
    pass(1_000)
    await restarted.vault.unlock({ login }, 'password', password)

    expect(await restarted.vault.status?.(ann)).toMatchObject({ attemptsLeft: 10 })
  })

  test('C2: two tabs that try at once have spent two attempts', async () => {
    const { tab, openTab } = await deviceOfAnn()
    await logOut(tab)
    const other = await openTab()

    await Promise.allSettled([tab, other].map(({ vault }) => vault.unlock({ login }, 'password', 'wrong')))

    expect(await tab.vault.status?.(ann)).toMatchObject({ attemptsLeft: 8 })
  })

  test.each([
    ['missing', undefined],
    ['forged', { values: [0, 0], mac: 'AAAA' }],
    ['one of another user', 'moved'],
  ])('C2: a counter that is %s means no attempts left, until an online log-in', async (_how, forged) => {
    const { tab, storage, context } = await deviceOfAnn()
    await logOut(tab)
    const moved = forged === 'moved' ? await counterOfAnother(tab, storage, context) : forged
    await editStoredUser(storage, context, ann, (row) => ({ ...row, attempts: moved }))

    expect(await refusal(tab.vault.unlock({ login }, 'password', password))).toMatchObject({ code: 'attempts' })
    await logInOnline(tab, { epoch: 3 })

    expect(await tab.vault.status?.(ann)).toMatchObject({ attemptsLeft: 10 })
  })

  test('C2: ten failures destroy the password slot where the policy is strict, and only there', async () => {
    for (const policy of ['strict', 'standard'] as const) {
      const { tab, pass, storage, context } = await deviceOfAnn({ policy })
      await logOut(tab)
      for (let wrong = 0; wrong < 10; wrong += 1) {
        pass(1_800_000)
        expect(await refusal(tab.vault.unlock({ login }, 'password', 'wrong'))).toMatchObject({
          code: 'wrong-secret',
          attemptsLeft: 9 - wrong,
        })
      }
      pass(1_800_000)

      expect('password' in (await rowOf(storage, context)).slots).toBe(policy === 'standard')
      if (policy === 'standard') await tab.vault.unlock({ login }, 'password', password)
    }
  })
})

describe('age and clock', () => {
  test('C4: a restart after the idle limit leaves the user sealed, whatever opens without a secret', async () => {
    const { closeTabs, openTab, pass } = await deviceOfAnn()
    await closeTabs()
    pass(8 * DAY_MS)
    const restarted = await openTab()

    expect(await vaultOf(restarted)).toBe('sealed')
    expect(await refusal(restarted.vault.unlock({ login }, 'password', password))).toMatchObject({ code: 'age' })
    expect(await restarted.vault.status?.(ann)).toMatchObject({ refuses: 'age' })

    expect(await logInOnline(restarted, { epoch: 2 })).toBe('same-key')
    expect(await vaultOf(restarted)).toBe('open')
  })

  test('C4: turning the clock back is refused and costs no attempt; a new grant replaces the mark', async () => {
    const { tab, closeTabs, openTab, clock } = await deviceOfAnn()
    const record = await tab.read(ann)
    await closeTabs()
    clock.wallMs -= 3 * DAY_MS
    const restarted = await openTab()

    expect(await vaultOf(restarted)).toBe('sealed')
    expect(await refusal(restarted.vault.unlock({ login }, 'password', password))).toMatchObject({ code: 'clock' })
    expect(await restarted.vault.status?.(ann)).toMatchObject({ refuses: 'clock', attemptsLeft: 10 })

    await logInOnline(restarted, { epoch: (record?.epoch ?? 0) + 1 })
    expect(await restarted.vault.status?.(ann)).toMatchObject({ offlineEndsAtMs: clock.wallMs + 7 * DAY_MS })
  })

  test('C4: one boot in 2099 shuts the user out until the clock is right again, not for longer', async () => {
    const { closeTabs, openTab, clock } = await deviceOfAnn()
    const right = clock.wallMs
    await closeTabs()
    clock.wallMs = Date.UTC(2099, 0, 1)
    expect(await vaultOf(await openTab())).toBe('sealed')
    await closeTabs()
    clock.wallMs = right + DAY_MS

    expect(await vaultOf(await openTab())).toBe('open')
  })

  test('C4: a forged mark allows nothing', async () => {
    const { storage, context, closeTabs, openTab, clock } = await deviceOfAnn()
    await closeTabs()
    await editStoredUser(storage, context, ann, (row) => ({
      ...row,
      clock: { mac: row.clock?.mac, values: [clock.wallMs, clock.wallMs + 1] },
    }))

    expect(await vaultOf(await openTab())).toBe('sealed')
  })

  test('offline log-in counts as use, not as contact', async () => {
    const { tab, pass, clock } = await deviceOfAnn()
    const loggedInAtMs = clock.wallMs
    for (let day = 0; day < 29; day += 5) {
      await logOutKeepingEpochs(tab)
      await tab.vault.unlock({ login }, 'password', password)
      pass(5 * DAY_MS)
    }

    expect(await refusal(tab.vault.unlock({ login }, 'password', password))).toMatchObject({ code: 'age' })
    expect(clock.wallMs - loggedInAtMs).toBe(30 * DAY_MS)
  })
})

describe('locks', () => {
  test('S16: a lock closes the user in every tab at once, and the own password opens it again everywhere', async () => {
    const { tab, openTab, storage, context } = await deviceOfAnn()
    const other = await openTab()
    expect(await vaultOf(other)).toBe('open')

    await tab.vault.lock(ann, 'explicit')

    expect([await vaultOf(tab), await vaultOf(other)]).toEqual(['sealed', 'sealed'])
    expect(Object.keys((await rowOf(storage, context)).slots)).toEqual(['password'])
    await other.vault.unlock({ key: ann }, 'password', password)
    expect([await vaultOf(tab), await vaultOf(other)]).toEqual(['open', 'open'])
  })

  test('is refused where nothing but the device could open the user again', async () => {
    const device = cacheDevice({ deriveKey: nativeArgon2 })
    devices.push(device)
    const tab = await device.openTab()
    await tab.vault.admit?.(ann, null)
    await tab.update(ann, null, await draftOf(tab))

    expect(await refusal(tab.vault.lock(ann, 'explicit'))).toMatchObject({ code: 'no-unlock-method' })
    expect(await vaultOf(tab)).toBe('open')
  })

  test('S8: a switch closes the user in memory and keeps what opens without a secret', async () => {
    const { tab, storage, context } = await deviceOfAnn()
    const before = await rowOf(storage, context)

    await tab.vault.lock(ann, 'switch')

    const after = await rowOf(storage, context)
    expect(after.slots).toEqual(before.slots)
    expect(after.locks).toBe(before.locks + 1)
    expect(await vaultOf(tab)).toBe('open')
  })

  test('S8, stay "unlock": after a switch the secret is asked for again, in every tab', async () => {
    const { tab, openTab } = await deviceOfAnn({ stay: 'unlock' })
    const other = await openTab()
    expect(await vaultOf(other)).toBe('open')

    await tab.vault.lock(ann, 'switch')

    expect([await vaultOf(tab), await vaultOf(other)]).toEqual(['sealed', 'sealed'])
  })

  test('S8: a logged-out user is sealed in the tab that held its key', async () => {
    const { tab } = await deviceOfAnn()

    expect((await logOut(tab)).vault).toEqual({ kind: 'sealed' })
  })

  test('stay "unlock": no slot opens without a secret; a new tab gets the key from a live one, never from a locked or closed one', async () => {
    const { tab, openTab, closeTabs, storage, context } = await deviceOfAnn({ stay: 'unlock' })
    expect(Object.keys((await rowOf(storage, context)).slots)).toEqual(['password'])

    const second = await openTab()
    expect(await vaultOf(second)).toBe('open')

    await tab.vault.lock(ann, 'explicit')
    expect([await vaultOf(tab), await vaultOf(second), await vaultOf(await openTab())]).toEqual(['sealed', 'sealed', 'sealed'])

    await second.vault.unlock({ key: ann }, 'password', password)
    await expect.poll(() => vaultOf(tab)).toBe('open')
    await closeTabs()
    expect(await vaultOf(await openTab())).toBe('sealed')
  })

  test('idle: tells after the policy said, once nobody was there in any tab', async () => {
    const active: (() => void)[] = []
    const watchActivity = (callback: () => void) => {
      active.push(callback)
      return () => {}
    }
    const policy = { idleMs: DAY_MS, absoluteMs: DAY_MS, idleLockMs: 40, destroyPasswordAfterFailures: false }
    const { tab, pass } = await deviceOfAnn({ policy, watchActivity })
    const told: unknown[] = []
    tab.vault.changes$.subscribe((change) => told.push(change))

    pass(39)
    active[0]?.()
    pass(39)
    await new Promise((resolve) => setTimeout(resolve, 40))
    expect(told).toEqual([])
    pass(1)

    await expect.poll(() => told).toContainEqual({ key: ann, why: 'idle' })
  })
})

describe('changing secrets', () => {
  test('a passphrase can be added, opens, and can be taken away', async () => {
    const { tab } = await deviceOfAnn()

    await tab.vault.enroll(ann, 'passphrase', 'a longer phrase')
    expect(await tab.vault.methods(ann)).toEqual(['password', 'passphrase', 'device'])
    await tab.vault.lock(ann, 'explicit')
    await tab.vault.unlock({ key: ann }, 'passphrase', 'a longer phrase')
    await tab.vault.disenroll(ann, 'passphrase')

    expect(await tab.vault.methods(ann)).toEqual(['password', 'device'])
  })

  test('stay "unlock": needs a secret that opens the user', async () => {
    const { tab } = await deviceOfAnn({ stay: 'unlock' })

    expect(await refusal(tab.vault.enroll(ann, 'passphrase', 'a longer phrase'))).toMatchObject({ code: 'needs-secret' })
    await tab.vault.enroll(ann, 'passphrase', 'a longer phrase', { kind: 'password', secret: password })

    expect(await tab.vault.methods(ann)).toEqual(['password', 'passphrase'])
    expect(await tab.vault.status?.(ann)).toMatchObject({ attemptsLeft: 10 })
  })

  test('the last way in cannot be taken away', async () => {
    const { tab } = await deviceOfAnn({ stay: 'unlock' })

    expect(await refusal(tab.vault.disenroll(ann, 'password'))).toMatchObject({ code: 'no-unlock-method' })
  })

  test('a PIN is refused while the factor is a browser’s, weak ones always, and ten failures destroy it', async () => {
    const browser = await deviceOfAnn()
    expect(await refusal(browser.tab.vault.enroll(ann, 'pin', '493817'))).toMatchObject({ code: 'weak-secret' })

    const keys: KeyProvider = { ...memoryKeyProvider(), quality: 'os' }
    const { tab, pass } = await deviceOfAnn({ keys })
    for (const weak of ['1234', '123456', '654321', '111111', '121212', 'abcdef']) {
      expect(await refusal(tab.vault.enroll(ann, 'pin', weak))).toMatchObject({ code: 'weak-secret' })
    }
    await tab.vault.enroll(ann, 'pin', '493817')
    for (let wrong = 0; wrong < 10; wrong += 1) {
      await refusal(tab.vault.unlock({ key: ann }, 'pin', '999000'))
      pass(1_800_000)
    }

    expect(await tab.vault.methods(ann)).toEqual(['password', 'device'])
  })

  test('a slot made with older settings is wrapped anew by the unlock that used it', async () => {
    const { tab, openTab, storage, context } = await deviceOfAnn()
    await tab.vault.lock(ann, 'explicit')
    const stronger = await openTab({ kdf: { name: 'argon2id', memoryKiB: 20_480, passes: 2 } })

    await stronger.vault.unlock({ key: ann }, 'password', password)

    const header = headerText((await rowOf(storage, context)).slots.password)
    expect(header).toMatchObject({ kdf: { memoryKiB: 20_480 } })
    await stronger.vault.lock(ann, 'explicit')
    await tab.vault.unlock({ key: ann }, 'password', password)
  })

  test('password changed elsewhere: the old one opens until the first online log-in, whose new one then opens the same data', async () => {
    const serverKey = crypto.getRandomValues(new Uint8Array(32))
    const { tab } = await deviceOfAnn({ serverKey })
    await logOut(tab)
    await tab.vault.unlock({ login }, 'password', password)
    await tab.vault.lock(ann, 'explicit')

    expect(await logInOnline(tab, { secret: 'the new password', serverKey, epoch: 3 })).toBe('same-key')

    await logOut(tab)
    expect(await refusal(tab.vault.unlock({ login }, 'password', password))).toMatchObject({ code: 'wrong-secret' })
    await tab.vault.unlock({ login }, 'password', 'the new password')
  })

  test('the server’s unlock key opens a locked user whose secret is lost', async () => {
    const serverKey = crypto.getRandomValues(new Uint8Array(32))
    const { tab } = await deviceOfAnn({ serverKey })
    await logOut(tab)

    await tab.vault.unlock({ key: ann }, 'server', toBase64url(serverKey))

    expect(await vaultOf(tab)).toBe('open')
    expect(await refusal(tab.vault.unlock({ key: ann }, 'server', 'not base64url!'))).toMatchObject({ code: 'wrong-secret' })
  })

  test('data-sealed: where nothing opens the old key, it is set aside and never overwritten', async () => {
    const { tab, storage, context } = await deviceOfAnn()
    await logOut(tab)
    const before = await rowOf(storage, context)

    expect(await logInOnline(tab, { secret: 'the new password', epoch: 3 })).toBe('new-key')
    await logOut(tab)
    expect(await logInOnline(tab, { secret: 'the third password', epoch: 5 })).toBe('new-key')

    const { quarantine } = await rowOf(storage, context)
    expect(quarantine).toHaveLength(2)
    expect(quarantine).toMatchObject([{ slots: before.slots, vault: before.vault }, {}])
  })

  describe('what an older key sealed', () => {
    /** Ann's old key cannot be opened: her password was changed elsewhere, and there is no server slot. */
    async function sealedDevice(options: RxdbSessionStoreOptions = {}) {
      const device = await deviceOfAnn(options)
      const { tab } = device
      await logOut(tab)
      await logInOnline(tab, { secret: 'the new password', epoch: 3, contents: { profile: {}, customData: { team: 'new' } } })
      return { ...device, contents: async () => contentsOf(await tab.read(ann)) }
    }

    test('data-sealed: is told of and given back by the secret of then, only where there is nothing newer, and is in quarantine no more', async () => {
      const { tab, contents, storage, context, closeTabs, openTab } = await sealedDevice()
      expect(await tab.read(ann)).toMatchObject({ sealedData: { pending: 'unknown' } })

      await tab.vault.rescue?.(ann, password)

      expect(await contents()).toMatchObject({ profile: { email: login }, customData: { team: 'new' } })
      expect(await contents()).not.toHaveProperty('session')
      expect(await tab.read(ann)).not.toHaveProperty('sealedData')
      expect(await rowOf(storage, context)).not.toHaveProperty('quarantine')
      await closeTabs()
      expect(contentsOf(await (await openTab()).read(ann))).toMatchObject({ profile: { email: login } })
    })

    test('data-sealed: what a later key sealed wins over what an earlier one did, and a secret takes out its own part only', async () => {
      const { tab, contents } = await sealedDevice()
      await logOut(tab)
      await logInOnline(tab, { secret: 'the third password', epoch: 5, contents: { profile: {}, customData: {} } })

      await tab.vault.rescue?.(ann, 'the new password')
      expect(await contents()).toMatchObject({ profile: {}, customData: { team: 'new' } })
      expect(await tab.read(ann)).toMatchObject({ sealedData: { pending: 'unknown' } })
      await tab.vault.rescue?.(ann, password)

      expect(await contents()).toMatchObject({ profile: { email: login }, customData: { team: 'new' } })
      expect(await tab.read(ann)).not.toHaveProperty('sealedData')
    })

    test('data-sealed: of two parts that one secret opens the newer one counts', async () => {
      const { tab, contents } = await sealedDevice()
      await logOut(tab)
      await logInOnline(tab, { epoch: 5, contents: { profile: { email: 'newer@example.org' } } })
      await logOut(tab)
      await logInOnline(tab, { secret: 'the third password', epoch: 7, contents: { profile: {} } })

      await tab.vault.rescue?.(ann, password)

      expect(await contents()).toMatchObject({ profile: { email: 'newer@example.org' } })
    })

    test('C2: wrong secrets are counted as any, and change nothing; the right one starts over', async () => {
      const { tab, storage, context, pass } = await sealedDevice()
      const { quarantine, slots } = await rowOf(storage, context)

      for (const left of [9, 8, 7])
        expect(await refusal(tab.vault.rescue?.(ann, 'a guess'))).toMatchObject({ code: 'wrong-secret', attemptsLeft: left })
      expect(await refusal(tab.vault.rescue?.(ann, password))).toMatchObject({ code: 'throttled' })
      expect(await rowOf(storage, context)).toMatchObject({ quarantine, slots })

      pass(1_000)
      await tab.vault.rescue?.(ann, password)
      expect(await tab.vault.status?.(ann)).toMatchObject({ attemptsLeft: 10 })
    })

    test('a locked user has to be opened first, and nothing is lost by asking', async () => {
      const { tab } = await sealedDevice()
      await tab.vault.lock(ann, 'explicit')

      expect(await refusal(tab.vault.rescue?.(ann, password))).toMatchObject({ code: 'needs-secret' })

      await tab.vault.unlock({ key: ann }, 'password', 'the new password')
      await tab.vault.rescue?.(ann, password)
      expect(await tab.read(ann)).not.toHaveProperty('sealedData')
    })
  })

  test('S6: what a log-in prepared and never stored changes nothing', async () => {
    const { tab, storage, context, closeTabs, openTab } = await deviceOfAnn()
    await logOut(tab)
    const before = await rowOf(storage, context)

    await tab.vault.admit?.(ann, { kind: 'password', secret: 'the new password' })
    await closeTabs()

    expect(await rowOf(storage, context)).toEqual(before)
    await (await openTab()).vault.unlock({ login }, 'password', password)
  })
})

describe('removal', () => {
  test('C3: destroying leaves nothing that any secret opens, and removal leaves no row', async () => {
    const { tab, storage, context } = await deviceOfAnn()

    await tab.vault.destroy(ann)

    const emptied = await rowOf(storage, context)
    expect(emptied).toMatchObject({ slots: {}, vault: null, facts: { tags: [] } })
    expect(await refusal(tab.vault.unlock({ key: ann }, 'password', password))).toMatchObject({ code: 'wrong-secret' })
    await tab.remove(ann, (await tab.read(ann))?.revision ?? ('' as never))
    expect((await storedRows(storage, context)).map(({ key }) => key)).toEqual(['device'])
  })

  test('C3: rows copied back after a removal open with no secret: the factor is gone', async () => {
    const { tab, storage, context, openTab } = await deviceOfAnn()
    const copy = await rowOf(storage, context)
    await tab.vault.destroy(ann)

    await editStoredUser(storage, context, ann, () => copy)

    const other = await openTab()
    expect(await vaultOf(other)).toBe('sealed')
    expect(await refusal(other.vault.unlock({ key: ann }, 'password', password))).toMatchObject({ code: 'wrong-secret' })
  })
})

describe('what the device may read of locked users', () => {
  test('labels are kept where they were opted in, and never in the strict profile', async () => {
    for (const [options, label] of [
      [{}, undefined],
      [{ labels: true }, 'Ann'],
      [{ labels: true, policy: 'strict' }, undefined],
    ] as const) {
      const { tab, storage, context } = await deviceOfAnn(options)
      const record = await tab.read(ann)
      if (!record) throw new Error('gone')
      await tab.update(ann, record.revision, { ...record, label: 'Ann', revokeHandle: 'r1.handle' })
      const left = await logOut(tab)

      expect(left.vault.kind).toBe('sealed')
      expect(left.label).toBe(label)
      expect(left.revokeHandle).toBe('r1.handle')
      expect(JSON.stringify(await storedRows(storage, context))).not.toMatch(/"Ann"|r1\.handle/)
    }
  })
})

async function refusal(promise: Promise<unknown> | undefined): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('It was not refused.')
}

function rowOf(storage: CacheDevice['storage'], context: CacheDevice['context'], key = ann): Promise<StoredUser> {
  return storedUser(storage, context, key)
}

async function counterOfAnother(
  tab: VaultedSessionStore,
  storage: CacheDevice['storage'],
  context: CacheDevice['context'],
): Promise<unknown> {
  const ben = 'key-ben' as UserKey
  await tab.update(ben, null, { ...(await draftOf(tab)), key: ben, tags: [] })
  return (await rowOf(storage, context, ben)).attempts
}

/** A lock, as far as these tests need one, without a new epoch. */
function logOutKeepingEpochs(tab: VaultedSessionStore): Promise<void> {
  return tab.vault.lock(ann, 'explicit')
}

function headerText(slot: Envelope | undefined): object {
  return JSON.parse(new TextDecoder().decode(fromBase64url(slot?.protected ?? ''))) as object
}

function weakened(slot: Envelope | undefined): object {
  const header = { ...headerText(slot), kdf: { ...floorKdf, passes: 1, salt: 'AAAAAAAAAAAAAAAAAAAAAA' } }
  return { ...slot, protected: toBase64url(utf8(JSON.stringify(header))) }
}
