import type { ProviderName } from '../credentials.ts'
import { given } from '../given.ts'
import type { Grant, ProfileAnswer } from '../ports.ts'
import type { UserIdentity, UserProfile } from '../user-record.ts'

/** A body that does not have the shape it should have; the message names the field and never its value. */
export class UnreadableBody extends Error {
  override readonly name = 'UnreadableBody'
}

/** Longest life that is believed of a token, milliseconds: ten years. */
const MAX_LIFE_MS = 10 * 365 * 86_400_000

/** A token answer (RFC 6749 section 5.1, plus what Nightlatch's server adds). Past this line there are no seconds and no snake_case. */
export function parseGrant(body: unknown, receivedAtMs: number): Grant {
  const wire = fields(body)
  if (text(wire, 'token_type').toLowerCase() !== 'bearer') throw new UnreadableBody('`token_type` is not Bearer.')
  const accessLifeMs = positive(wire, 'expires_in') * 1000
  if (accessLifeMs > MAX_LIFE_MS) throw new UnreadableBody('`expires_in` is longer than ten years.')
  const serverNowMs = maybe(wire, 'server_time_ms', positive)
  return {
    userId: text(wire, 'user_id'),
    accessToken: text(wire, 'access_token'),
    accessLifeMs,
    ...given('refreshToken', maybe(wire, 'refresh_token', text)),
    ...given('sessionId', maybe(wire, 'session_id', text)),
    ...given('deviceId', maybe(wire, 'device_id', text)),
    ...given('idleEndsAtMs', maybe(wire, 'session_idle_ends_at_ms', positive)),
    ...given('endsAtMs', maybe(wire, 'session_ends_at_ms', positive)),
    ...given('revokeHandle', maybe(wire, 'revoke_handle', text)),
    ...given('serverOffsetMs', serverNowMs === undefined ? undefined : serverNowMs - receivedAtMs),
    ...given('isNew', wire.is_new === undefined ? undefined : wire.is_new === true),
    ...(wire.identities === undefined ? {} : pickProfile(parseProfile(body))),
  }
}

function pickProfile({ identities, profile, customData }: ProfileAnswer) {
  return { identities, profile, customData }
}

export function parseProfile(body: unknown): ProfileAnswer {
  const wire = fields(body)
  return {
    userId: text(wire, 'user_id'),
    identities: list(wire, 'identities').map(parseIdentity),
    profile: parseProfileFields(maybe(wire, 'profile', record) ?? {}),
    customData: maybe(wire, 'custom_data', record) ?? {},
  }
}

const PROVIDERS: readonly string[] = [
  'anonymous',
  'email-password',
  'api-key',
  'jwt',
  'function',
  'facebook',
  'google',
  'apple',
] satisfies ProviderName[]

function parseIdentity(body: unknown): UserIdentity {
  const wire = fields(body)
  const provider = text(wire, 'provider')
  if (!PROVIDERS.includes(provider)) throw new UnreadableBody('`provider` of an identity is not known to this version.')
  return { id: text(wire, 'id'), provider: provider as ProviderName }
}

const PROFILE_NAMES: ReadonlyMap<string, string> = new Map([
  ['picture_url', 'pictureUrl'],
  ['first_name', 'firstName'],
  ['last_name', 'lastName'],
  ['min_age', 'minAge'],
  ['max_age', 'maxAge'],
])

function parseProfileFields(wire: Readonly<Record<string, unknown>>): UserProfile {
  return Object.fromEntries(Object.entries(wire).map(([name, value]) => [PROFILE_NAMES.get(name) ?? name, value]))
}

/** A body of JSON fields, without the one name that could reach a prototype. */
export function fields(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new UnreadableBody('The answer is not a JSON object.')
  return Object.fromEntries(Object.entries(body).filter(([name]) => name !== '__proto__'))
}

export function text(wire: Readonly<Record<string, unknown>>, name: string): string {
  const value = wire[name]
  if (typeof value !== 'string' || value === '') throw new UnreadableBody(`\`${name}\` is missing or not a string.`)
  return value
}

function positive(wire: Readonly<Record<string, unknown>>, name: string): number {
  const value = wire[name]
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
    throw new UnreadableBody(`\`${name}\` is missing or not a positive number.`)
  return value
}

export function list(wire: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const value = wire[name]
  if (!Array.isArray(value)) throw new UnreadableBody(`\`${name}\` is missing or not a list.`)
  return value
}

function record(wire: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> {
  const value = wire[name]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UnreadableBody(`\`${name}\` is not an object.`)
  return fields(value)
}

function maybe<T>(
  wire: Readonly<Record<string, unknown>>,
  name: string,
  read: (wire: Readonly<Record<string, unknown>>, name: string) => T,
): T | undefined {
  return wire[name] === undefined || wire[name] === null ? undefined : read(wire, name)
}
