import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  await sql`create table audit_log (
    id text primary key,
    at_ms bigint not null,
    event text not null,
    user_id text,
    session_id text,
    detail jsonb not null default '{}'
  )`.execute(db)
  await sql`create index audit_of_user on audit_log (user_id, id)`.execute(db)
}
