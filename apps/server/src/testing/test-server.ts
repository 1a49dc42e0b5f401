import { type ServerOptions, startServer } from '../start-server.ts'
import { temporaryDataDir } from './temporary-data-dir.ts'
import { TestClient } from './test-client.ts'

export interface TestServer {
  readonly url: string
  readonly client: TestClient
  readonly dataDir: string
  /** Moves the server's clock. */
  pass(time: { readonly days?: number; readonly minutes?: number; readonly seconds?: number }): void
  close(): Promise<void>
}

/** A real server on a directory of its own, with a clock that the test can move. */
export async function startTestServer(options: Partial<Omit<ServerOptions, 'nowMs'>> = {}): Promise<TestServer> {
  const dataDir = await temporaryDataDir()
  let aheadMs = 0
  const server = await startServer({ dataDir: dataDir.path, ...options, nowMs: () => Date.now() + aheadMs })
  return {
    url: server.url,
    client: new TestClient(server.url),
    dataDir: dataDir.path,
    pass({ days = 0, minutes = 0, seconds = 0 }) {
      aheadMs += ((days * 24 * 60 + minutes) * 60 + seconds) * 1000
    },
    async close() {
      await server.close()
      dataDir.remove()
    },
  }
}
