import type { UserKey, UserRecord, UserRecordDraft, Vault, VaultContents } from '@nightlatch/auth-core'
import type { AccessRecord } from './access-record.ts'
import { openDevicePart, sealDevicePart } from './device-part.ts'
import type { DeviceKeys } from './device-row.ts'
import { headerOf } from './envelope.ts'
import type { BindUser, Keyring } from './keyring.ts'
import { hasSealedData, startedAnew } from './quarantine.ts'
import type { Row } from './row-store.ts'
import { factsOf, isDamaged, parseUserRow, type UserRow, withoutDeviceSlot } from './user-row.ts'
import { isNewer, openVault, sealVault } from './vault.ts'

export interface SealedRecordsParts {
  readonly keyring: Keyring
  readonly access: AccessRecord
  readonly device: DeviceKeys
  readonly bind: BindUser
  readonly stay: 'device' | 'unlock'
  readonly keepsLabels: boolean
}

/** Users as auth-core sees them, from and to the rows they are stored in. */
export class SealedRecords {
  readonly #parts: SealedRecordsParts

  constructor(parts: SealedRecordsParts) {
    this.#parts = parts
  }

  async record({ key: name, revision, content }: Row): Promise<UserRecord> {
    const key = name as UserKey
    const row = parseUserRow(key, content)
    const [devicePart, vault] = await Promise.all([
      openDevicePart(row.devicePart, this.#parts.device, this.#parts.bind(key)),
      this.#vaultOf(key, row),
    ])
    return { ...row.facts, ...devicePart, key, revision, vault, ...(hasSealedData(key, row) && { sealedData: { pending: 'unknown' } }) }
  }

  async #vaultOf(key: UserKey, row: UserRow): Promise<Vault> {
    if (isDamaged(row.vault)) return { kind: 'damaged' }
    if (isNewer(row.vault)) return { kind: 'newer' }
    const dataKey = await this.#parts.keyring.keyFor(key, row)
    return dataKey ? openVault(dataKey, row.vault, this.#parts.bind(key)) : { kind: 'sealed' }
  }

  /** What to store: facts as given; sealed parts only replaced when there are new contents. A log-out leaves nothing that opens without a secret. */
  async row(key: UserKey, before: UserRow | null, next: UserRecordDraft): Promise<UserRow> {
    const sealed = next.vault.kind === 'open' ? await this.#seal(key, before, next.vault.contents, next.status.kind) : before
    if (!sealed) throw new TypeError('A new user needs contents to seal.')
    const { devicePart: _, ...withoutDevicePart } = sealed
    const row: UserRow = {
      ...withoutDevicePart,
      facts: factsOf(next),
      ...(await this.#devicePartOf(key, next)),
      ...(await this.#afterGrant(key, before, next)),
    }
    if (next.status.kind !== 'logged-out') return row
    const leaves = before?.facts.status.kind !== 'logged-out'
    return { ...withoutDeviceSlot(row), locks: row.locks + (leaves ? 1 : 0) }
  }

  async #devicePartOf(key: UserKey, { label, revokeHandle }: UserRecordDraft): Promise<Pick<UserRow, 'devicePart'>> {
    const part = { ...(label !== undefined && this.#parts.keepsLabels && { label }), ...(revokeHandle !== undefined && { revokeHandle }) }
    return sealDevicePart(part, this.#parts.device, this.#parts.bind(key))
  }

  /** A new epoch or generation of a signed-in user is the server's word: age starts anew (C4), after a log-in so do the attempts. */
  async #afterGrant(key: UserKey, before: UserRow | null, next: UserRecordDraft): Promise<Pick<UserRow, 'clock' | 'attempts'>> {
    if (next.status.kind !== 'signed-in') return {}
    const isLogIn = before?.facts.epoch !== next.epoch
    if (!isLogIn && before.facts.generation === next.generation) return {}
    return { ...(await this.#parts.access.online(key)), ...(isLogIn && { attempts: await this.#parts.access.noFailures(key) }) }
  }

  async #seal(
    key: UserKey,
    before: UserRow | null,
    contents: VaultContents,
    status: UserRecord['status']['kind'],
  ): Promise<Omit<UserRow, 'facts'>> {
    const prepared = status === 'signed-in' ? this.#parts.keyring.preparedFor(key) : undefined
    if (prepared) {
      const base = before && keyIdOf(before) === prepared.dataKey.id ? before : startedAnew(before)
      return {
        ...base,
        slots: { ...base.slots, ...prepared.slots },
        vault: await sealVault(prepared.dataKey, contents, this.#parts.bind(key)),
      }
    }
    const known = before && (await this.#parts.keyring.keyFor(key, before))
    if (before && known) return { ...before, vault: await sealVault(known, contents, this.#parts.bind(key)) }
    return this.#sealUnderNewKey(key, before, contents)
  }

  /** For a new user, and for one whose old key nobody could open: what the old key sealed is set aside. */
  async #sealUnderNewKey(key: UserKey, before: UserRow | null, contents: VaultContents): Promise<Omit<UserRow, 'facts'>> {
    const base = startedAnew(before)
    const raw = this.#parts.keyring.newKey()
    const slots = this.#parts.stay === 'device' ? { device: await this.#parts.keyring.deviceSlot(key, raw) } : {}
    const dataKey = await this.#parts.keyring.hold(key, raw, base.locks)
    return { ...base, slots, vault: await sealVault(dataKey, contents, this.#parts.bind(key)) }
  }
}

function keyIdOf(row: UserRow): string | undefined {
  return isDamaged(row.vault) ? undefined : headerOf(row.vault).kid
}
