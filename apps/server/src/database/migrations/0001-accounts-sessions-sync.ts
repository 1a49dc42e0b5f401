import { type Kysely, sql } from 'kysely'

const statements = [
  `create table server (
    is_only boolean primary key default true check (is_only),
    issuer text not null,
    incarnation text not null,
    created_at_ms bigint not null
  )`,
  `create table server_keys (kid text primary key, fingerprint text not null)`,
  `create table signing_keys (
    kid text primary key,
    public_jwk jsonb not null,
    wrapped_private text not null,
    created_at_ms bigint not null,
    signs_until_ms bigint not null
  )`,
  `create table users (
    id text primary key,
    profile jsonb not null default '{}',
    custom_data jsonb not null default '{}',
    created_at_ms bigint not null,
    disabled_at_ms bigint,
    deleted_at_ms bigint
  )`,
  `create table identities (
    id text primary key,
    user_id text not null references users,
    provider text not null,
    subject text not null,
    created_at_ms bigint not null,
    unique (provider, subject)
  )`,
  `create index identities_of_user on identities (user_id)`,
  `create table passwords (
    identity_id text primary key references identities on delete cascade,
    phc text not null,
    changed_at_ms bigint not null
  )`,
  `create table devices (id text primary key, user_id text not null references users, created_at_ms bigint not null)`,
  `create table sessions (
    id text primary key,
    user_id text not null references users,
    device_id text not null references devices,
    provider text not null,
    salt text not null,
    rotation integer not null,
    confirmed_rotation integer not null,
    rotated_at_ms bigint not null,
    attempts jsonb not null default '[]',
    created_at_ms bigint not null,
    idle_ends_at_ms bigint not null,
    ends_at_ms bigint,
    ended_at_ms bigint,
    end_reason text,
    jkt text
  )`,
  `create index live_sessions_of_user on sessions (user_id) where ended_at_ms is null`,
  `create table sync_heads (
    collection text not null,
    scope text not null,
    seq bigint not null,
    purged_seq bigint not null default 0,
    primary key (collection, scope)
  )`,
  `create table sync_docs (
    collection text not null,
    scope text not null,
    id text not null,
    seq bigint not null,
    deleted boolean not null,
    data jsonb not null,
    updated_at_ms bigint not null,
    updated_by text,
    primary key (collection, scope, id)
  )`,
  `create unique index sync_docs_by_seq on sync_docs (collection, scope, seq)`,
  `create table scope_members (scope text, user_id text references users, role text not null, primary key (scope, user_id))`,
  `create table seeds (collection text primary key, loaded_at_ms bigint not null)`,
]

export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
