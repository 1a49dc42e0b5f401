import { z } from 'zod'
import { emailAndPassword } from '../accounts/email-address.ts'
import { text } from '../http/text.ts'

/** Longer than any token a provider makes, and short enough to be parsed without thought (RFC 8725 section 3.6). */
const token = text(16_384).min(1)

/** What somebody proves who they are with: the bodies of log-in and link, and the proof of a deletion. */
const kinds = [
  z.object({ provider: z.literal('anonymous') }),
  emailAndPassword.extend({ provider: z.literal('email-password') }),
  z.object({ provider: z.literal('api-key'), key: text(512) }),
  z.object({ provider: z.literal('jwt'), token }),
  z.object({ provider: z.literal('function'), payload: z.unknown() }),
  z.object({ provider: z.literal('facebook'), access_token: token }),
  z
    .object({ provider: z.literal('google'), id_token: token.optional(), auth_code: token.optional() })
    .refine(({ id_token, auth_code }) => (id_token === undefined) !== (auth_code === undefined), {
      error: 'takes one of id_token and auth_code',
    }),
  z.object({ provider: z.literal('apple'), id_token: token }),
] as const

export const credentialsShape = z.discriminatedUnion('provider', kinds)
export const loginShape = z.intersection(credentialsShape, z.object({ device_id: text(64).optional() }))

export type WireCredentials = z.output<typeof credentialsShape>
export type ProviderName = WireCredentials['provider']
