import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request as sendRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test, vi } from 'vitest'
import type { FieldbookServer } from './fieldbook-server.ts'
import { startFieldbook } from './fieldbook-server.ts'

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

type Answering = (request: IncomingMessage, response: ServerResponse) => unknown

/** A fieldbook server in front of a server that answers with `answering`. */
async function startBoth(answering: Answering, slowPace = { latencyMs: 150, bytesPerSecond: 10_000 }): Promise<FieldbookServer> {
  const server = createServer((request, response) => void answering(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const directory = await mkdtemp(join(tmpdir(), 'fieldbook-'))
  const distDir = join(directory, 'pages')
  await mkdir(distDir)
  await writeFile(join(directory, 'outside.txt'), 'not for everybody')
  await writeFile(join(distDir, 'index.html'), '<title>Fieldbook</title>')
  await writeFile(join(distDir, 'sw.js'), '// service worker')
  const { port } = server.address() as AddressInfo
  const fieldbook = await startFieldbook({ port: 0, server: `http://127.0.0.1:${port}`, distDir, slowPace })
  cleanUps.push(async () => {
    await fieldbook.close()
    server.closeAllConnections()
    server.close()
    await rm(directory, { recursive: true })
  })
  return fieldbook
}

const echo: Answering = async (request, response) => {
  response.writeHead(request.url === '/v1/refused' ? 403 : 200, { 'content-type': 'application/json', 'retry-after': '7' })
  response.end(JSON.stringify({ url: request.url, host: request.headers.host, body: await text(request) }))
}

const openStream = (_request: IncomingMessage, response: ServerResponse) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write('data: "RESYNC"\n\n')
}

const setMode = (fieldbook: FieldbookServer, mode: string) =>
  fetch(`${fieldbook.url}/__link`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ mode }) })

test('up: passes requests on, with query, body, status and headers', async () => {
  const fieldbook = await startBoth(echo)

  const pulled = await fetch(`${fieldbook.url}/v1/sync/observations/0/pull?scope=mine&limit=100`)
  const pushed = await fetch(`${fieldbook.url}/v1/refused`, { method: 'POST', body: 'a row' })
  const keys = await fetch(`${fieldbook.url}/.well-known/jwks.json`)

  expect(await pulled.json()).toMatchObject({ url: '/v1/sync/observations/0/pull?scope=mine&limit=100' })
  expect(pulled.headers.get('retry-after')).toBe('7')
  expect(pushed.status).toBe(403)
  expect(await pushed.json()).toMatchObject({ url: '/v1/refused', body: 'a row' })
  expect(await keys.json()).toMatchObject({ url: '/.well-known/jwks.json' })
})

test('up: passes each event of an open stream on at once, and lets go of the server when the reader leaves', async () => {
  const left = Promise.withResolvers<void>()
  const fieldbook = await startBoth((request, response) => {
    openStream(request, response)
    response.once('close', () => left.resolve())
  })

  const reading = new AbortController()
  const answer = await fetch(`${fieldbook.url}/v1/sync/observations/0/stream`, { signal: reading.signal })
  const first = await answer.body?.getReader().read()
  reading.abort()

  expect(new TextDecoder().decode(first?.value)).toBe('data: "RESYNC"\n\n')
  await left.promise
})

test('up: a request that is given up before the answer is given up at the server too', async () => {
  const arrived = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  const fieldbook = await startBoth((_request, response) => {
    response.once('close', () => left.resolve())
    arrived.resolve()
  })

  const asking = new AbortController()
  const answer = fetch(`${fieldbook.url}/v1/auth/profile`, { signal: asking.signal })
  await arrived.promise
  asking.abort()

  await expect(answer).rejects.toThrow('aborted')
  await left.promise
})

test('up: says so when the server does not answer', async () => {
  const fieldbook = await startFieldbook({ port: 0, server: 'http://127.0.0.1:9' })
  cleanUps.push(() => fieldbook.close())

  const answer = await fetch(`${fieldbook.url}/v1/auth/profile`)

  expect(answer.status).toBe(502)
  expect(await answer.json()).toMatchObject({ code: 'server_unreachable' })
})

test('down: cuts new requests and open streams; up again: they pass', async () => {
  const fieldbook = await startBoth(openStream)
  const stream = await fetch(`${fieldbook.url}/v1/sync/observations/0/stream`)
  const reader = stream.body?.getReader()
  await reader?.read()

  await setMode(fieldbook, 'down')

  await expect(reader?.read()).rejects.toThrow()
  await expect(fetch(`${fieldbook.url}/v1/auth/profile`)).rejects.toThrow('fetch failed')
  expect((await fetch(fieldbook.url)).status).toBe(200)

  await setMode(fieldbook, 'up')

  expect((await fetch(`${fieldbook.url}/v1/sync/observations/0/stream`)).status).toBe(200)
})

test('slow: answers late and in drips', async () => {
  const fieldbook = await startBoth((_request, response) => response.end('x'.repeat(2_500)))
  await setMode(fieldbook, 'slow')
  const startedAtMs = performance.now()

  const body = await (await fetch(`${fieldbook.url}/v1/sync/observations/0/pull`)).text()

  expect(body).toHaveLength(2_500)
  expect(performance.now() - startedAtMs).toBeGreaterThan(150 + 200)
})

test('captive portal: answers everything with a page of its own and cuts open streams', async () => {
  const fieldbook = await startBoth(openStream)
  const reader = (await fetch(`${fieldbook.url}/v1/sync/observations/0/stream`)).body?.getReader()
  await reader?.read()

  await setMode(fieldbook, 'portal')
  const refreshed = await fetch(`${fieldbook.url}/v1/auth/refresh`, { method: 'POST', body: '{}' })

  expect(refreshed.status).toBe(200)
  expect(refreshed.headers.get('content-type')).toContain('text/html')
  await expect(reader?.read()).rejects.toThrow()
})

test('the request log tells when a request was started, with which token, and when it ended', async () => {
  const fieldbook = await startBoth(openStream)
  const digest = createHash('sha256').update('secret-token').digest('base64url')
  const beforeMs = Date.now()

  const reading = new AbortController()
  await fetch(`${fieldbook.url}/v1/sync/observations/0/stream?scope=mine`, {
    headers: { authorization: 'Bearer secret-token' },
    signal: reading.signal,
  })
  await setMode(fieldbook, 'down')
  await fetch(`${fieldbook.url}/v1/auth/profile`).catch(() => {})

  const [stream, profile] = fieldbook.link.requests
  expect(stream).toMatchObject({ method: 'GET', path: '/v1/sync/observations/0/stream', tokenDigest: digest })
  expect(stream?.startedAtMs).toBeGreaterThanOrEqual(beforeMs)
  expect(stream?.endedAtMs).toBeGreaterThanOrEqual(stream?.startedAtMs ?? Number.POSITIVE_INFINITY)
  expect(profile).toMatchObject({ path: '/v1/auth/profile', tokenDigest: null })
  reading.abort()
})

test('S13: no token is printed, kept or shown, whatever fails', async () => {
  const printed: unknown[] = []
  for (const method of ['log', 'warn', 'error'] as const) vi.spyOn(console, method).mockImplementation((...args) => printed.push(args))
  const fieldbook = await startFieldbook({ port: 0, server: 'http://127.0.0.1:9' })
  cleanUps.push(() => fieldbook.close())

  const answer = await fetch(`${fieldbook.url}/v1/sync/observations/0/pull`, { headers: { authorization: 'Bearer secret-token' } })

  expect(JSON.stringify([printed, fieldbook.link.requests, await answer.json()])).not.toContain('secret')
  vi.restoreAllMocks()
})

test('revoke: asks the server to end the sessions of a user, also while the link is down', async () => {
  const asked: string[] = []
  const fieldbook = await startBoth(async (request, response) => {
    asked.push(`${request.method} ${request.url} ${await text(request)}`)
    response.end('{"revoked": 2}')
  })
  await setMode(fieldbook, 'down')

  const answer = await fetch(`${fieldbook.url}/__link/revoke`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"user_id": "u1"}',
  })

  expect(await answer.json()).toEqual({ revoked: 2 })
  expect(asked).toEqual(['POST /v1/dev/revoke-sessions {"user_id":"u1"}'])
})

test.each(['/v1/dev/revoke-sessions', '/v1/%64ev/revoke-sessions', '/v1/x/../dev/revoke-sessions'])(
  'does not pass the development route %s on',
  async (path) => {
    const asked: (string | undefined)[] = []
    const fieldbook = await startBoth((request, response) => {
      asked.push(request.url)
      response.end('{}')
    })

    const { statusCode } = await rawRequest(fieldbook, path)

    expect(statusCode).toBe(404)
    expect(asked).toEqual([])
  },
)

test('sends nothing to a host that a request names', async () => {
  const fieldbook = await startBoth(echo)

  const answer = await rawRequest(fieldbook, '//elsewhere.example/v1/auth/profile')

  expect(await text(answer)).toContain(`{"url":"/v1/auth/profile","host":"127.0.0.1:`)
})

test('the control refuses an unknown mode and what is not JSON', async () => {
  const fieldbook = await startBoth(echo)

  const unknownMode = await setMode(fieldbook, 'sideways')
  const form = await fetch(`${fieldbook.url}/__link`, { method: 'PUT', body: '{"mode":"down"}' })

  expect([unknownMode.status, form.status]).toEqual([400, 400])
  expect(await (await fetch(`${fieldbook.url}/__link`)).json()).toEqual({ mode: 'up' })
})

test('serves the pages: screens get index.html, unknown files 404, nothing outside the folder', async () => {
  const fieldbook = await startBoth(echo)

  const screen = await fetch(`${fieldbook.url}/records`)
  const worker = await fetch(`${fieldbook.url}/sw.js`)
  const missing = await fetch(`${fieldbook.url}/assets/missing.js`)
  const { statusCode: outside } = await rawRequest(fieldbook, '/..%2foutside.txt')

  expect(await screen.text()).toContain('Fieldbook')
  expect(worker.headers.get('cache-control')).toBe('no-cache')
  expect([missing.status, outside]).toEqual([404, 404])
})

/** A request whose target is sent as it is; `fetch` would tidy it. */
async function rawRequest(fieldbook: FieldbookServer, path: string): Promise<IncomingMessage> {
  const request = sendRequest({ port: new URL(fieldbook.url).port, host: '127.0.0.1', path }).end()
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  return answer
}
