import { AuthError } from './errors.ts'

/**
 * What a person or a program proves who they are with. Plain data, consumed by one log-in and never kept:
 * the constructors of `Credentials` are the only makers, and `AuthBackend` adapters the only readers.
 */
export type Credentials =
  | { readonly provider: 'anonymous'; readonly reuse: boolean }
  | { readonly provider: 'email-password'; readonly email: string; readonly password: string }
  | { readonly provider: 'api-key'; readonly key: string }
  | { readonly provider: 'jwt'; readonly token: string }
  | { readonly provider: 'function'; readonly payload: unknown }
  | { readonly provider: 'facebook'; readonly accessToken: string }
  | { readonly provider: 'google'; readonly idToken: string }
  | { readonly provider: 'google'; readonly authCode: string }
  | { readonly provider: 'apple'; readonly idToken: string }

export type ProviderName = Credentials['provider']

/** @throws {AuthError} `invalid-argument` from every constructor, naming the field; the value itself is in no message. */
export const Credentials = {
  /** @param options.reuse Whether a live anonymous session of this device is used again. Default true. */
  anonymous({ reuse = true }: { readonly reuse?: boolean } = {}): Credentials {
    if (typeof reuse !== 'boolean') throw wrong('reuse', 'must be true or false')
    return { provider: 'anonymous', reuse }
  },

  emailPassword(email: string, password: string): Credentials {
    return { provider: 'email-password', email: text(email, 'email'), password: text(password, 'password') }
  },

  /** A key made by `user.apiKeys.create`. */
  apiKey(key: string): Credentials {
    return { provider: 'api-key', key: text(key, 'key') }
  },

  /** A key made by the server's administrator, for programs that act on nobody's behalf. */
  serverApiKey(key: string): Credentials {
    return { provider: 'api-key', key: text(key, 'key') }
  },

  /** A JSON Web Token of an issuer that the server trusts. */
  jwt(token: string): Credentials {
    return { provider: 'jwt', token: jwt(token, 'token') }
  },

  /** Arguments for the server's own log-in function: anything that JSON can carry. */
  function(payload: unknown): Credentials {
    return { provider: 'function', payload: json(payload, 'payload') }
  },

  facebook(accessToken: string): Credentials {
    return { provider: 'facebook', accessToken: text(accessToken, 'accessToken') }
  },

  /** Exactly one of the two: what Google's own sign-in library gave to the app. */
  google(proof: { readonly idToken: string } | { readonly authCode: string }): Credentials {
    const given: { idToken?: unknown; authCode?: unknown } = typeof proof === 'object' && proof !== null ? proof : {}
    if (given.idToken !== undefined && given.authCode !== undefined) throw wrong('google', 'give either `idToken` or `authCode`, not both')
    if (given.authCode !== undefined) return { provider: 'google', authCode: text(given.authCode, 'authCode') }
    return { provider: 'google', idToken: jwt(given.idToken, 'idToken') }
  },

  apple(idToken: string): Credentials {
    return { provider: 'apple', idToken: jwt(idToken, 'idToken') }
  },
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw wrong(field, 'must be a string')
  if (value.trim() === '') throw wrong(field, 'must not be empty')
  return value
}

function jwt(value: unknown, field: string): string {
  const token = text(value, field)
  if (!/^[^.]+\.[^.]+\.[^.]+$/.test(token)) {
    throw wrong(field, 'is not a JSON Web Token: it has an invalid number of segments (three are needed)')
  }
  return token
}

function json(value: unknown, field: string): unknown {
  try {
    const written = JSON.stringify(value)
    if (written !== undefined) return JSON.parse(written)
  } catch {
    // Cyclic or a BigInt: said below, without the value.
  }
  throw wrong(field, 'must be something that JSON can carry')
}

function wrong(field: string, what: string): AuthError {
  return new AuthError('invalid-argument', `Credentials: \`${field}\` ${what}.`)
}
