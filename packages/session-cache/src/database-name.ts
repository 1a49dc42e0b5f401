import type { StoreContext } from '@nightlatch/auth-core'
import { framed } from './encoding.ts'

/** Names the database of one (app, issuer). Issuers are URLs, which database names cannot hold. */
export async function databaseName({ appId, issuer }: Pick<StoreContext, 'appId' | 'issuer'>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', framed(appId, issuer)))
  const readable = appId.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  return `nl-users-${readable}-${Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
