import { z } from 'zod'
import { providerAway } from './provider-refusal.ts'

const TIMEOUT_MS = 8000
const MAX_BYTES = 256 * 1024

/** What a provider answered: its status, and its body if that is JSON. */
export interface ProviderAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const jsonObject = z.record(z.string(), z.unknown())

/** Calls a provider's server. Redirects are not followed: they could carry a secret elsewhere. */
export async function askProvider(url: URL, init: RequestInit = {}): Promise<ProviderAnswer> {
  try {
    const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })
    const body = await response.arrayBuffer()
    if (response.status >= 500 || body.byteLength > MAX_BYTES) throw new Error(`The provider answered ${response.status}.`)
    return { status: response.status, body: jsonObject.parse(JSON.parse(new TextDecoder().decode(body))) }
  } catch {
    throw providerAway(undefined) // no cause: it could quote the address, which holds the token for some providers
  }
}
