import type { PlatformKey } from '@nightlatch/auth-core'
import { framed, isPlainObject, toBase64url } from './encoding.ts'
import type { Binding } from './envelope.ts'

/** Numbers that may be read but not changed: a counter, a clock mark. */
export interface SignedNumbers {
  readonly values: readonly number[]
  readonly mac: string
}

export async function signNumbers(deviceKey: PlatformKey, values: readonly number[], binding: Binding): Promise<SignedNumbers> {
  return { values, mac: await macOf(deviceKey, values, binding) }
}

/** The numbers as they were signed for this place, else `null`. */
export async function verifiedNumbers(deviceKey: PlatformKey, stored: unknown, binding: Binding): Promise<readonly number[] | null> {
  if (!isPlainObject(stored) || !Array.isArray(stored.values) || typeof stored.mac !== 'string') return null
  const values = stored.values.filter((value) => typeof value === 'number')
  return values.length === stored.values.length && (await macOf(deviceKey, values, binding)) === stored.mac ? values : null
}

async function macOf(deviceKey: PlatformKey, values: readonly number[], { appId, issuer, record, field }: Binding): Promise<string> {
  return toBase64url(await deviceKey.mac(framed('nightlatch/signed', appId, issuer, record, field, ...values.map(String))))
}
