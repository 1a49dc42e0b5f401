import type { Services } from '../services.ts'
import type { AttemptPolicy } from './attempts.ts'

/** Where a guess comes from. */
export interface Origin {
  /** The caller's address, if there is a connection. */
  readonly address: string | undefined
  /** The device the caller names. It counts as known only if it is one of the account's own. */
  readonly deviceId?: string | undefined
}

const HOUR_MS = 3_600_000

/**
 * What a guess at a secret is counted under. A known device has a count of its own, so that strangers who try an account's passwords keep
 * nobody from it who has been there before.
 */
export function guessLimits({ accounts }: Services, account: string, origin: Origin, isKnownDevice: boolean) {
  const { accountFree, addressFree } = accounts.config.throttle
  const account_ = {
    free: accountFree,
    firstDelayMs: 30_000,
    longestDelayMs: HOUR_MS,
    forgetAfterMs: 7 * 24 * HOUR_MS,
  } satisfies AttemptPolicy
  const address = { free: addressFree, firstDelayMs: 1000, longestDelayMs: HOUR_MS / 4, forgetAfterMs: HOUR_MS } satisfies AttemptPolicy
  const ofAccount = isKnownDevice ? `device ${origin.deviceId}` : `account ${account}`
  const ofAddress = `address ${network(origin.address)}`
  return {
    counted: [
      { name: ofAccount, policy: account_ },
      { name: ofAddress, policy: address },
    ],
    /** After a right secret. */
    forgiven: { reset: [ofAccount], undo: [ofAddress] },
  }
}

/** An IPv6 household has a whole /64. */
export function network(address: string | undefined): string {
  if (!address?.includes(':') || address.includes('.')) return address ?? 'nobody'
  const [head = '', tail] = address.split('::')
  const groups = head.split(':').filter(Boolean)
  if (tail !== undefined) {
    const rest = tail.split(':').filter(Boolean)
    while (groups.length + rest.length < 8) groups.push('0')
  }
  return groups.slice(0, 4).join(':')
}
