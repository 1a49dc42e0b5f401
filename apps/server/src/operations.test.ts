import { afterEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { jsonLog } from './log.ts'
import { findPostgres, startTemporaryPostgres } from './testing/temporary-postgres.ts'
import { startTestServer } from './testing/test-server.ts'

vi.setConfig({ testTimeout: 60_000 })
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function server(options: Parameters<typeof startTestServer>[0] = {}) {
  const started = await startTestServer(options)
  undo.push(() => started.close())
  return started
}

test('callers that ask too much are told when to come back; another address and another session are not', async () => {
  const { url, client } = await server({ limits: { credentialsPerMinute: 3, requestsPerMinute: 5 }, proxyHops: 1 })
  const attempt = async (address: string) => {
    const response = await fetch(`${url}/v1/auth/login`, {
      method: 'POST',
      body: '{}',
      headers: { 'X-Forwarded-For': `9.9.9.9, ${address}` },
    })
    return { status: response.status, retryAfter: Number(response.headers.get('retry-after')), body: (await response.json()) as object }
  }
  for (let n = 0; n < 3; n++) expect((await attempt('1.2.3.4')).status).toBe(400)

  const throttled = await attempt('1.2.3.4')
  expect(throttled).toMatchObject({ status: 429, body: { code: 'throttled' } })
  expect(throttled.retryAfter).toBeGreaterThan(0)
  expect((await attempt('1.2.3.5')).status).toBe(400)

  const [one, two] = [await client.logInAnonymously(), await client.logInAnonymously()]
  for (let n = 0; n < 5; n++) expect((await client.get('/v1/auth/profile', one.access_token)).status).toBe(200)
  expect((await client.get('/v1/auth/profile', one.access_token)).status).toBe(429)
  expect((await client.get('/v1/auth/profile', two.access_token)).status).toBe(200)
})

test('metrics are served on their own port only and name no ids', async () => {
  const { url, client, metricsUrl } = await server({ metricsPort: 0 })
  const { refresh_token, user_id } = await client.newAccount()
  await client.refreshed(refresh_token)
  await client.get('/v1/nothing')

  const text = await (await fetch(metricsUrl ?? '')).text()

  expect(text).toContain('nightlatch_http_requests_total{method="POST",route="/v1/auth/login",status="200"} 1')
  expect(text).toContain('nightlatch_refreshes_total{decision="rotate"} 1')
  expect(text).toMatch(/^nightlatch_open_streams 0$/m)
  expect(text).not.toContain(user_id)
  expect((await fetch(`${url}/metrics`)).status).toBe(404)
})

test('answers carry security headers and are not cached where they hold tokens', async () => {
  const { url } = await server()
  const { headers } = await fetch(`${url}/healthz`)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(headers.get('referrer-policy')).toBe('no-referrer')
  const refused = await fetch(`${url}/v1/auth/refresh`, { method: 'POST', body: '{"refresh_token":"x"}' })
  expect(refused.headers.get('cache-control')).toBe('no-store')
})

test('S13: logs of failures hold neither tokens nor passwords nor documents', async () => {
  const lines: string[] = []
  const canary = 'canary-7d1f'
  const { client } = await server({
    log: jsonLog((line) => lines.push(line)),
    config: { collections: { notes: { schemaVersion: 0 } } },
    hooks: {
      notes: {
        validateWrite() {
          throw new Error(`a hook that fails on ${canary}`)
        },
      },
    },
  })
  const { access_token, refresh_token } = await client.newAccount(`${canary} password`)

  const answer = await client.post('/v1/sync/notes/0/push', [{ newDocumentState: { id: canary, text: canary } }], access_token)

  expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } })
  expect(lines).toHaveLength(1)
  for (const secret of [canary, access_token, refresh_token]) {
    expect(lines.join()).not.toContain(secret)
    expect(JSON.stringify(answer.body)).not.toContain(secret)
  }
})

test('the OpenAPI document describes every route', async () => {
  const { client } = await server()
  const { body } = await client.get('/openapi.json')
  const document = z
    .looseObject({ openapi: z.literal('3.1.0'), paths: z.record(z.string(), z.record(z.string(), z.looseObject({}))) })
    .parse(body)
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining(['/v1/auth/login', '/v1/sync/{collection}/{schemaVersion}/pull', '/oauth/token']),
  )
  expect(document.paths['/v1/auth/register']?.post).toMatchObject({
    requestBody: { content: { 'application/json': { schema: { required: ['email', 'password'] } } } },
    responses: { 201: {}, default: {} },
  })
})

describe.skipIf(!findPostgres())('on postgresql', () => {
  test('while the database is away everything is busy and no session ends; then it goes on', async () => {
    const postgres = await startTemporaryPostgres()
    undo.push(() => postgres.stop())
    const { client } = await server({ engine: 'postgresql', postgres, config: { collections: { notes: { schemaVersion: 0 } } } })
    const { access_token, refresh_token } = await client.newAccount()
    expect((await client.get('/readyz')).status).toBe(200)

    await postgres.pause()
    for (const answer of [
      await client.get('/readyz'),
      await client.refresh(refresh_token),
      await client.get('/v1/auth/profile', access_token),
      await client.post('/v1/sync/notes/0/push', [{ newDocumentState: { id: 'n' } }], access_token),
    ]) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'busy' } })
      expect(answer.headers.get('retry-after')).toBe('2')
    }
    expect((await client.get('/healthz')).status).toBe(200)
    await postgres.resume()

    expect((await client.refresh(refresh_token)).status).toBe(200)
  })
})
