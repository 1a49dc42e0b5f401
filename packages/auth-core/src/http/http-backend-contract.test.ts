import { startTestServer, type TestServer } from '@nightlatch/server/testing'
import { afterAll, beforeAll } from 'vitest'
import { authBackendContract } from '../testing/auth-backend-contract.ts'
import { ScriptedServer } from '../testing/scripted-server.ts'
import { SimulatedDevice } from '../testing/simulated-world.ts'
import { httpBackend } from './http-backend.ts'

authBackendContract('httpBackend and the scripted server', () => {
  const device = new SimulatedDevice()
  const server = new ScriptedServer(device)
  return {
    backend: httpBackend(server.url),
    fetch: server.fetch,
    nowMs: () => device.wallMs(),
    register: async ({ email, password }) => void server.register(email, password),
    until: (answer) => device.resolve(answer),
    endSessions: async (userId) => server.revoke(userId),
  }
})

let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ config: { collections: {} }, devRoutes: true })
}, 60_000)
afterAll(() => server.close())

authBackendContract('httpBackend and the reference server', () => {
  const backend = httpBackend(server.url)
  const context = { fetch: globalThis.fetch, nowMs: () => Date.now() }
  return {
    backend,
    ...context,
    register: async (account) => backend.emailPassword?.register(account, context),
    async endSessions(userId) {
      const answer = await fetch(`${server.url}/v1/dev/revoke-sessions`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ user_id: userId }),
      })
      if (!answer.ok) throw new Error(`The server did not end the sessions: ${answer.status}.`)
    },
  }
})
