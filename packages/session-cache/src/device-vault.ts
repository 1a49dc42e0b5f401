import {
  type Admission,
  type DeviceVault,
  type KeyProvider,
  type LockReason,
  type UnlockHint,
  type UnlockMethod,
  type UnlockProof,
  UnlockRefused,
  type UserKey,
  type VaultChange,
  type VaultStatus,
} from '@nightlatch/auth-core'
import type { Observable } from 'rxjs'
import type { AccessRecord } from './access-record.ts'
import type { OfflinePolicy } from './age-policy.ts'
import { type Attempts, afterAttempt, attemptsLeftAfter, MAX_FAILURES, nextAttempt } from './attempt-limit.ts'
import { eraseBytes, openDataKey, type RawDataKey } from './data-key.ts'
import type { Bytes } from './encoding.ts'
import type { Keyring } from './keyring.ts'
import type { Quarantine } from './quarantine.ts'
import type { SecretSlots } from './secret-slots.ts'
import type { Slots } from './slot.ts'
import { type UserRow, withoutDeviceSlot } from './user-row.ts'
import type { UserRows } from './user-rows.ts'

export interface DeviceVaultParts {
  readonly users: UserRows
  readonly keyring: Keyring
  readonly access: AccessRecord
  readonly secrets: SecretSlots
  readonly quarantine: Quarantine
  readonly keys: KeyProvider
  readonly policy: OfflinePolicy
  readonly stay: 'device' | 'unlock'
  /** The tag under which a login name is stored. */
  readonly loginTag: (login: string) => Promise<string>
  readonly changes$: Observable<VaultChange>
}

/** Opens, locks and re-wraps users' data keys. A secret that opens a slot is right: no other check of it is stored (C2). */
export class SlotVault implements DeviceVault {
  readonly changes$: Observable<VaultChange>
  readonly #parts: DeviceVaultParts

  constructor(parts: DeviceVaultParts) {
    this.#parts = parts
    this.changes$ = parts.changes$
  }

  async methods(user: UserKey): Promise<readonly UnlockMethod[]> {
    const row = await this.#parts.users.read(user)
    return row ? methodsOf(row.slots) : []
  }

  async status(user: UserKey): Promise<VaultStatus> {
    const { users, access } = this.#parts
    const row = await users.read(user)
    if (!row) return { methods: [], attemptsLeft: 0 }
    const offline = await access.access(user, row)
    const next = nextAttempt(await access.attempts(user, row), access.nowMs)
    return {
      methods: methodsOf(row.slots),
      attemptsLeft: next.kind === 'none' ? 0 : next.attemptsLeft,
      ...(next.kind === 'wait' && { retryAtMs: next.retryAtMs }),
      ...(next.kind === 'none' && { refuses: 'attempts' }),
      ...(offline.kind === 'refused' ? { refuses: offline.why } : { offlineEndsAtMs: offline.endsAtMs }),
    }
  }

  async unlock(hint: UnlockHint, kind: UnlockMethod, secret: string, signal?: AbortSignal): Promise<UserKey> {
    const found = await this.#find(hint)
    if (!found?.row.slots[kind] || kind === 'device') {
      await this.#parts.secrets.spendAsMuch(kind, secret)
      throw wrongSecret()
    }
    const { key } = found
    const raw =
      kind === 'server'
        ? await this.#parts.secrets.open(key, found.row, kind, secret)
        : await this.#tryCounted(key, found.row, kind, secret, signal)
    if (!raw) throw wrongSecret()
    await this.#opened(key, kind, secret, raw)
    return key
  }

  /** After an online log-in, whatever was locked, over age or out of attempts before: the server has just said who this is. */
  async admit(key: UserKey, proof: UnlockProof | null, serverKey?: () => Promise<Bytes>): Promise<Admission> {
    const { users, secrets, keyring, stay } = this.#parts
    const row = await users.read(key)
    const unlockKey = await serverKey?.()
    const before = row && (await this.#openAnyhow(key, row, proof, unlockKey))
    const raw = before ?? keyring.newKey()
    const slots: { -readonly [method in keyof Slots]: Slots[method] } = {}
    if (proof) slots[proof.kind] = await secrets.wrap(key, raw, proof.kind, proof.secret)
    if (unlockKey) slots.server = await secrets.wrapServer(key, raw, unlockKey)
    if (stay === 'device') slots.device = await keyring.deviceSlot(key, raw)
    const dataKey = await openDataKey(raw)
    eraseBytes(raw.bytes)
    keyring.prepare(key, { dataKey, slots })
    if (before && row) keyring.holdOpened(key, dataKey, row.locks)
    if (before) return 'same-key'
    return row && methodsOf(withoutDeviceSlot(row).slots).length > 0 ? 'new-key' : 'first-key'
  }

  /** Every part of the quarantine that the secret opens is given back in one write; what it does not open stays where it is. */
  async rescue(user: UserKey, previousSecret: string, signal?: AbortSignal): Promise<void> {
    const { users, access, quarantine } = this.#parts
    const counted = await this.#countAttempt(user)
    signal?.throwIfAborted()
    const row = await users.read(user)
    const parts = row ? await quarantine.open(user, row, previousSecret) : []
    if (parts.length === 0) throw wrongSecret(this.#leftAfter(counted))
    await this.#change(user, async (now) => ({
      ...(await quarantine.giveBack(user, now, parts)),
      attempts: await access.noFailures(user),
    }))
  }

  async enroll(user: UserKey, kind: UnlockMethod, secret: string, proof?: UnlockProof): Promise<void> {
    const { secrets } = this.#parts
    secrets.check(kind, secret)
    const raw = await this.#rawFor(user, proof)
    try {
      const slot = await secrets.wrap(user, raw, kind, secret)
      await this.#change(user, (row) => ({ ...row, slots: { ...row.slots, [kind]: slot } }))
    } finally {
      eraseBytes(raw.bytes)
    }
  }

  /** A slot for a changed secret. `secret` is the new one; the key comes from the device slot. */
  async rewrap(user: UserKey, kind: UnlockMethod, secret: string): Promise<void> {
    await this.enroll(user, kind, secret)
  }

  async disenroll(user: UserKey, kind: UnlockMethod): Promise<void> {
    await this.#change(user, (row) => {
      const { [kind]: _gone, ...slots } = row.slots
      if (Object.keys(slots).length === 0) throw noUnlockMethod('Removing the last way to open this user would lock it for ever.')
      return { ...row, slots }
    })
  }

  /** In every tab keys that were opened before count no more, and what opens without a secret is destroyed (not for a mere switch). */
  async lock(user: UserKey, why: LockReason): Promise<void> {
    await this.#change(user, (row) => {
      if (why === 'switch') return Object.keys(row.slots).length === 0 ? row : { ...row, locks: row.locks + 1 }
      const locked = withoutDeviceSlot(row)
      if (methodsOf(locked.slots).length === 0) {
        throw noUnlockMethod('There is no way to open this user again without the server. Enable a password or passphrase first.')
      }
      return { ...locked, locks: row.locks + 1 }
    })
    this.#parts.keyring.close(user)
  }

  /** Crypto-erase: first the wrapped keys and the sealed contents, then the factor they hung on (C3). The record itself is the store's. */
  async destroy(user: UserKey): Promise<void> {
    const { users, keyring, keys } = this.#parts
    await users.change(user, ({ facts, locks }) => ({
      facts: { ...facts, tags: [] },
      locks: locks + 1,
      slots: {},
      unreadSlots: {},
      vault: { damaged: null },
    }))
    keyring.close(user)
    await keys.destroy(user)
  }

  async #find(hint: UnlockHint): Promise<{ readonly key: UserKey; readonly row: UserRow } | null> {
    const { users, loginTag } = this.#parts
    if ('login' in hint) {
      const tag = await loginTag(hint.login)
      return users.find((row) => row.facts.tags.includes(tag))
    }
    const row = await users.read(hint.key)
    return row && { key: hint.key, row }
  }

  /** Refuses what the policy refuses, then counts the attempt durably, then derives. */
  async #tryCounted(
    key: UserKey,
    row: UserRow,
    kind: UnlockMethod,
    secret: string,
    signal: AbortSignal | undefined,
  ): Promise<RawDataKey | null> {
    const { access, secrets } = this.#parts
    const offline = await access.access(key, row)
    if (offline.kind === 'refused') throw refusedByPolicy(offline.why)
    const counted = await this.#countAttempt(key)
    signal?.throwIfAborted()
    const raw = await secrets.open(key, row, kind, secret)
    if (!raw) await this.#refuseWrongSecret(key, kind, counted)
    return raw
  }

  async #countAttempt(key: UserKey): Promise<Attempts> {
    const { access } = this.#parts
    let counted: Attempts | undefined
    await this.#change(key, async (row) => {
      const before = await access.attempts(key, row)
      const next = nextAttempt(before, access.nowMs)
      if (next.kind === 'none' || !before) throw new UnlockRefused('attempts', 'No attempts are left. Log in online.', { attemptsLeft: 0 })
      if (next.kind === 'wait') throw throttled(next.retryAtMs, next.attemptsLeft)
      counted = afterAttempt(before, access.nowMs)
      return { ...row, attempts: await access.signAttempts(key, counted) }
    })
    if (!counted) throw wrongSecret()
    return counted
  }

  async #refuseWrongSecret(key: UserKey, kind: UnlockMethod, counted: Attempts): Promise<never> {
    const { policy } = this.#parts
    const destroysSlot = kind === 'pin' || (kind === 'password' && policy.destroyPasswordAfterFailures)
    if (counted.failures >= MAX_FAILURES && destroysSlot) {
      await this.#change(key, (row) => {
        const { [kind]: _destroyed, ...slots } = row.slots
        return { ...row, slots }
      })
    }
    throw wrongSecret(this.#leftAfter(counted))
  }

  #leftAfter(counted: Attempts): { readonly attemptsLeft: number; readonly retryAtMs?: number } {
    const next = nextAttempt(counted, this.#parts.access.nowMs)
    return { attemptsLeft: attemptsLeftAfter(counted), ...(next.kind === 'wait' && { retryAtMs: next.retryAtMs }) }
  }

  /** Stores that the user was opened, together with a new wrapping where the old one is outdated, in one write. */
  async #opened(key: UserKey, kind: UnlockMethod, secret: string, raw: RawDataKey): Promise<void> {
    const { access, keyring, secrets, stay } = this.#parts
    const device = stay === 'device' ? { device: await keyring.deviceSlot(key, raw) } : {}
    const row = await this.#change(key, async (now) => {
      const outdated = kind !== 'server' && !secrets.isCurrent(now.slots[kind])
      const rewrapped = outdated ? { [kind]: await secrets.wrap(key, raw, kind, secret) } : {}
      const clock = await access.seen(key, now)
      return { ...now, ...clock, attempts: await access.noFailures(key), slots: { ...now.slots, ...rewrapped, ...device } }
    })
    await keyring.hold(key, raw, row.locks)
  }

  async #openAnyhow(key: UserKey, row: UserRow, proof: UnlockProof | null, unlockKey: Bytes | undefined): Promise<RawDataKey | null> {
    const { keyring, secrets } = this.#parts
    return (
      (await keyring.rawFromDeviceSlot(key, row)) ??
      (proof && (await secrets.open(key, row, proof.kind, proof.secret))) ??
      (unlockKey ? secrets.openServer(key, row, unlockKey) : null)
    )
  }

  async #rawFor(user: UserKey, proof: UnlockProof | undefined): Promise<RawDataKey> {
    const { users, keyring, access } = this.#parts
    const row = await users.read(user)
    const open = row && (await keyring.rawFromDeviceSlot(user, row))
    if (open) return open
    const proven = row && proof && (await this.#tryCounted(user, row, proof.kind, proof.secret, undefined))
    if (!proven) throw new UnlockRefused('needs-secret', 'Give a secret that opens the user now, or log in online.')
    await this.#change(user, async (now) => ({ ...now, attempts: await access.noFailures(user) }))
    return proven
  }

  async #change(key: UserKey, change: (row: UserRow) => UserRow | Promise<UserRow>): Promise<UserRow> {
    const row = await this.#parts.users.change(key, change)
    if (!row) throw wrongSecret()
    return row
  }
}

const methodOrder: readonly UnlockMethod[] = ['password', 'passphrase', 'pin', 'server', 'device']

function methodsOf(slots: Slots): readonly UnlockMethod[] {
  return methodOrder.filter((method) => slots[method])
}

function wrongSecret(facts: { readonly attemptsLeft?: number; readonly retryAtMs?: number } = {}): UnlockRefused {
  return new UnlockRefused('wrong-secret', 'Nobody on this device has this secret.', facts)
}

function throttled(retryAtMs: number, attemptsLeft: number): UnlockRefused {
  return new UnlockRefused('throttled', 'Too many wrong secrets. Wait until `retryAtMs`.', { retryAtMs, attemptsLeft })
}

function noUnlockMethod(message: string): UnlockRefused {
  return new UnlockRefused('no-unlock-method', message)
}

function refusedByPolicy(why: 'age' | 'clock'): UnlockRefused {
  return why === 'age'
    ? new UnlockRefused('age', 'This user was offline for too long. Log in online.')
    : new UnlockRefused('clock', "The device's clock went back. Correct it, or log in online.")
}
