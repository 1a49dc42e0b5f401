/** Tables of accounts beyond users, identities and passwords. Instants are server milliseconds since 1970. */
export interface AccountTables {
  api_keys: ApiKeyTable
  unlock_keys: UnlockKeyTable
  mail_tokens: MailTokenTable
  attempts: AttemptTable
  idempotency_keys: IdempotencyKeyTable
}

interface ApiKeyTable {
  id: string
  user_id: string
  /** Unique within the user. */
  name: string
  /** SHA-256 of the secret part, base64url. */
  digest: string
  created_at_ms: number
  disabled_at_ms: number | null
}

interface UnlockKeyTable {
  user_id: string
  device_id: string
  /** 32 random bytes, base64url, under the key file's wrapping key. */
  wrapped: string
  created_at_ms: number
}

/** One living token per identity and kind: a newer mail voids the older one. */
interface MailTokenTable {
  id: string
  kind: 'confirm' | 'reset'
  identity_id: string
  /** SHA-256 of the token, base64url. */
  digest: string
  expires_at_ms: number
}

interface AttemptTable {
  /** A keyed digest of what is counted, so that the table tells neither addresses nor who has an account. */
  key: string
  failures: number
  blocked_until_ms: number
  last_at_ms: number
}

interface IdempotencyKeyTable {
  /** The user, or the route where nobody is known yet. */
  caller: string
  key_digest: string
  /** Of key, route and body: the same key with another request is a mistake. */
  request_digest: string
  /** Wrapped by the key file's key; `null` while the work is going on. */
  answer: string | null
  created_at_ms: number
}
