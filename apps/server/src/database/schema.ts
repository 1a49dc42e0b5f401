import type { Generated, Insertable, Kysely, Selectable, Transaction } from 'kysely'
import { sql } from 'kysely'
import type { AccountTables } from '../accounts/account-tables.ts'
import type { EndReason } from '../http/api-error.ts'

/** The tables, as `migrations/` leaves them. Instants are server milliseconds since 1970; bigint columns arrive as numbers. */
export interface Schema extends AccountTables {
  server: ServerTable
  server_keys: { kid: string; fingerprint: string }
  signing_keys: SigningKeyTable
  users: UserTable
  identities: IdentityTable
  passwords: { identity_id: string; phc: string; changed_at_ms: number }
  devices: DeviceTable
  sessions: SessionTable
  sync_heads: { collection: string; scope: string; seq: number; purged_seq: Generated<number> }
  sync_docs: SyncDocTable
  scope_members: { scope: string; user_id: string; role: 'reader' | 'writer' }
  audit_log: AuditTable
  seeds: { collection: string; loaded_at_ms: number }
}

export type Database = Kysely<Schema>
export type Tx = Transaction<Schema>

interface ServerTable {
  is_only: Generated<boolean>
  /** `iss` of the access tokens. Chosen once, so that it outlives a change of port. */
  issuer: string
  /** Drawn anew when the database may have lost writes it once acknowledged. */
  incarnation: string
  created_at_ms: number
}

interface SigningKeyTable {
  kid: string
  public_jwk: JsonObject
  /** The private JWK under the key file's wrapping key. */
  wrapped_private: string
  created_at_ms: number
  signs_until_ms: number
}

interface UserTable {
  id: string
  /** `server`: of a program that acts on nobody's behalf. */
  kind: Generated<'person' | 'server'>
  /** That of all identities together. */
  profile: JsonObject
  custom_data: JsonObject
  created_at_ms: number
  disabled_at_ms: number | null
  deleted_at_ms: number | null
  imported_at_ms: Generated<number | null>
}

interface DeviceTable {
  id: string
  user_id: string
  created_at_ms: number
  /** When it was told to erase its data. */
  wiped_at_ms: Generated<number | null>
  /** What it says it has erased. */
  wipe_receipt: Generated<JsonObject | null>
}

interface AuditTable {
  id: string
  at_ms: number
  event: string
  user_id: string | null
  session_id: string | null
  detail: JsonObject
}

interface IdentityTable {
  id: string
  user_id: string
  provider: string
  /** Unique within the provider: the normalised address, the foreign subject. */
  subject: string
  created_at_ms: number
  /** `null`: whoever registered the address has yet to show that it is theirs. */
  confirmed_at_ms: number | null
  /** What the provider tells of the person. */
  profile: JsonObject
}

interface SessionTable {
  id: string
  user_id: string
  device_id: string
  provider: string
  /** What the MACs of this session's refresh tokens are salted with, base64url. */
  salt: string
  rotation: number
  /** The highest rotation that the client has shown to possess. */
  confirmed_rotation: number
  rotated_at_ms: number
  attempts: RememberedAttempt[]
  created_at_ms: number
  idle_ends_at_ms: number
  ends_at_ms: number | null
  ended_at_ms: number | null
  end_reason: EndReason | null
  /** The key that opened it; it ends with the key. */
  api_key_id: Generated<string | null>
  /** Thumbprint of the key the tokens are bound to (RFC 9449); nothing sets it yet. */
  jkt: string | null
}

/** Which attempt led from `rotation` to the next one. */
export interface RememberedAttempt {
  readonly rotation: number
  /** SHA-256 of the attempt id, base64url. */
  readonly attempt: string
}

interface SyncDocTable {
  collection: string
  scope: string
  id: string
  /** The scope's counter when this state was written: what checkpoints count. */
  seq: number
  deleted: boolean
  data: JsonObject
  updated_at_ms: number
  updated_by: string | null
}

export type JsonObject = { readonly [field: string]: unknown }
export type SessionRow = Selectable<SessionTable>
export type NewSession = Insertable<SessionTable>

/** A jsonb parameter. Given as text, because drivers turn arrays into PostgreSQL arrays. */
export const json = <T>(value: T) => sql<T>`${JSON.stringify(value)}::jsonb`
