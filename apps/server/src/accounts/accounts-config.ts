import { z } from 'zod'

const httpsOrLocal = z
  .url({ protocol: /^https?$/ })
  .refine((url) => url.startsWith('https:') || /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])[:/]/.test(url), {
    error: 'must be https, or http on this machine',
  })

/** Names of the profile fields on the wire; nothing else is ever taken from a provider unless a claim mapping names it. */
const profileField = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/)
const profileFields = z.array(profileField)

const jwtIssuer = z.strictObject({
  /** Part of the stored identity, so it stays when the issuer's address changes. Default: the issuer. */
  name: z.string().min(1).max(200).optional(),
  /** `iss`, compared exactly. */
  issuer: z.string().min(1),
  jwksUri: httpsOrLocal,
  audience: z.union([z.string(), z.array(z.string()).min(1)]),
  algorithms: z
    .array(z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']))
    .min(1)
    .default(['RS256', 'ES256']),
  /** The claim that names the person. A path: `user.id` reads `id` inside `user`. */
  subject: z.string().min(1).default('sub'),
  /** Which claims become which profile fields. */
  fields: z.array(z.strictObject({ claim: z.string().min(1), as: profileField, required: z.boolean().default(false) })).default([]),
})

const emailPassword = z.strictObject({
  /** `automatic`: log in at once. `mail`: after the link in a mail. `function`: as `hooks.confirm` decides. */
  confirmation: z.enum(['automatic', 'mail', 'function']).default('automatic'),
  /** Pages of the app that the mails point to; token and id are added behind `#`, where no server sees them. */
  confirmUrl: httpsOrLocal.optional(),
  resetUrl: httpsOrLocal.optional(),
  /** Characters. A password is the only factor here, so 15 is the recommendation (NIST SP 800-63B-4); never below 8. */
  minLength: z.int().min(8).max(64).default(15),
  confirmTokenS: z
    .int()
    .min(60)
    .max(7 * 86_400)
    .default(86_400),
  resetTokenS: z.int().min(60).max(86_400).default(1800),
})

const google = z.strictObject({
  clientIds: z.array(z.string()).min(1),
  /** For authorization codes; they also need the redirect URI they were made for (`postmessage` for Google's script). */
  clientSecret: z.string().optional(),
  redirectUri: z.string().default('postmessage'),
  fields: profileFields.default(['name', 'email', 'first_name', 'last_name', 'picture_url']),
  issuers: z.array(z.string()).min(1).default(['https://accounts.google.com', 'accounts.google.com']),
  jwksUri: httpsOrLocal.default('https://www.googleapis.com/oauth2/v3/certs'),
  tokenUrl: httpsOrLocal.default('https://oauth2.googleapis.com/token'),
})

const apple = z.strictObject({
  /** Bundle ids and service ids. */
  clientIds: z.array(z.string()).min(1),
  fields: profileFields.default(['email']),
  issuers: z.array(z.string()).min(1).default(['https://appleid.apple.com']),
  jwksUri: httpsOrLocal.default('https://appleid.apple.com/auth/keys'),
})

const facebook = z.strictObject({
  appId: z.string().min(1),
  /** For classic access tokens; tokens of Limited Login do without. */
  appSecret: z.string().optional(),
  fields: profileFields.default(['name', 'email', 'first_name', 'last_name', 'gender', 'birthday', 'min_age', 'max_age']),
  issuers: z.array(z.string()).min(1).default(['https://www.facebook.com', 'https://facebook.com', 'https://limited.facebook.com']),
  jwksUri: httpsOrLocal.default('https://limited.facebook.com/.well-known/oauth/openid/jwks/'),
  graphUrl: httpsOrLocal.default('https://graph.facebook.com/v23.0'),
})

const mail = z.strictObject({
  from: z.string().min(3).default('Nightlatch <no-reply@localhost>'),
  /** What the mails call the app. */
  appName: z.string().min(1).max(100).default('the app'),
  /** `smtps://user:password@host:465` or `smtp://host:587`. Default: mails are written to `mail/` in the data directory. */
  smtpUrl: z
    .string()
    .regex(/^smtps?:\/\//)
    .optional(),
})

export const accountsConfig = z.strictObject({
  providers: z
    .strictObject({
      anonymous: z.union([z.literal(false), z.strictObject({ purgeAfterDays: z.int().min(1).default(30) })]).prefault({}),
      'email-password': z.union([z.literal(false), emailPassword]).prefault({}),
      'api-key': z.boolean().default(true),
      jwt: z.union([z.literal(false), z.strictObject({ issuers: z.array(jwtIssuer).min(1) })]).default(false),
      function: z.boolean().default(false),
      facebook: z.union([z.literal(false), facebook]).default(false),
      google: z.union([z.literal(false), google]).default(false),
      apple: z.union([z.literal(false), apple]).default(false),
    })
    .prefault({}),
  mail: mail.prefault({}),
  /** What becomes of the documents in `mine` when a user deletes the account. */
  documentsOfDeletedUsers: z.enum(['erase', 'keep']).default('erase'),
  throttle: z
    .strictObject({
      /** Wrong secrets for one account before waiting begins: 30 s, doubling to an hour. */
      accountFree: z.int().min(1).max(50).default(5),
      /** Wrong secrets from one address before waiting begins: 1 s, doubling to 15 minutes. */
      addressFree: z.int().min(1).default(100),
    })
    .prefault({}),
  /** How often at most an issuer's keys are fetched because of an unknown key id. */
  jwksCooldownS: z.int().min(0).default(30),
  functionTimeoutS: z.int().min(1).max(600).default(20),
  /** A module that default-exports `AccountHooks`; relative to the configuration file. */
  hooks: z.string().optional(),
})

export type AccountsConfig = z.output<typeof accountsConfig>
export type EmailPasswordConfig = Exclude<AccountsConfig['providers']['email-password'], false>
export type JwtIssuerConfig = z.output<typeof jwtIssuer>
export type GoogleConfig = z.output<typeof google>
export type AppleConfig = z.output<typeof apple>
export type FacebookConfig = z.output<typeof facebook>
export type MailConfig = z.output<typeof mail>
