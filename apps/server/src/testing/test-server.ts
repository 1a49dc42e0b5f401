import type { Engine } from '../database/engine-mark.ts'
import { type RunningServer, type ServerOptions, startServer } from '../start-server.ts'
import { temporaryDataDir } from './temporary-data-dir.ts'
import { findPostgres, startTemporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts'
import { TestClient } from './test-client.ts'

export interface TestServer {
  readonly url: string
  readonly client: TestClient
  readonly dataDir: string
  readonly databaseUrl: string | undefined
  readonly metricsUrl: string | undefined
  readonly admin: RunningServer['admin']
  /** Stops the server and leaves its data. */
  stop(): Promise<void>
  /** Moves the server's clock. */
  pass(time: { readonly days?: number; readonly minutes?: number; readonly seconds?: number }): void
  close(): Promise<void>
}

/** The engines this machine can test: PGlite, and PostgreSQL if it is installed. */
export const testEngines: readonly Engine[] = findPostgres() ? ['pglite', 'postgresql'] : ['pglite']
if (testEngines.length === 1) console.warn('Skipped on PostgreSQL: it is not installed (apt-get install postgresql).')

/** A real server on a database of its own, with a clock that the test can move. */
export async function startTestServer({
  engine = 'pglite',
  postgres: given,
  ...options
}: Partial<Omit<ServerOptions, 'nowMs'>> & { readonly engine?: Engine; readonly postgres?: TemporaryPostgres } = {}): Promise<TestServer> {
  const dataDir = await temporaryDataDir({ withDatabase: engine === 'pglite' })
  const postgres = given ?? (engine === 'postgresql' ? await startTemporaryPostgres() : undefined)
  const databaseUrl = await postgres?.createDatabase()
  let aheadMs = 0
  const server = await startServer({
    dataDir: dataDir.path,
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...options,
    nowMs: () => Date.now() + aheadMs,
  }).catch(async (error: unknown) => {
    if (!given) await postgres?.stop()
    dataDir.remove()
    throw error
  })
  return {
    url: server.url,
    client: new TestClient(server.url),
    dataDir: dataDir.path,
    databaseUrl,
    metricsUrl: server.metricsUrl,
    admin: server.admin,
    stop: () => server.close(),
    pass({ days = 0, minutes = 0, seconds = 0 }) {
      aheadMs += ((days * 24 * 60 + minutes) * 60 + seconds) * 1000
    },
    async close() {
      await server.close()
      if (!given) await postgres?.stop()
      dataDir.remove()
    },
  }
}
