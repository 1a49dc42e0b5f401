import type { SessionStore, UserKey, UserRecordDraft } from '@nightlatch/auth-core'
import { realWorld } from '@nightlatch/auth-core/world'
import { afterEach, describe, expect, test } from 'vitest'
import { fromBase64url, toBase64url, utf8 } from './encoding.ts'
import type { Envelope } from './envelope.ts'
import { memoryKeyProvider } from './memory-key-provider.ts'
import { rxdbSessionStore } from './rxdb-session-store.ts'
import { isolatedMemoryStorage } from './testing/isolated-memory-storage.ts'
import { editStoredUser, storedRows, storedUser } from './testing/stored-rows.ts'

const ann = 'key-ann' as UserKey
const ben = 'key-ben' as UserKey
const context = { appId: 'fieldbook', issuer: 'https://api.example.org', world: realWorld() }

const secrets = {
  userId: 'user-4711',
  email: 'ann@example.org',
  accessToken: 'canary-access-token',
  refreshToken: 'canary-refresh-token',
  revokeHandle: 'canary-revoke-handle',
  deviceId: 'canary-device-id',
  sessionId: 'canary-session-id',
  custom: 'canary-custom-data',
  verifier: 'canary-verifier',
}

describe('sealed storage', () => {
  const open: SessionStore[] = []
  afterEach(async () => {
    for (const store of open.splice(0)) await store.close()
  })

  const aDevice = () => {
    const storage = isolatedMemoryStorage()
    const keys = memoryKeyProvider()
    const openTab = async (options: { readonly stay?: 'device' | 'unlock'; readonly issuer?: string } = {}) => {
      const store = rxdbSessionStore({ storage, keys, ...(options.stay && { stay: options.stay }) })
      await store.open({ ...context, issuer: options.issuer ?? context.issuer })
      open.push(store)
      return store
    }
    return { storage, keys, openTab }
  }

  test('C1: no token, id, address or handle stands in any stored field', async () => {
    const { storage, openTab } = aDevice()
    const store = await openTab()
    await store.update(ann, null, {
      ...draftOf(ann),
      tags: [await store.tag('login', secrets.email), await store.tag('user-id', secrets.userId)],
    })
    await store.device.update((await store.device.read()).revision, {
      ...(await store.device.read()),
      outbox: [{ id: 'r1', revokeHandle: secrets.revokeHandle, queuedAtMs: 1 }],
      redirects: [{ state: 's', verifier: secrets.verifier, begunAtMs: 1 }],
    })

    const stored = JSON.stringify(await storedRows(storage, context))

    for (const secret of Object.values(secrets)) for (const form of writings(secret)) expect(stored).not.toContain(form)
    expect(stored).toContain(ann)
  })

  test('C1: a vault that was changed on disk is damaged, whoever holds the key in memory', async () => {
    const { storage, openTab } = aDevice()
    const store = await openTab()
    await store.update(ann, null, draftOf(ann))

    for (const member of ['protected', 'iv', 'ciphertext', 'tag'] as const) {
      const sound = await storedUser(storage, context, ann)
      const changed = { ...sound.vault, [member]: flipFirst(sound.vault[member]) }
      await editStoredUser(storage, context, ann, (row) => ({ ...row, vault: changed }))
      expect((await store.read(ann))?.vault.kind, member).not.toBe('open')
      await editStoredUser(storage, context, ann, () => sound)
      expect((await store.read(ann))?.vault.kind).toBe('open')
    }
  })

  test('C1: a device slot that was changed on disk opens nothing after a restart', async () => {
    const { storage, openTab } = aDevice()
    const store = await openTab()
    await store.update(ann, null, draftOf(ann))
    await store.close()

    await editStoredUser(storage, context, ann, (row) => {
      const { device } = row.slots
      return { ...row, slots: { device: device && { ...device, tag: flipFirst(device.tag) } } }
    })

    expect((await (await openTab()).read(ann))?.vault.kind).toBe('sealed')
  })

  test('C1: what was sealed for one user does not open in the record of another', async () => {
    const { storage, openTab } = aDevice()
    const store = await openTab()
    await store.update(ann, null, draftOf(ann))
    await store.update(ben, null, draftOf(ben))
    const annRow = await storedUser(storage, context, ann)
    await store.close()

    await editStoredUser(storage, context, ben, (row) => ({ ...row, vault: annRow.vault, slots: annRow.slots }))

    expect((await (await openTab()).read(ben))?.vault.kind).not.toBe('open')
  })

  test('C1: what was sealed for one issuer does not open for another', async () => {
    const { storage, keys, openTab } = aDevice()
    const store = await openTab()
    await store.update(ann, null, draftOf(ann))
    const row = await storedUser(storage, context, ann)
    const elsewhere = { ...context, issuer: 'https://other.example.org' }
    const other = await openTab({ issuer: elsewhere.issuer })
    await other.update(ann, null, draftOf(ann))

    await editStoredUser(storage, elsewhere, ann, () => row)

    expect((await other.read(ann))?.vault.kind).not.toBe('open')
    expect(keys.quality).toBe('none')
  })

  test('a restart opens the signed-in user without a network and without a secret', async () => {
    const { openTab } = aDevice()
    const store = await openTab()
    const stored = await store.update(ann, null, draftOf(ann))
    await store.close()

    expect(await (await openTab()).read(ann)).toEqual(stored)
  })

  test('stay "unlock": a restart leaves the user sealed', async () => {
    const { openTab } = aDevice()
    const store = await openTab({ stay: 'unlock' })
    expect((await store.update(ann, null, draftOf(ann))).vault.kind).toBe('open')
    await store.close()

    expect((await (await openTab({ stay: 'unlock' })).read(ann))?.vault).toEqual({ kind: 'sealed' })
  })

  test('a log-out destroys what opens without a secret, in every tab', async () => {
    const { storage, openTab } = aDevice()
    const store = await openTab()
    const other = await openTab()
    const { revision } = await store.update(ann, null, draftOf(ann))
    expect((await other.read(ann))?.vault.kind).toBe('open')

    const left = await store.update(ann, revision, { ...draftOf(ann), status: { kind: 'logged-out' } })

    expect(left.vault).toEqual({ kind: 'sealed' })
    expect((await other.read(ann))?.vault).toEqual({ kind: 'sealed' })
    expect((await storedUser(storage, context, ann)).slots).toEqual({})
    const back = await other.update(ann, left.revision, draftOf(ann))
    expect(back.vault.kind).toBe('open')
    expect((await store.read(ann))?.vault).toEqual(back.vault)
  })

  test('a sealed or newer vault is handed back as it is by writes that do not know its contents', async () => {
    const { storage, openTab } = aDevice()
    const store = await openTab({ stay: 'unlock' })
    await store.update(ann, null, draftOf(ann))
    await store.close()
    const before = await storedUser(storage, context, ann)

    const restarted = await openTab({ stay: 'unlock' })
    const sealed = await restarted.read(ann)
    if (!sealed) throw new Error('gone')
    await restarted.update(ann, sealed.revision, { ...sealed, generation: 5 })

    const after = await storedUser(storage, context, ann)
    expect(after.vault).toEqual(before.vault)
    expect(after.facts.generation).toBe(5)
  })

  test('an unknown newer payload is kept unread', async () => {
    const { storage, openTab } = aDevice()
    const store = await openTab()
    await store.update(ann, null, draftOf(ann))
    await editStoredUser(storage, context, ann, (row) => ({ ...row, vault: withVersion(row.vault, 2) }))

    const newer = await store.read(ann)
    expect(newer?.vault).toEqual({ kind: 'newer' })
    if (!newer) throw new Error('gone')
    await store.update(ann, newer.revision, { ...newer, generation: 3 })

    expect((await store.read(ann))?.vault).toEqual({ kind: 'newer' })
  })

  test('C3: a removed user leaves a row with nothing in it, and no key', async () => {
    const { storage, keys, openTab } = aDevice()
    const store = await openTab()
    const { revision } = await store.update(ann, null, draftOf(ann))
    const factor = await (await keys.userFactor(ann)).mac(new Uint8Array([1]))

    await store.remove(ann, revision)

    expect((await storedRows(storage, context)).map(({ key }) => key)).toEqual(['device'])
    expect(await (await keys.userFactor(ann)).mac(new Uint8Array([1]))).not.toEqual(factor)
  })

  test('a store whose keys are gone says evicted and touches nothing', async () => {
    const { storage, openTab } = aDevice()
    const store = await openTab()
    await store.device.read()
    await store.update(ann, null, draftOf(ann))
    await store.close()
    const before = await storedRows(storage, context)

    const withoutKeys = rxdbSessionStore({ storage, keys: memoryKeyProvider() })

    await expect(withoutKeys.open(context)).rejects.toMatchObject({ name: 'StoreUnavailable', reason: 'evicted' })
    expect(await storedRows(storage, context)).toEqual(before)
  })
})

function draftOf(key: UserKey): UserRecordDraft {
  return {
    key,
    epoch: 1,
    generation: 1,
    status: { kind: 'signed-in' },
    tags: [],
    incarnation: `data-of-${key}`,
    vault: {
      kind: 'open',
      contents: {
        userId: secrets.userId,
        deviceId: secrets.deviceId,
        session: {
          id: secrets.sessionId,
          accessToken: secrets.accessToken,
          accessLifeMs: 900_000,
          accessExpiresAtMs: 1,
          refreshToken: secrets.refreshToken,
          revokeHandle: secrets.revokeHandle,
        },
        identities: [{ id: secrets.userId, provider: 'email-password' }],
        profile: { email: secrets.email },
        customData: { secret: secrets.custom },
      },
    },
  }
}

/** The first character of base64url text replaced by another, which changes the top bits of its first byte. */
function flipFirst(text: string): string {
  return `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`
}

function withVersion(envelope: Envelope, v: number): Envelope {
  const header = JSON.parse(new TextDecoder().decode(fromBase64url(envelope.protected))) as object
  return { ...envelope, protected: toBase64url(utf8(JSON.stringify({ ...header, v }))) }
}

/** How a secret may be written down in a file. */
function writings(secret: string): readonly string[] {
  const bytes = utf8(secret)
  const base64 = [0, 1, 2].map((shift) => {
    const shifted = btoa(`${'x'.repeat(shift)}${secret}`)
    return shifted.slice(shift === 0 ? 0 : 4, -4)
  })
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return [secret, hex, ...base64, ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))]
}
