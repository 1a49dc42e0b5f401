import type { Session, UserKey, UserRecord, UserRecordDraft } from '@nightlatch/auth-core'
import { realWorld } from '@nightlatch/auth-core/world'
import { floorKdf } from '../key-derivation.ts'
import { rxdbSessionStore } from '../rxdb-session-store.ts'

const ann = 'key-of-the-user' as UserKey
const stay = new URLSearchParams(location.search).get('stay') === 'unlock' ? 'unlock' : 'device'
const store = rxdbSessionStore({ kdf: floorKdf, labels: true, stay })
const opened = store.open({ appId: 'fieldbook', issuer: 'https://api.example.org', world: realWorld() })

/** Everything of a person that must never be readable on the disk. */
export interface PersonalSecrets {
  readonly userId: string
  readonly email: string
  readonly password: string
  readonly label: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly revokeHandle: string
  readonly custom: string
}

/** What tests make a real page do with a real profile. */
export const pageActions = {
  async logIn(secrets: PersonalSecrets): Promise<void> {
    await opened
    const before = await store.read(ann)
    await store.vault.admit?.(ann, { kind: 'password', secret: secrets.password })
    await store.update(ann, before?.revision ?? null, {
      ...draftOf(secrets, 1),
      tags: await tagsOf(secrets),
      epoch: (before?.epoch ?? 0) + 1,
    })
    const device = await store.device.read()
    await store.device.update(device.revision, {
      ...device,
      currentUser: ann,
      outbox: [{ id: 'r1', revokeHandle: secrets.revokeHandle, queuedAtMs: Date.now() }],
    })
  },

  async refresh(secrets: PersonalSecrets, times: number): Promise<void> {
    await opened
    for (let done = 0; done < times; done += 1) await refreshOnce(secrets)
  },

  /** Never ends by itself. Says each generation that is safely stored. */
  async refreshForEver(secrets: PersonalSecrets, tell: (generation: number) => void): Promise<never> {
    await opened
    for (;;) tell((await refreshOnce(secrets)).generation)
  },

  async lock(): Promise<void> {
    await opened
    await store.vault.lock(ann, 'explicit')
  },

  async unlock(password: string): Promise<void> {
    await opened
    await store.vault.unlock({ key: ann }, 'password', password)
  },

  async logOut(): Promise<void> {
    const record = await current()
    await store.update(ann, record.revision, { ...record, epoch: record.epoch + 1, generation: 0, status: { kind: 'logged-out' } })
  },

  async remove(): Promise<void> {
    await opened
    await store.vault.destroy(ann)
    await store.remove(ann, (await current()).revision)
  },

  async read(): Promise<{ readonly generation: number; readonly vault: UserRecord['vault'] } | null> {
    await opened
    const record = await store.read(ann)
    return record && { generation: record.generation, vault: record.vault }
  },

  /** What the scan must find: proof that it looks in the right place. */
  async writeInClear(text: string): Promise<void> {
    const request = indexedDB.open('control', 1)
    request.onupgradeneeded = () => request.result.createObjectStore('control')
    await new Promise((resolve) => {
      request.onsuccess = resolve
    })
    const transaction = request.result.transaction('control', 'readwrite', { durability: 'strict' })
    transaction.objectStore('control').put(text, 'text')
    await new Promise((resolve) => {
      transaction.oncomplete = resolve
    })
  },
}

export type PageActions = typeof pageActions

async function refreshOnce(secrets: PersonalSecrets): Promise<UserRecord> {
  const record = await current()
  const { vault } = draftOf(secrets, record.generation + 1)
  return store.update(ann, record.revision, { ...record, generation: record.generation + 1, vault })
}

async function current(): Promise<UserRecord> {
  await opened
  const record = await store.read(ann)
  if (!record) throw new Error('The user is gone.')
  return record
}

function draftOf(secrets: PersonalSecrets, generation: number): UserRecordDraft {
  const session: Session = {
    accessToken: `${secrets.accessToken}.${generation}`,
    accessLifeMs: 900_000,
    accessExpiresAtMs: Date.now(),
    refreshToken: secrets.refreshToken,
    revokeHandle: secrets.revokeHandle,
  }
  return {
    key: ann,
    epoch: 1,
    generation,
    status: { kind: 'signed-in' },
    tags: [],
    incarnation: 'data',
    label: secrets.label,
    revokeHandle: secrets.revokeHandle,
    vault: {
      kind: 'open',
      contents: {
        userId: secrets.userId,
        session,
        identities: [{ id: secrets.userId, provider: 'email-password' }],
        profile: { email: secrets.email },
        customData: { note: secrets.custom },
      },
    },
  }
}

function tagsOf({ userId, email }: PersonalSecrets): Promise<string[]> {
  return Promise.all([store.tag('user-id', userId), store.tag('login', email)])
}
