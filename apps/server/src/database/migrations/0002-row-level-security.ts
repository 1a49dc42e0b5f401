import { type Kysely, sql } from 'kysely'

/**
 * A second fence round the documents: requests work as a role that sees and writes the scopes named in the transaction's settings only.
 * The owner of the tables is not bound by it, so seeds, exports and purges work as before.
 *
 * A role belongs to the whole cluster: another database of this server may have made it already.
 */
const statements = [
  `do $$ begin
    create role nightlatch_sync nologin;
  exception when duplicate_object or unique_violation then null;
  end $$`,
  `do $$ begin
    execute format('grant nightlatch_sync to %I', current_user);
  exception when insufficient_privilege or unique_violation then null;
  end $$`,
  `do $$ begin
    execute format('grant usage on schema %I to nightlatch_sync', current_schema());
  end $$`,
  `grant select on server to nightlatch_sync`,
  `grant select, insert, update on sync_heads, sync_docs to nightlatch_sync`,
  ...['sync_heads', 'sync_docs'].flatMap((table) => [
    `alter table ${table} enable row level security`,
    `create policy read_scopes on ${table} for select to nightlatch_sync
      using (scope = any ((select string_to_array(current_setting('nightlatch.read_scopes', true), E'\\n'))::text[]))`,
    `create policy insert_scopes on ${table} for insert to nightlatch_sync
      with check (scope = any ((select string_to_array(current_setting('nightlatch.write_scopes', true), E'\\n'))::text[]))`,
    `create policy update_scopes on ${table} for update to nightlatch_sync
      using (scope = any ((select string_to_array(current_setting('nightlatch.write_scopes', true), E'\\n'))::text[]))`,
  ]),
]

export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
