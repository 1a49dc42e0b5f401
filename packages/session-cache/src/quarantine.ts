import { type UnlockMethod, UnlockRefused, type UserKey, type VaultContents } from '@nightlatch/auth-core'
import { eraseBytes, openDataKey } from './data-key.ts'
import type { BindUser, Keyring } from './keyring.ts'
import type { SecretSlots } from './secret-slots.ts'
import { isDamaged, parseUserRow, storedUserRow, type UserRow, withoutDeviceSlot } from './user-row.ts'
import { isNewer, openVault, sealVault } from './vault.ts'

/** A row without slots, which remembers what a former key left behind. */
export function startedAnew(before: UserRow | null): Omit<UserRow, 'facts' | 'vault'> {
  const quarantine = [...(before?.quarantine ?? []), ...leftBehind(before)]
  const { locks = 0, attempts, clock } = before ?? {}
  return { locks, attempts, clock, slots: {}, unreadSlots: {}, ...(quarantine.length > 0 && { quarantine }) }
}

/** What somebody might still open one day: with a secret, a later version, or a repair tool. A `device` slot that is gone is gone. */
function leftBehind(before: UserRow | null): readonly unknown[] {
  if (!before) return []
  const { quarantine: _, ...sealed } = withoutDeviceSlot(before)
  const openable = Object.keys(sealed.slots).length > 0 || Object.keys(sealed.unreadSlots).length > 0
  return openable || isDamaged(before.vault) || isNewer(before.vault) ? [storedUserRow(sealed)] : []
}

/** Whether something of the user waits for a secret that opened it once. */
export function hasSealedData(key: UserKey, row: UserRow): boolean {
  return sealedParts(key, row).length > 0
}

interface SealedPart {
  readonly row: UserRow
  readonly methods: readonly UnlockMethod[]
  /** Tells it apart from the others in the quarantine. */
  readonly id: string
}

const rememberedByPeople: readonly UnlockMethod[] = ['password', 'passphrase', 'pin']

function sealedParts(key: UserKey, { quarantine = [] }: UserRow): readonly SealedPart[] {
  return quarantine.flatMap((stored) => {
    const row = parseUserRow(key, stored)
    const methods = rememberedByPeople.filter((method) => row.slots[method])
    return methods.length > 0 && !isDamaged(row.vault) ? [{ row, methods, id: idOf(stored) }] : []
  })
}

function idOf(stored: unknown): string {
  return JSON.stringify(stored)
}

/** What a part held, under the id it has in the quarantine. */
export interface OpenedPart {
  readonly id: string
  readonly contents: VaultContents
}

/** Gives back what former keys of a user sealed. */
export class Quarantine {
  readonly #keyring: Keyring
  readonly #secrets: SecretSlots
  readonly #bind: BindUser

  constructor(keyring: Keyring, secrets: SecretSlots, bind: BindUser) {
    this.#keyring = keyring
    this.#secrets = secrets
    this.#bind = bind
  }

  /** Every part that the secret opened when it was sealed, the newest first. */
  async open(key: UserKey, row: UserRow, secret: string): Promise<readonly OpenedPart[]> {
    const opened: OpenedPart[] = []
    for (const part of sealedParts(key, row).toReversed()) {
      const contents = await this.#contentsOf(key, part, secret)
      if (contents) opened.push({ id: part.id, contents })
    }
    return opened
  }

  /**
   * The row with what the parts held, where it has nothing newer, and without the parts.
   *
   * @throws {UnlockRefused} `needs-secret` if the user is not open
   */
  async giveBack(key: UserKey, row: UserRow, parts: readonly OpenedPart[]): Promise<UserRow> {
    const dataKey = await this.#keyring.keyFor(key, row)
    const vault = dataKey && !isDamaged(row.vault) ? await openVault(dataKey, row.vault, this.#bind(key)) : undefined
    if (!dataKey || vault?.kind !== 'open') throw new UnlockRefused('needs-secret', 'Unlock the user, or log in, before rescuing its data.')
    const { contents } = vault
    const own = parts.filter((part) => part.contents.userId === contents.userId)
    const sealed = await sealVault(dataKey, own.map((part) => part.contents).reduce(withMissing, contents), this.#bind(key))
    const { quarantine = [], ...rest } = row
    const left = quarantine.filter((stored) => !own.some(({ id }) => id === idOf(stored)))
    return { ...rest, vault: sealed, ...(left.length > 0 && { quarantine: left }) }
  }

  async #contentsOf(key: UserKey, { row, methods }: SealedPart, secret: string): Promise<VaultContents | null> {
    for (const method of methods) {
      const raw = await this.#secrets.open(key, row, method, secret)
      if (!raw || isDamaged(row.vault)) continue
      const dataKey = await openDataKey(raw)
      eraseBytes(raw.bytes)
      const vault = await openVault(dataKey, row.vault, this.#bind(key))
      if (vault.kind === 'open') return vault.contents
    }
    return null
  }
}

/** The session of then is over and stays out; everything else is taken where there is none now. */
function withMissing(now: VaultContents, then: VaultContents): VaultContents {
  return {
    ...now,
    identities: now.identities.length > 0 ? now.identities : then.identities,
    profile: isEmpty(now.profile) ? then.profile : now.profile,
    customData: isEmpty(now.customData) ? then.customData : now.customData,
    ...(now.deviceId === undefined && then.deviceId !== undefined && { deviceId: then.deviceId }),
  }
}

function isEmpty(fields: object): boolean {
  return Object.keys(fields).length === 0
}
