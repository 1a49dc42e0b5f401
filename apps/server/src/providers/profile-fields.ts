import { isStorable } from '../http/text.ts'

type Claims = Readonly<Record<string, unknown>>

const MAX_TEXT = 1000

/** OpenID Connect's standard claims (Core 1.0 section 5.1) by the names that profiles use. */
export function standardProfile(claims: Claims): Claims {
  return {
    name: claims.name,
    email: claims.email_verified === false || claims.email_verified === 'false' ? undefined : claims.email,
    first_name: claims.given_name,
    last_name: claims.family_name,
    picture_url: claims.picture,
    gender: claims.gender,
    birthday: claims.birthdate,
  }
}

/** Keeps the allowed fields that hold short text or a number; a provider that sends anything else is not worth a refused log-in. */
export function allowedProfile(profile: Claims, allowed: readonly string[]): Claims {
  const entries = Object.entries(profile).filter(
    ([name, value]) => allowed.includes(name) && (isShortText(value) || (typeof value === 'number' && Number.isFinite(value))),
  )
  return Object.fromEntries(entries)
}

/** Reads `a.b` as the field `b` of `a`; a claim whose whole name is the path wins. */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let value: unknown = claims
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Claims)[name]
  }
  return value
}

const isShortText = (value: unknown): boolean => typeof value === 'string' && value !== '' && value.length <= MAX_TEXT && isStorable(value)
