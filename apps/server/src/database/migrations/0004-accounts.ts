import { type Kysely, sql } from 'kysely'

const statements = [
  `alter table users add column kind text not null default 'person', add column imported_at_ms bigint`,
  `alter table identities add column confirmed_at_ms bigint, add column profile jsonb not null default '{}'`,
  `update identities set confirmed_at_ms = identities.created_at_ms, profile = users.profile
    from users where users.id = identities.user_id`,
  `alter table devices add column wiped_at_ms bigint, add column wipe_receipt jsonb`,
  `create table api_keys (
    id text primary key,
    user_id text not null references users,
    name text not null,
    digest text not null,
    created_at_ms bigint not null,
    disabled_at_ms bigint,
    unique (user_id, name)
  )`,
  `alter table sessions add column api_key_id text`,
  `create index live_sessions_of_api_key on sessions (api_key_id) where ended_at_ms is null and api_key_id is not null`,
  `create table unlock_keys (
    user_id text not null references users,
    device_id text not null references devices,
    wrapped text not null,
    created_at_ms bigint not null,
    primary key (user_id, device_id)
  )`,
  `create table mail_tokens (
    id text primary key,
    kind text not null,
    identity_id text not null references identities on delete cascade,
    digest text not null,
    expires_at_ms bigint not null,
    unique (identity_id, kind)
  )`,
  `create table attempts (key text primary key, failures integer not null, blocked_until_ms bigint not null, last_at_ms bigint not null)`,
  `create table idempotency_keys (
    caller text not null,
    key_digest text not null,
    request_digest text not null,
    answer text,
    created_at_ms bigint not null,
    primary key (caller, key_digest)
  )`,
  `create index idempotency_keys_by_age on idempotency_keys (created_at_ms)`,
]

export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
