import { describe, expect, test } from 'vitest'
import { BackendFailure } from '../outcome.ts'
import { httpBackend } from './http-backend.ts'

const backend = httpBackend('https://api.example.org/tenant/')
const session = { accessToken: 'canary-access', accessLifeMs: 1, accessExpiresAtMs: 1, refreshToken: 'canary-refresh' }

/** What becomes of a refresh that `respond` answers. */
async function refreshed(respond: typeof globalThis.fetch) {
  const context = { fetch: respond, nowMs: () => 0, attemptId: 'attempt-1' }
  return backend.refresh(session, context).then(
    (grant) => ({ grant }),
    (failure: unknown) => ({ failure }),
  )
}

const json = (body: string, status = 200) => new Response(body, { status, headers: { 'Content-Type': 'application/json; charset=utf-8' } })
const grant = { token_type: 'Bearer', access_token: 'a', expires_in: 900, user_id: 'u1' }

test.each(['ftp://api.example.org', 'file:///etc/passwd', 'api.example.org', ''])('%s is no address of a server', (address) => {
  expect(() => httpBackend(address)).toThrow(TypeError)
})

test('what is stored is bound to the origin; calls go below the path', async () => {
  let asked: Request | undefined
  await refreshed(async (input, init) => {
    asked = new Request(input, init)
    return json(JSON.stringify(grant))
  })

  expect(backend.issuer).toBe('https://api.example.org')
  expect(asked?.url).toBe('https://api.example.org/tenant/v1/auth/refresh')
  expect(asked).toMatchObject({ method: 'POST', redirect: 'error', credentials: 'omit' })
  expect(await asked?.json()).toEqual({ refresh_token: 'canary-refresh', attempt_id: 'attempt-1' })
})

describe('S1: an answer that cannot be believed is `later`, and says nothing of what was in it', () => {
  const large = JSON.stringify({ ...grant, padding: 'canary'.repeat((10 * 1024 * 1024) / 6) })
  const tooLarge = new TextEncoder().encode(large)

  test.each<[string, 'busy' | 'unreachable', () => Promise<Response>]>([
    ["a portal's page with 200", 'busy', async () => new Response('<html>canary</html>', { headers: { 'Content-Type': 'text/html' } })],
    ['a page that claims to be JSON', 'busy', async () => json('<html>canary</html>')],
    ['cut JSON', 'busy', async () => json('{"token_type":"Bearer","access_token":"canary')],
    ['an empty body', 'busy', async () => json('')],
    ['no content', 'busy', async () => new Response(null, { status: 204 })],
    ['JSON null', 'busy', async () => json('null')],
    ['a token answer without a token', 'busy', async () => json(JSON.stringify({ ...grant, access_token: undefined, note: 'canary' }))],
    ['10 MB', 'busy', async () => json(large)],
    [
      'bytes that are no text',
      'busy',
      async () => new Response(Uint8Array.from([0xff, 0xfe, 0x00]), { headers: { 'Content-Type': 'application/json' } }),
    ],
    [
      'a body that breaks off',
      'unreachable',
      async () => new Response(brokenStream(), { headers: { 'Content-Type': 'application/json' } }),
    ],
    ['a network error', 'unreachable', () => Promise.reject(new TypeError('fetch failed'))],
  ])('%s', async (_, why, respond) => {
    const result = await refreshed(respond)

    expect(result).toMatchObject({ failure: { outcome: { kind: 'later', why } } })
    expect(`${JSON.stringify(result)} ${textOf(result)}`).not.toContain('canary')
  })

  test('a body that never ends is not read past a megabyte', async () => {
    let pulled = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1
        controller.enqueue(tooLarge.subarray(0, 64 * 1024))
      },
    })

    await expect(refreshed(async () => new Response(endless, { headers: { 'Content-Type': 'application/json' } }))).resolves.toMatchObject({
      failure: { outcome: { kind: 'later', why: 'busy' } },
    })
    expect(pulled).toBeLessThan(20)
  })
})

test('a session without a refresh token ends with its access token', async () => {
  const { refreshToken: _, ...fixed } = session
  const asked = backend.refresh(fixed, { fetch: () => Promise.reject(new Error('no request is made')), nowMs: () => 0, attemptId: '1' })

  await expect(asked).rejects.toMatchObject({ outcome: { kind: 'over', reason: 'expired' } })
})

function brokenStream(): ReadableStream<Uint8Array> {
  let sent = false
  return new ReadableStream({
    pull(controller) {
      if (sent) controller.error(new TypeError('terminated'))
      else controller.enqueue(new TextEncoder().encode('{"access_token":"canary'))
      sent = true
    },
  })
}

function textOf(result: { readonly grant: unknown } | { readonly failure: unknown }): string {
  const failure = 'failure' in result ? result.failure : undefined
  return failure instanceof BackendFailure ? `${failure.message} ${failure.stack} ${String(failure.cause)}` : String(failure)
}
