import { inspect } from 'node:util'
import type { UserKey, UserRecordDraft } from '@nightlatch/auth-core'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { nativeArgon2 } from './node-only/native-argon2.ts'
import { type CacheDevice, cacheDevice } from './testing/cache-device.ts'
import { editStoredRow, storedUser, withStoredRows } from './testing/stored-rows.ts'

const ann = 'key-ann' as UserKey
const ben = 'key-ben' as UserKey
const canaries = ['canary-token-77', 'canary@example.org', 'canary-secret-42', 'canary-user-id']

const devices: CacheDevice[] = []
afterEach(async () => {
  for (const device of devices.splice(0)) await device.closeTabs()
})

async function deviceWithTwo() {
  const device = cacheDevice({ deriveKey: nativeArgon2 })
  devices.push(device)
  const tab = await device.openTab()
  for (const key of [ann, ben]) {
    await tab.vault.admit?.(key, { kind: 'password', secret: 'canary-secret-42' })
    await tab.update(key, null, { ...draftOf(key), tags: [await tab.tag('login', `${key}@example.org`)] })
  }
  return { ...device, tab }
}

describe('rows edited by hand', () => {
  test('S10: whatever stands in a user’s row, reading never fails and the others are untouched', async () => {
    const { tab, storage, context } = await deviceWithTwo()
    const sound = await storedUser(storage, context, ann)
    const intact = await tab.read(ben)
    const json = fc.jsonValue().map((value) => value as unknown)
    const someRow = fc.oneof(
      fc.dictionary(
        fc.constantFrom('facts', 'locks', 'slots', 'vault', 'attempts', 'clock', 'quarantine', 'devicePart', '__proto__'),
        json,
      ),
      fc
        .record({ facts: json, slots: json, vault: json, attempts: json, clock: json }, { requiredKeys: [] })
        .map((edit) => ({ ...sound, ...edit })),
    )

    await withStoredRows(storage, context, (rows) =>
      fc.assert(
        fc.asyncProperty(someRow, async (content) => {
          await rows.write(ann, await rows.read(ann), content)

          const broken = await tab.read(ann)

          expect(['open', 'sealed', 'damaged', 'newer']).toContain(broken?.vault.kind)
          expect(await tab.read(ben)).toEqual(intact)
          expect(await tab.list()).toHaveLength(2)
          await tab.vault.status?.(ann)
          await tab.findByTag('nothing')
          if (broken) await tab.update(ann, broken.revision, { ...broken, generation: 5 })
        }),
        { numRuns: 150 },
      ),
    )
  })

  test('S10: a device row that was edited starts again without a lower epoch', async () => {
    const { tab, storage, context, closeTabs, openTab } = await deviceWithTwo()
    const record = await tab.read(ann)
    await tab.update(ann, record?.revision ?? null, { ...draftOf(ann), epoch: 41 })
    await closeTabs()

    await editStoredRow(storage, context, 'device', () => ({ facts: 'gone' }))

    const restarted = await openTab()
    expect(await restarted.device.read()).toMatchObject({ currentUser: null, epoch: 41 })
    expect((await restarted.read(ann))?.vault.kind).toBe('open')
  })

  test('a sealed part of the device row that does not open costs the outbox and nothing else', async () => {
    const { tab, storage, context, closeTabs, openTab } = await deviceWithTwo()
    const device = await tab.device.read()
    await tab.device.update(device.revision, {
      ...device,
      currentUser: ann,
      epoch: 3,
      outbox: [{ id: '1', revokeHandle: 'r1', queuedAtMs: 1 }],
    })
    await closeTabs()

    await editStoredRow(storage, context, 'device', (row) => ({ ...row, sealed: 'cut off' }))

    expect(await (await openTab()).device.read()).toMatchObject({ currentUser: ann, epoch: 3, outbox: [] })
  })
})

test('S13: a store and its errors show nothing of what they keep', async () => {
  const { tab, storage, context } = await deviceWithTwo()
  const errors: unknown[] = []
  const collect = async (promise: Promise<unknown> | undefined) => {
    try {
      await promise
    } catch (error) {
      errors.push(error)
    }
  }
  await collect(tab.update(ann, null, draftOf(ann)))
  await collect(tab.vault.unlock({ login: 'canary@example.org' }, 'password', 'canary-secret-42'))
  await collect(tab.vault.unlock({ key: ann }, 'passphrase', 'canary-secret-42'))
  await editStoredRow(storage, context, ann, (row) => ({ ...row, attempts: null }))
  await collect(tab.vault.unlock({ key: ann }, 'password', 'canary-secret-42'))

  const shown = [tab, ...errors]
    .flatMap((value) => [inspect(value, { depth: 12, showHidden: true }), JSON.stringify(value), String(value)])
    .join()

  expect(errors).toHaveLength(4)
  for (const canary of canaries) expect(shown).not.toContain(canary)
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
        userId: 'canary-user-id',
        session: { accessToken: 'canary-token-77', accessLifeMs: 1, accessExpiresAtMs: 1 },
        identities: [],
        profile: { email: 'canary@example.org' },
        customData: {},
      },
    },
  }
}
